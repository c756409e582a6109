import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, mesa


def kl(target, logits):
    p, q = target.softmax(1), logits.softmax(1)
    return (p * (p / q).log()).sum(1).mean()


def test_equals_the_penalty_to_the_average_written_out(task, new_model, plain_loop, check_same, differ, settings):
    average = new_model()

    def loss(model, batch, step):
        with torch.no_grad():
            if step > 0:  # after each update
                for a, p in zip(average.parameters(), model.parameters()):
                    a.mul_(0.6).add_(0.4 * p)
            target = average(batch["x"])
        logits = model(batch["x"])
        return cross_entropy(logits, batch["y"]) + 5.0 * kl(target, logits)

    settings = {**settings, "learning_rate": 0.05}
    fitted = mesa(new_model(), task, weight=5.0, decay=0.6, **settings)
    expected, values = plain_loop(new_model(), loss, **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), atol=1e-4)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_a_decay_of_one_holds_to_the_first_model_and_of_zero_to_nothing(task, new_model, check_same, settings):
    first = copy.deepcopy(new_model())
    fitted = mesa(new_model(), task, weight=1e4, decay=1.0, **settings)
    free = erm(new_model(), task, **settings)
    x = task.val.columns["x"]

    def moved(model):
        return (model(x).softmax(1) - first(x).softmax(1)).abs().mean()

    assert moved(fitted.model) < 0.5 * moved(free.model)
    check_same(mesa(new_model(), task, weight=5.0, decay=0.0, **settings).model, free.model)


def test_settings_out_of_range_are_refused(task, new_model):
    with pytest.raises(InputError, match=r"weight is -1\.0"):
        mesa(new_model(), task, steps=1, weight=-1.0)
    with pytest.raises(InputError, match=r"decay is 2\.0"):
        mesa(new_model(), task, steps=1, decay=2.0)
