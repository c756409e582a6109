import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks import EasyHard, easy_hard_split

NAMES = ("easy_train", "easy_test", "hard_train", "hard_test")


@given(st.integers(0, 1000), st.sampled_from([0.1, 0.25, 0.5]), st.booleans())
def test_sets_are_disjoint_of_one_size_and_balance_and_easy_is_easier(seed, share, ties):
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [40, 23, 30])
    difficulty = rng.integers(1, 4, size=93).astype(float) if ties else rng.random(93)
    split = easy_hard_split(difficulty, y, share=share, seed=seed)
    assert isinstance(split, EasyHard)
    parts = [getattr(split, name).numpy() for name in NAMES]
    everything = np.concatenate(parts)
    assert len(np.unique(everything)) == len(everything)
    for label, n in zip(range(3), (40, 23, 30)):
        assert [int((y[part] == label).sum()) for part in parts] == [int(n * share) // 2] * 4
        easy = np.concatenate([difficulty[p[y[p] == label]] for p in parts[:2]])
        hard = np.concatenate([difficulty[p[y[p] == label]] for p in parts[2:]])
        assert easy.max() <= hard.min()
        rest = np.setdiff1d(np.flatnonzero(y == label), everything)
        if len(rest):
            assert easy.max() <= difficulty[rest].min() and difficulty[rest].max() <= hard.min()


def test_the_seed_decides_between_equals():
    y = torch.zeros(100, dtype=torch.long)
    first, same, other = (easy_hard_split(torch.ones(100), y, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.easy_train, same.easy_train)
    assert not torch.equal(first.easy_train.sort()[0], other.easy_train.sort()[0])


def test_what_does_not_fit_is_refused():
    y = torch.tensor([0] * 20 + [1] * 5)
    for difficulty, settings, message in [
        (torch.rand(24), {}, r"difficulty has shape \(24,\); expected \(25,\)"),
        (torch.full((25,), torch.nan), {}, "not finite"),
        (torch.rand(25), {"share": 0.6}, r"share is 0\.6"),
        (torch.rand(25), {"share": 0.2}, r"class 1 has 5 examples; a share of 0\.2 needs 10"),
    ]:
        with pytest.raises(InputError, match=message):
            easy_hard_split(difficulty, y, **settings)
