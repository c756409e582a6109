import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.losses import CoralPenalty


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_covariances(features, domain):
    """The definition, with explicit covariances and a loop over pairs."""
    groups = [features[domain == d] for d in domain.unique()]
    terms = [
        (a.mean(0) - b.mean(0)).square().mean() + (a.T.cov() - b.T.cov()).square().mean()
        for a, b in itertools.combinations(groups, 2)
    ]
    return torch.stack(terms).mean()


def test_two_dimensions_by_hand():
    # Domain 0: (0, 0), (2, 2): mean (1, 1), covariance all 2. Domain 1: (1, 0), (1, 4): mean (1, 2), covariance diag(0, 8).
    features = torch.tensor([[0.0, 0.0], [2.0, 2.0], [1.0, 0.0], [1.0, 4.0]])
    penalty = CoralPenalty()(features, torch.tensor([0, 0, 1, 1]))
    assert torch.allclose(penalty, torch.tensor(1 / 2 + (4 + 4 + 4 + 36) / 4))


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 7))
def test_equals_the_definition(seed, domains, width):
    domain = torch.arange(domains * 3) % domains
    domain = torch.cat([domain, torch.zeros(2, dtype=torch.long)])  # of unequal sizes
    features = draw(len(domain), width, seed=seed) + 5
    assert torch.allclose(CoralPenalty()(features, domain), by_covariances(features, domain))


def test_its_gradient_equals_that_of_the_definition():
    domain = torch.tensor([0, 1, 1, 0, 2, 2, 2, 0])
    a, b = draw(8, 3).requires_grad_(), draw(8, 3).requires_grad_()
    CoralPenalty()(a, domain).backward()
    by_covariances(b, domain).backward()
    assert torch.allclose(a.grad, b.grad)


def test_identical_domains_are_at_zero_and_others_are_not():
    features = draw(6, 4)
    twice, domain = torch.cat([features, features]), torch.arange(12) // 6
    assert CoralPenalty()(twice, domain).abs() < 1e-12
    assert CoralPenalty()(twice + 0.5 * domain[:, None], domain) > 0.2  # the mean alone: 0.25
    assert CoralPenalty()(twice * (1 + domain[:, None]), domain) > 0.1


@given(st.permutations(range(8)))
def test_order_and_names_of_domains_do_not_matter(order):
    features, domain = draw(8, 3), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    renamed = torch.tensor([9, -4, 1])[domain]
    assert torch.allclose(CoralPenalty()(features, domain), CoralPenalty()(features[order], renamed[order]))


@given(st.floats(-1e3, 1e3))
def test_moving_all_features_changes_nothing(shift):
    features, domain = draw(6, 2), torch.tensor([0, 1] * 3)
    assert torch.allclose(CoralPenalty()(features, domain), CoralPenalty()(features + shift, domain), rtol=1e-6)


def test_one_domain_is_at_zero_and_a_single_example_has_no_covariance():
    assert CoralPenalty()(draw(4, 2), torch.zeros(4, dtype=torch.long)).abs() < 1e-12
    features = torch.tensor([[0.0], [2.0], [5.0]])
    assert torch.allclose(CoralPenalty()(features, torch.tensor([0, 0, 1])), torch.tensor(16.0 + 4.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mixed_precision_keeps_the_digits_that_matter(dtype):
    features, domain = draw(64, 32).float() + 10, torch.arange(64) % 2
    features = (features + 0.01 * domain[:, None]).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = CoralPenalty()(features, domain)
    assert penalty.dtype == torch.float32
    assert torch.allclose(penalty.double(), by_covariances(features.double(), domain), rtol=1e-3)
