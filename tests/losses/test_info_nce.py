"""Contrastive losses against closed forms and an explicit loop."""

import math

import pytest
import torch

from farfield.errors import InputError
from farfield.losses import InfoNCE


def views(n=6, d=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, d, generator=g, dtype=torch.float64)


def by_loop(a, b, t, negatives=None, both=True):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    n, losses = len(a), []
    if negatives is not None:
        negatives = negatives / negatives.norm(dim=1, keepdim=True)
        for i in range(n):
            own = math.exp(a[i] @ b[i] / t)
            losses.append(-math.log(own / (own + sum(math.exp(a[i] @ q / t) for q in negatives))))
    elif both:
        rows = [*a, *b]
        for i in range(2 * n):
            total = sum(math.exp(rows[i] @ rows[j] / t) for j in range(2 * n) if j != i)
            losses.append(-math.log(math.exp(rows[i] @ rows[(i + n) % (2 * n)] / t) / total))
    else:
        for i in range(n):
            losses.append(-math.log(math.exp(a[i] @ b[i] / t) / sum(math.exp(a[i] @ k / t) for k in b)))
    return sum(losses) / len(losses)


def test_equals_the_loop_in_all_three_forms():
    a, b = views()
    queue = views(9, seed=1)[0]
    assert InfoNCE(0.3)(a, b).item() == pytest.approx(by_loop(a, b, 0.3))
    assert InfoNCE(0.3, both_views=False)(a, b).item() == pytest.approx(by_loop(a, b, 0.3, both=False))
    assert InfoNCE(0.3)(a, b, queue).item() == pytest.approx(by_loop(a, b, 0.3, negatives=queue))


def test_rows_that_are_all_alike_are_told_apart_by_chance():
    same = torch.ones(5, 3, dtype=torch.float64)
    assert InfoNCE()(same, same).item() == pytest.approx(math.log(9))
    assert InfoNCE(both_views=False)(same, same).item() == pytest.approx(math.log(5))
    assert InfoNCE()(same, same, same[:2]).item() == pytest.approx(math.log(3))


def test_length_does_not_count_and_views_can_be_swapped():
    a, b = views()
    torch.testing.assert_close(InfoNCE(0.2)(a, b), InfoNCE(0.2)(7 * a, 0.1 * b))
    torch.testing.assert_close(InfoNCE(0.2)(a, b), InfoNCE(0.2)(b, a))
    assert not torch.isclose(InfoNCE(0.2, normalize=False)(a, b), InfoNCE(0.2, normalize=False)(2 * a, b))


def test_gradient_and_half_precision():
    a, b = (v.requires_grad_() for v in views())
    assert torch.autograd.gradcheck(InfoNCE(0.5), (a, b))
    assert torch.autograd.gradcheck(InfoNCE(0.5), (a, b, views(3, seed=2)[0].requires_grad_()))
    half = [v.detach().bfloat16() for v in (a, b)]
    torch.testing.assert_close(InfoNCE()(*half), InfoNCE()(*(h.float() for h in half)))


def test_what_cannot_be_is_refused():
    a, b = views()
    with pytest.raises(InputError, match="temperature is 0"):
        InfoNCE(0)
    with pytest.raises(InputError, match=r"the views have shapes \(6, 4\), \(5, 4\)"):
        InfoNCE()(a, b[:5])
    with pytest.raises(InputError, match="at least 2 are needed"):
        InfoNCE()(a[:1], b[:1])
