import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, trpo


def kl(target, logits):
    p, q = target.softmax(1), logits.softmax(1)
    return (p * (p / q).log()).sum(1).mean()


def test_equals_the_penalty_to_the_step_before_written_out(task, new_model, plain_loop, check_same, differ, settings):
    previous = [new_model()]

    def loss(model, batch, _):
        with torch.no_grad():
            target = previous[0](batch["x"])
        previous[0] = copy.deepcopy(model)  # theta_t: the update comes after the loss
        logits = model(batch["x"])
        return cross_entropy(logits, batch["y"]) + 200.0 * kl(target, logits)

    settings = {**settings, "learning_rate": 0.05}
    fitted = trpo(new_model(), task, weight=200.0, **settings)
    expected, values = plain_loop(new_model(), loss, **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-4)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_weight_zero_is_erm_step_for_step(task, new_model, check_same, settings):
    a = trpo(new_model(normalise=True, dropout=0.3), task, weight=0.0, **settings)
    b = erm(new_model(normalise=True, dropout=0.3), task, **settings)
    check_same(a.model, b.model, exact=True)


def test_a_negative_weight_is_refused(task, new_model):
    with pytest.raises(InputError, match=r"weight is -1\.0; it must be at least 0"):
        trpo(new_model(), task, steps=1, weight=-1.0)
