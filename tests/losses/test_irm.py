import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from farfield.losses import IRMPenalty


def batch(seed=0, n=9, classes=4):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, classes, generator=g, dtype=torch.float64) * 3
    return logits, torch.randint(classes, (n,), generator=g), torch.arange(n) % 3


def risk(w, logits, y):
    return cross_entropy(w * logits, y)


def test_one_example_per_domain_by_hand():
    # softmax(log 3, 0) = (3/4, 1/4): the slope is 3/4 log 3 - z[y], that is -1/4 log 3 for class 0 and 3/4 log 3 for class 1.
    log3 = torch.tensor(3.0).log()
    logits = torch.stack([log3, torch.zeros(())]).expand(2, 2)
    penalty = IRMPenalty()(logits, torch.tensor([0, 1]), torch.tensor([0, 1]))
    assert torch.allclose(penalty, (1 / 16 + 9 / 16) / 2 * log3**2)


@given(st.integers(0, 10_000))
def test_equals_the_squared_gradient_of_the_dummy_scale_by_autograd(seed):
    logits, y, domain = batch(seed)
    expected = []
    for d in range(3):
        w = torch.ones((), dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(risk(w, logits[domain == d], y[domain == d]), w)
        expected.append(slope**2)
    assert torch.allclose(IRMPenalty()(logits, y, domain), torch.stack(expected).mean())


def test_equals_the_squared_finite_difference():
    logits, y, domain = batch(3)
    h = 1e-5
    slopes = [
        (risk(1 + h, logits[domain == d], y[domain == d]) - risk(1 - h, logits[domain == d], y[domain == d])) / (2 * h)
        for d in range(3)
    ]
    assert torch.allclose(IRMPenalty()(logits, y, domain), torch.stack(slopes).square().mean(), rtol=1e-7)


def test_its_gradient_equals_the_double_backward_pass():
    logits, y, domain = batch(5)
    a, b = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    IRMPenalty()(a, y, domain).backward()
    total = torch.zeros((), dtype=torch.float64)
    for d in range(3):
        w = torch.ones((), dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(risk(w, b[domain == d], y[domain == d]), w, create_graph=True)
        total = total + slope**2 / 3
    total.backward()
    assert torch.allclose(a.grad, b.grad)


def test_unbiased_is_the_mean_over_all_halvings_of_the_product_of_half_batch_slopes():
    logits, y, _ = batch(1, n=4)
    w = torch.ones((), dtype=torch.float64, requires_grad=True)

    def slope(rows):
        return torch.autograd.grad(risk(w, logits[list(rows)], y[list(rows)]), w)[0]

    products = [slope(half) * slope(set(range(4)) - set(half)) for half in itertools.combinations(range(4), 2)]
    one = torch.zeros(4, dtype=torch.long)
    assert torch.allclose(IRMPenalty(unbiased=True)(logits, y, one), torch.stack(products).mean())


def test_unbiased_has_the_expectation_of_the_square_of_the_whole():
    # Over all batches of 2 out of 6 with replacement, the mean is the squared slope of the 6, exactly.
    logits, y, _ = batch(2, n=6)
    zero = torch.zeros(2, dtype=torch.long)
    draws = [torch.tensor(rows) for rows in itertools.product(range(6), repeat=2)]
    unbiased = torch.stack([IRMPenalty(unbiased=True)(logits[r], y[r], zero) for r in draws]).mean()
    plain = torch.stack([IRMPenalty()(logits[r], y[r], zero) for r in draws]).mean()
    whole = IRMPenalty()(logits, y, torch.zeros(6, dtype=torch.long))
    assert torch.allclose(unbiased, whole)
    assert plain > whole + 1e-3


def test_unbiased_with_one_example_in_a_domain_counts_zero():
    logits, y, _ = batch(0, n=3)
    domain = torch.tensor([0, 0, 1])
    alone = IRMPenalty(unbiased=True)(logits[:2], y[:2], domain[:2])
    assert torch.allclose(IRMPenalty(unbiased=True)(logits, y, domain), alone / 2)


@given(st.permutations(range(9)), st.booleans())
def test_order_and_names_of_domains_do_not_matter(order, unbiased):
    logits, y, domain = batch(4)
    penalty = IRMPenalty(unbiased=unbiased)
    renamed = torch.tensor([7, -2, 40])[domain]
    assert torch.allclose(penalty(logits, y, domain), penalty(logits[order], y[order], renamed[order]))


def test_logits_of_zero_have_no_slope():
    assert IRMPenalty()(torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 1, 1])) == 0
