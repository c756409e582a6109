import itertools

import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.methods import erm, mmd


def distance(a, b):
    """Of two domains' features, as DomainBed computes it."""

    def kernel(x, y):
        squared = (x[:, None] - y).square().sum(-1)
        return sum(torch.exp(-g * squared) for g in (0.001, 0.01, 0.1, 1, 10, 100, 1000)).mean()

    return kernel(a, a) + kernel(b, b) - 2 * kernel(a, b)


def test_equals_domainbeds_loop(task, new_model, plain_loop, check_same, differ, settings):
    def loss(model, batch, _):
        features = model.features(batch["x"])
        groups = [features[batch["domain"] == d] for d in range(3)]
        penalty = sum(distance(a, b) for a, b in itertools.combinations(groups, 2)) / 3
        return cross_entropy(model.head(features), batch["y"]) + 5.0 * penalty

    fitted = mmd(new_model(), task, weight=5.0, **settings)
    expected, values = plain_loop(new_model(), loss, **settings)
    check_same(fitted.model, expected)
    assert torch.allclose(torch.tensor(fitted.history.loss), torch.tensor(values), rtol=1e-4)
    assert differ(fitted.model, erm(new_model(), task, **settings).model)


def test_weight_zero_is_erm_step_for_step(task, new_model, check_same, settings):
    a = mmd(new_model(), task, weight=0.0, **settings)
    check_same(a.model, erm(new_model(), task, **settings).model, exact=True)


def test_a_model_of_another_shape_is_served_too(task, new_model, check_same, settings):
    def flat():
        made = new_model()
        return torch.nn.Sequential(*made.encoder, made.head)

    a, b = mmd(flat(), task, weight=5.0, **settings), mmd(new_model(), task, weight=5.0, **settings)
    check_same(a.model, torch.nn.Sequential(*b.model.encoder, b.model.head))


def test_a_negative_weight_is_refused(task, new_model):
    with pytest.raises(InputError, match=r"weight is -1\.0; it must be at least 0"):
        mmd(new_model(), task, steps=1, weight=-1.0)
