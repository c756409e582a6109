import itertools

import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, irm


def penalty(model, batch):
    """DomainBed's double backward pass, over all pairs of examples of a domain."""
    logits, total = model(batch["x"]), 0.0
    for d in range(3):
        z, y = logits[batch["domain"] == d], batch["y"][batch["domain"] == d]
        scale = torch.ones((), requires_grad=True)
        slopes = [
            torch.autograd.grad(cross_entropy(z[i : i + 1] * scale, y[i : i + 1]), scale, create_graph=True)[0]
            for i in range(len(y))
        ]
        pairs = [a * b for a, b in itertools.combinations(slopes, 2)]
        total = total + torch.stack(pairs).mean() / 3
    return total


def annealed(weight, switch):
    def loss(model, batch, step):
        w = weight if step >= switch else 1.0
        value = cross_entropy(model(batch["x"]), batch["y"]) + w * penalty(model, batch)
        return value / w if w > 1 else value

    return loss


@pytest.mark.parametrize("weight", [0.5, 30.0])
def test_equals_domainbeds_loop_with_its_annealing_and_fresh_optimizer(
    weight, task, new_model, plain_loop, check_same, differ, settings
):
    fitted = irm(new_model(), task, weight=weight, annealing=0.5, **settings)
    expected, values = plain_loop(new_model(), annealed(weight, 3), fresh_optimizer_at=3, **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-5)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_weight_zero_is_erm_step_for_step(task, new_model, check_same, settings):
    a = irm(new_model(), task, weight=0.0, annealing=0.0, **settings)
    b = erm(new_model(), task, **settings)
    check_same(a.model, b.model, exact=True)
    assert a.history.loss == b.history.loss


def test_annealing_over_the_whole_training_never_switches(task, new_model, check_same, settings):
    a = irm(new_model(), task, weight=1e5, annealing=1.0, **settings)
    check_same(a.model, irm(new_model(), task, weight=1.0, annealing=0.0, **settings).model, exact=True)


@pytest.mark.parametrize("bad", [{"weight": -1.0}, {"annealing": 1.5}, {"annealing": -0.1}])
def test_settings_out_of_range_are_refused(bad, task, new_model):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        irm(new_model(), task, steps=1, **bad)
