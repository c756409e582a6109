"""Losses for classes that differ in size, against closed forms."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.losses import LDAMLoss, LogitAdjustedLoss, effective_weights

COUNTS = torch.tensor([500, 50, 5])


def batch(n=7, k=3):
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, k, generator=g), torch.randint(k, (n,), generator=g)


def test_logit_adjustment_is_cross_entropy_on_shifted_logits():
    logits, y = batch()
    shares = COUNTS / 555
    expected = [-math.log(shares[c] * z[c].exp() / (shares * z.exp()).sum()) for z, c in zip(logits, y)]
    assert LogitAdjustedLoss(COUNTS)(logits, y).item() == pytest.approx(sum(expected) / 7, rel=1e-5)
    torch.testing.assert_close(LogitAdjustedLoss(COUNTS, tau=0)(logits, y), cross_entropy(logits, y))
    torch.testing.assert_close(LogitAdjustedLoss(torch.full((3,), 9))(logits, y), cross_entropy(logits, y))


def test_ldam_margins_and_loss_by_hand():
    loss = LDAMLoss(COUNTS, max_margin=0.4, scale=2.0)
    assert loss.margins.tolist() == pytest.approx([0.4 * (5 / n) ** 0.25 for n in (500, 50, 5)])
    logits, y = batch()
    by_hand = []
    for z, c in zip(logits, y):
        right = math.exp(2 * (z[c] - loss.margins[c]))
        by_hand.append(-math.log(right / (right + sum(math.exp(2 * z[j]) for j in range(3) if j != c))))
    assert loss(logits, y).item() == pytest.approx(sum(by_hand) / 7, rel=1e-5)
    torch.testing.assert_close(LDAMLoss(COUNTS, max_margin=0, scale=1.0)(logits, y), cross_entropy(logits, y))
    weight = torch.tensor([0.1, 1.0, 2.0])
    weighted = sum(w * v for w, v in zip(weight[y], by_hand)) / weight[y].sum()
    assert loss(logits, y, weight).item() == pytest.approx(weighted.item(), rel=1e-5)


def test_effective_weights_between_all_alike_and_inverse_sizes():
    assert effective_weights(COUNTS, beta=0).tolist() == pytest.approx([1, 1, 1])
    inverse = (1 / COUNTS) / (1 / COUNTS).mean()
    assert effective_weights(COUNTS, beta=1 - 1e-9).tolist() == pytest.approx(inverse.tolist(), rel=1e-4)


def test_what_cannot_be_is_refused():
    for make in (LogitAdjustedLoss, LDAMLoss, effective_weights):
        with pytest.raises(InputError, match=r"expected \(k,\) numbers above 0"):
            make(torch.tensor([3, 0]))
    with pytest.raises(InputError, match="scale 0"):
        LDAMLoss(COUNTS, scale=0)
    with pytest.raises(InputError, match="beta is 1"):
        effective_weights(COUNTS, beta=1)
