import itertools

import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, irm


def penalty(model, batch, unbiased):
    """A double backward pass: the square of a domain's slope, or the mean product of its examples' slopes by pairs."""
    logits, total = model(batch["x"]), 0.0
    for d in range(3):
        z, y = logits[batch["domain"] == d], batch["y"][batch["domain"] == d]
        scale = torch.ones((), requires_grad=True)

        def slope(rows, z=z, y=y, scale=scale):
            return torch.autograd.grad(cross_entropy(z[rows] * scale, y[rows]), scale, create_graph=True)[0]

        if unbiased:
            slopes = [slope([i]) for i in range(len(y))]
            total = total + torch.stack([a * b for a, b in itertools.combinations(slopes, 2)]).mean() / 3
        else:
            total = total + slope(range(len(y))) ** 2 / 3
    return total


@pytest.mark.parametrize("weight, unbiased", [(0.5, False), (30.0, False), (30.0, True)])
def test_equals_the_papers_loop_with_its_annealing_and_a_fresh_optimizer(
    weight, unbiased, task, new_model, plain_loop, check_same, differ, settings
):
    def loss(model, batch, step):
        w = weight if step >= 3 else 1.0
        value = cross_entropy(model(batch["x"]), batch["y"]) + w * penalty(model, batch, unbiased)
        return value / w if w > 1 else value

    fitted = irm(new_model(), task, weight=weight, annealing=0.5, unbiased=unbiased, **settings)
    expected, values = plain_loop(new_model(), loss, fresh_optimizer_at=3, **settings)
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
