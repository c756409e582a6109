import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.batches import by_domain, uniform
from farfield.errors import InputError


def take(stream, count):
    return list(itertools.islice(stream, count))


@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 1000))
def test_uniform_shows_every_example_once_per_epoch_in_batches_of_one_size(n, batch_size, seed):
    size = min(n, batch_size)
    epochs = 3
    batches = take(uniform(n, batch_size, seed=seed), -(-epochs * n // size))
    assert {len(b) for b in batches} == {size}
    stream = torch.cat(batches)[: epochs * n]
    for epoch in stream.split(n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_uniform_takes_a_new_order_each_epoch_and_the_seed_decides_it():
    first, second = take(uniform(100, 100, seed=0), 2)
    assert not torch.equal(first, second)
    assert torch.equal(first, next(uniform(100, 100, seed=0)))
    assert not torch.equal(first, next(uniform(100, 100, seed=1)))


def test_uniform_draws_every_first_example_equally_often():
    first = torch.stack([next(uniform(4, 1, seed=s))[0] for s in range(2000)])
    assert (first.bincount() - 500).abs().max() < 100  # five standard deviations


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(8, 40), st.integers(0, 100))
def test_by_domain_holds_as_many_of_each_domain(sizes, batch_size, seed):
    domain = torch.cat([torch.full((n,), 10 - d) for d, n in enumerate(sizes)])
    domain = domain[torch.randperm(len(domain), generator=torch.Generator().manual_seed(seed))]
    chosen = min(len(sizes), max(2, batch_size // 8))
    for batch in take(by_domain(domain, batch_size, seed=seed), 5):
        found, counts = domain[batch].unique(return_counts=True)
        assert len(found) == chosen
        assert set(counts.tolist()) == {batch_size // chosen}
        assert torch.equal(domain[batch], domain[batch].sort().values)  # one domain after the other


def test_by_domain_shows_each_example_once_per_epoch_of_its_domain():
    domain = torch.tensor([0] * 6 + [1] * 12)
    batches = take(by_domain(domain, 12, seed=0), 4)
    small = torch.cat([b[domain[b] == 0] for b in batches])
    large = torch.cat([b[domain[b] == 1] for b in batches])
    assert all(sorted(epoch.tolist()) == list(range(6)) for epoch in small.split(6))
    assert all(sorted(epoch.tolist()) == list(range(6, 18)) for epoch in large.split(12))


def test_by_domain_repeats_a_small_domain_evenly():
    domain = torch.tensor([0] + [1] * 20)
    batch = next(by_domain(domain, 16, seed=0))
    assert batch[:8].tolist() == [0] * 8
    assert len(batch[8:].unique()) == 8
    # Three examples, eight per batch: over whole epochs all come equally often.
    domain = torch.tensor([0] * 3 + [1] * 20)
    rows = torch.cat([b[:8] for b in take(by_domain(domain, 16, seed=0), 9)])
    assert rows.bincount().tolist() == [24, 24, 24]


def test_by_domain_draws_domains_where_there_are_many():
    domain = torch.arange(100) % 10
    batches = take(by_domain(domain, 32, seed=0), 500)
    seen = torch.stack([domain[b].unique() for b in batches])
    assert seen.shape == (500, 4)
    # Each of ten domains is in four tenths of the batches; six standard deviations.
    assert (seen.flatten().bincount() - 200).abs().max() < 66


def test_by_domain_follows_the_seed_and_differs_between_domains():
    domain = torch.tensor([0] * 30 + [1] * 30)
    a, b = (torch.cat(take(by_domain(domain, 20, seed=s), 3)) for s in (0, 0))
    assert torch.equal(a, b)
    assert not torch.equal(a, torch.cat(take(by_domain(domain, 20, seed=1), 3)))
    assert not torch.equal(a[:10], a[10:20] - 30)


def test_the_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    take(uniform(10, 3, seed=0), 5)
    take(by_domain(torch.arange(10) % 2, 4, seed=0), 5)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "stream", [lambda n, b: uniform(n, b, seed=0), lambda n, b: by_domain(torch.zeros(n), b, seed=0)]
)
def test_nothing_to_draw_from_and_empty_batches_are_refused(stream):
    with pytest.raises(InputError, match="no example to draw batches from"):
        next(stream(0, 1))
    with pytest.raises(InputError, match="batch_size is 0; it must be at least 1"):
        next(stream(3, 0))
