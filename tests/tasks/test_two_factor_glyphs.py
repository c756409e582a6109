import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import shared_factors, two_factor_glyphs


def test_classes_are_all_triples_and_equally_many():
    for table, per_class in zip(two_factor_glyphs(3, 2, seed=4), (3, 2)):
        y, factors = table.columns["y"], table.columns["factors"]
        assert y.bincount().tolist() == [per_class] * 64
        triples = {int(c): {tuple(f) for f in factors[y == c].tolist()} for c in y.unique()}
        assert all(len(found) == 1 for found in triples.values())
        assert len({next(iter(found)) for found in triples.values()}) == 64


def test_images_show_their_factors_and_no_image_is_in_both():
    train, test = two_factor_glyphs(4, 2, noise=0.0, seed=1)
    x, factors = train.columns["x"], train.columns["factors"]
    assert x.shape == (256, 3, 16, 16) and 0 <= float(x.min()) <= float(x.max()) <= 1
    for row in range(0, 256, 7):
        ink = x[row].reshape(3, -1).T[(x[row].reshape(3, -1).T - 0.5).abs().amax(1) > 1e-6]
        brightest = ink[ink.sum(1).argmax()]
        red, green, blue = (float(v) for v in brightest)
        # Red, green, blue, and yellow, which is both red and green.
        found = 3 if min(red, green) > 2 * blue else [red, green, blue].index(max(red, green, blue))
        assert found == int(factors[row, 2])
        # A plain shape has one shade.
        assert (len(ink.unique(dim=0)) == 1) == (int(factors[row, 1]) == 0)
    both = torch.cat([train.columns["x"], test.columns["x"]]).flatten(1)
    assert len(both.unique(dim=0)) > len(both) - 8  # tiny noiseless shapes may coincide


def test_train_and_test_number_the_classes_alike_and_seeds_differently():
    def by_class(table):
        return {int(y): tuple(f) for y, f in zip(table.columns["y"], table.columns["factors"].tolist())}

    train, test = two_factor_glyphs(1, 1, seed=2)
    again, _ = two_factor_glyphs(1, 1, seed=2)
    other, _ = two_factor_glyphs(1, 1, seed=3)
    assert by_class(train) == by_class(test) != by_class(other)
    assert torch.equal(train.columns["x"], again.columns["x"])


def test_a_test_image_is_no_training_image_of_any_seed():
    train = [two_factor_glyphs(1, 1, seed=s)[0].columns["x"] for s in range(3)]
    test = [two_factor_glyphs(1, 1, seed=s)[1].columns["x"] for s in range(3)]
    assert len(torch.cat([*train, *test]).flatten(1).unique(dim=0)) == 6 * 64


def test_shared_factors_counts():
    train, _ = two_factor_glyphs(1, 1)
    factors = train.columns["factors"][train.columns["y"].argsort()]
    shared = shared_factors(factors)
    assert torch.equal(shared, shared.T) and bool((shared.diagonal() == 3).all())
    # Of the 63 others: 3 x 3 share two factors, 3 x 9 share one, 27 share none.
    for row in shared:
        assert row.bincount(minlength=4).tolist() == [27, 27, 9, 1]


def test_as_a_task():
    task = tasks.load("glyphs", seed=1)
    assert (len(task.train), len(task.val), len(task.tests["iid"])) == (64 * 12, 64 * 2, 64 * 6)
    for split, per_class in ((task.train, 12), (task.val, 2), (task.tests["iid"], 6)):
        assert split.columns["y"].bincount().tolist() == [per_class] * 64
    x = torch.cat([s.columns["x"] for s in (task.train, task.val, task.tests["iid"])]).flatten(1)
    assert len(x.unique(dim=0)) == len(x)
    assert task.fingerprint == tasks.load("glyphs", seed=1).fingerprint != tasks.load("glyphs", seed=2).fingerprint
    assert "glyphs" in tasks.names()


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="train is 0"):
        two_factor_glyphs(0, 1)
    with pytest.raises(InputError, match="size 8"):
        two_factor_glyphs(1, 1, size=8)
    with pytest.raises(InputError, match="factors has shape"):
        shared_factors(torch.zeros(3, dtype=torch.long))
    with pytest.raises(InputError, match="glyphs"):
        tasks.load("glyphs?size=20")
