"""The penalty's value and gradient, and where it has none."""

import pytest
import torch

from farfield.errors import InputError
from farfield.losses import AnchorPenalty


def test_value_and_gradient_by_hand():
    g = torch.Generator().manual_seed(0)
    features, anchors = torch.randn(2, 5, 3, generator=g, dtype=torch.float64)
    features.requires_grad_()
    anchors.requires_grad_()
    value = AnchorPenalty(0.7)(features, anchors)
    value.backward()
    assert value.item() == pytest.approx(0.7 * ((features - anchors) ** 2).sum().item() / 5)
    torch.testing.assert_close(features.grad, 2 * 0.7 * (features - anchors).detach() / 5)
    assert anchors.grad is None


def test_at_the_anchors_it_is_zero_and_has_no_gradient():
    z = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    features = z.clone().requires_grad_()
    value = AnchorPenalty(3.0)(features, z)
    value.backward()
    assert value.item() == 0 and not features.grad.any()


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="weight is -1"):
        AnchorPenalty(-1)
    with pytest.raises(InputError, match=r"features has shape \(2, 3\) and anchors \(2, 4\)"):
        AnchorPenalty()(torch.zeros(2, 3), torch.zeros(2, 4))
