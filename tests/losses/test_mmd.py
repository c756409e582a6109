import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses import MMDPenalty

DOMAINBED = (0.001, 0.01, 0.1, 1, 10, 100, 1000)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loop(features, domain, gammas=DOMAINBED):
    """The definition, with a loop over domains, pairs and kernels."""

    def k(a, b):
        squared = (a[:, None] - b[None]).square().sum(-1)
        return sum(torch.exp(-g * squared) for g in gammas).mean()

    groups = [features[domain == d] for d in domain.unique()]
    pairs = itertools.combinations(groups, 2)
    return torch.stack([k(a, a) + k(b, b) - 2 * k(a, b) for a, b in pairs]).mean()


def test_three_examples_by_hand():
    # k(a, a') over a = {0, 1}: (2 + 2/e) / 4 * 2; k(b, b) = 1 for b = {0}; k(a, b): (1 + 1/e) / 2.
    penalty = MMDPenalty(gammas=[1.0])(torch.tensor([[0.0], [1.0], [0.0]]), torch.tensor([0, 0, 1]))
    e = math.exp(-1)
    assert torch.allclose(penalty, torch.tensor((2 + 2 * e) / 4 + 1 - 2 * (1 + e) / 2))


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 6))
def test_equals_the_definition_with_domainbeds_bandwidths(seed, domains, width):
    domain = torch.cat([torch.arange(domains * 3) % domains, torch.zeros(2, dtype=torch.long)])
    features = draw(len(domain), width, seed=seed)
    assert torch.allclose(MMDPenalty()(features, domain), by_loop(features, domain), atol=1e-9)


def test_its_gradient_equals_that_of_the_definition():
    domain = torch.tensor([0, 1, 1, 0, 2, 2, 2, 0])
    a, b = draw(8, 3).requires_grad_(), draw(8, 3).requires_grad_()
    MMDPenalty()(a, domain).backward()
    by_loop(b, domain).backward()
    assert torch.allclose(a.grad, b.grad, atol=1e-9)


def test_identical_domains_are_at_zero_and_others_are_not():
    features = draw(6, 4)
    twice, domain = torch.cat([features, features]), torch.arange(12) // 6
    assert MMDPenalty()(twice, domain).abs() < 1e-12
    assert MMDPenalty()(twice + 0.5 * domain[:, None], domain) > 0.1


def test_far_apart_domains_reach_the_bound():
    # No kernel sees across, and within a domain all examples are one: 7 + 7 - 0.
    features, domain = torch.tensor([[0.0], [0.0], [1e3], [1e3]]), torch.tensor([0, 0, 1, 1])
    assert torch.allclose(MMDPenalty()(features, domain), torch.tensor(14.0))


@given(st.permutations(range(8)))
def test_order_and_names_of_domains_do_not_matter(order):
    features, domain = draw(8, 3), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    renamed = torch.tensor([9, -4, 1])[domain]
    assert torch.allclose(MMDPenalty()(features, domain), MMDPenalty()(features[order], renamed[order]))


@given(st.floats(-100, 100))
def test_moving_all_features_changes_nothing(shift):
    features, domain = draw(6, 2), torch.tensor([0, 1] * 3)
    assert torch.allclose(MMDPenalty()(features, domain), MMDPenalty()(features + shift, domain), atol=1e-6)


def test_mixed_precision_keeps_the_digits_that_matter():
    features, domain = draw(64, 8).float() + 10, torch.arange(64) % 2
    features = features + 0.3 * domain[:, None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = MMDPenalty(gammas=[0.1, 1.0])(features, domain)
    assert torch.allclose(penalty.double(), by_loop(features.double(), domain, (0.1, 1.0)), rtol=1e-3)


@pytest.mark.parametrize("gammas", [[], [0.0], [1.0, -1.0]])
def test_bandwidths_out_of_range_are_refused(gammas):
    with pytest.raises(InputError, match="numbers above 0"):
        MMDPenalty(gammas=gammas)
