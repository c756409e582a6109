"""A head learned from two models' vectors: it meets the old gallery, keeps the new model's ranking, and gives way to no bad input."""

import sys

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import compatibility_report
from farfield.reuse import Upgrade, upgrade


def world(n, seed, classes=12):
    """An old model with four noisy dimensions of a class, a new one with sixteen, turned at random."""
    shape = np.random.default_rng(0)
    centres, turn = shape.normal(size=(classes, 16)), np.linalg.qr(shape.normal(size=(16, 16)))[0]
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = centres[y] + 0.6 * rng.normal(size=(n, 16))
    old = x[:, :6] + 0.8 * rng.normal(size=(n, 6))
    return old.astype("float32"), (x @ turn).astype("float32"), y


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def learned():
    old, new, y = world(600, 1)
    return upgrade(old, new, y, 2, steps=400), upgrade(old, new, None, 2, steps=400)


@pytest.mark.parametrize("labelled", [True, False])
def test_new_queries_meet_the_old_gallery_and_lose_nothing_of_their_own(learned, labelled):
    made = learned[0 if labelled else 1]
    assert isinstance(made, Upgrade) and made.d_old == 6
    old, new, y = world(300, 2)
    z = made.transform(new)
    assert z.shape == (300, 18) and z.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), np.sqrt(5), rtol=1e-4)
    report = compatibility_report(unit(old), unit(new), {"upgraded": z, "as it is": unit(new)}, y)
    found = report.candidates["upgraded"]
    assert found.new_old.map > report.old_old.map + 0.02 > report.candidates["as it is"].new_old.map + 0.1
    assert found.new_new.map > report.star_star.map - 0.1


def test_it_goes_by_direction_alone_and_in_blocks(learned, monkeypatch):
    _, new, _ = world(50, 3)
    z = learned[0].transform(new)
    np.testing.assert_allclose(learned[0].transform(7 * new.astype("float64")), z, atol=1e-5)
    monkeypatch.setattr(sys.modules["farfield.reuse.upgrade"], "ROWS", 7)
    np.testing.assert_allclose(learned[0].transform(torch.from_numpy(new)).numpy(), z, atol=1e-5)


def test_the_same_seed_gives_the_same_head_and_labels_may_be_any_integers():
    old, new, y = world(60, 4)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        before = torch.get_rng_state()
        first = upgrade(old, new, y, 2, steps=3, seed=5)
        assert torch.equal(torch.get_rng_state(), before)
    again = upgrade(old, new, 1000 - 10 * y, 2, steps=3, seed=5)
    other = upgrade(old, new, y, 2, steps=3, seed=6)
    # Other names change the order of the classes, not the space of the first step's head.
    assert again.transform(new).shape == first.transform(new).shape
    np.testing.assert_array_equal(upgrade(old, new, y, 2, steps=3, seed=5).transform(new), first.transform(new))
    assert np.abs(other.transform(new) - first.transform(new)).max() > 1e-3
    assert len(first.history.loss) == 3


def test_it_starts_from_the_new_model_unchanged():
    old, new, _ = world(60, 5)
    made = upgrade(old, new, None, 2, steps=1, learning_rate=1e-9)
    with torch.no_grad():
        feature = made.head(torch.from_numpy(unit(new))).feature
    np.testing.assert_allclose(feature.numpy(), unit(new), atol=1e-5)


def test_input_that_does_not_fit(learned):
    old, new, y = world(24, 6)
    with pytest.raises(InputError, match="old_embeddings has 5 rows but new_embeddings has 24"):
        upgrade(old[:5], new, y, 2)
    with pytest.raises(InputError, match="new_embeddings has 24 rows but y has 5"):
        upgrade(old, new, y[:5], 2)
    with pytest.raises(InputError, match="a single row"):
        upgrade(old[:1], new[:1], None, 2)
    with pytest.raises(InputError, match="extra_dims is 32; for 6 old and 16 new dimensions it must be from 0 to 6"):
        upgrade(old, new, y)
    with pytest.raises(InputError, match="steps is 0; it must be above 0"):
        upgrade(old, new, y, 2, steps=0)
    zeros, nan = old.copy(), new.copy()
    zeros[3], nan[4, 1] = 0, np.nan
    with pytest.raises(InputError, match="row 3 of old_embeddings is all zeros"):
        upgrade(zeros, new, y, 2)
    with pytest.raises(InputError, match="new_embeddings holds a value that is not finite, first in row 4"):
        upgrade(old, nan, y, 2)
    with pytest.raises(InputError, match=r"new_embeddings has shape \(24, 6\); expected \(n, 16\)"):
        learned[0].transform(old)
