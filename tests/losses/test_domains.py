import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses._domains import Domains, check_rows, full_precision, mean_pair_distance


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(0, 1000))
def test_means_equal_an_explicit_loop(domain, seed):
    domain = torch.tensor(domain)
    values = torch.randn(len(domain), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = torch.stack([values[domain == d].mean(0) for d in sorted(set(domain.tolist()))])
    assert torch.allclose(Domains.of(domain).means(values), expected)


def test_block_means_equal_an_explicit_loop():
    domain = torch.tensor([3, 1, 3, 3, 1, 0])
    values = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.stack(
        [torch.stack([values[domain == a][:, domain == b].mean() for b in (0, 1, 3)]) for a in (0, 1, 3)]
    )
    assert torch.allclose(Domains.of(domain).block_means(values), expected)


@given(st.integers(1, 6), st.integers(0, 1000))
def test_mean_pair_distance_is_the_mean_over_pairs(m, seed):
    points = torch.randn(m, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pairs = [(points[a] - points[b]).square().sum() for a in range(m) for b in range(a)]
    expected = torch.stack(pairs).mean() if pairs else torch.zeros((), dtype=torch.float64)
    assert torch.allclose(mean_pair_distance(points @ points.T), expected, atol=1e-12)


def test_full_precision_turns_autocast_off_and_on_again():
    ones = torch.ones(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with full_precision(ones):
            assert (ones @ ones).dtype == torch.float32
        assert (ones @ ones).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "domain", [torch.zeros(2, 1, dtype=torch.long), torch.zeros(2), torch.zeros(0, dtype=torch.long)]
)
def test_a_domain_column_of_another_kind_is_refused(domain):
    with pytest.raises(InputError, match="expected \\(n,\\) integers"):
        check_rows(domain)


def test_rows_that_do_not_match_are_named():
    with pytest.raises(InputError, match="features has 3 rows but domain has 2"):
        check_rows(torch.tensor([0, 1]), features=torch.zeros(3, 1))
