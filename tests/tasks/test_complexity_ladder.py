"""The ladder of image sets: balanced, seeded, independent of each other, and growing in entropy."""

import pytest
import torch

from farfield.errors import InputError
from farfield.measure import image_entropy_2d
from farfield.tasks import complexity_ladder
from farfield.tasks.complexity_ladder import LADDER, SHAPES, draw_shapes

DRAWN = tuple(name for name in LADDER if name not in ("mnist", "digits"))


def test_drawn_sets_are_balanced_images():
    for name, table in complexity_ladder(0, rows=80, only=DRAWN).items():
        x, y = table.columns["x"], table.columns["y"]
        assert x.shape == (80, 1, 28, 28) and x.dtype == torch.float32, name
        assert float(x.min()) >= 0 and float(x.max()) <= 1 and y.bincount().tolist() == [10] * 8
        # In random order, not class after class.
        assert y.tolist() != sorted(y.tolist())


def test_the_seed_and_only_the_seed():
    one = complexity_ladder(3, rows=32, only=DRAWN)
    assert torch.equal(
        complexity_ladder(3, rows=32, only=["clutter"])["clutter"].columns["x"], one["clutter"].columns["x"]
    )
    other = complexity_ladder(4, rows=32, only=["clutter"])["clutter"]
    assert not torch.equal(other.columns["x"], one["clutter"].columns["x"])


def test_fixed_shapes_are_always_the_same_and_jittered_ones_not():
    sets = complexity_ladder(0, rows=64, only=["fixed", "jittered"])
    for name, distinct in (("fixed", 8), ("jittered", 64)):
        assert len(sets[name].columns["x"].flatten(1).unique(dim=0)) == distinct


def test_backgrounds_add_entropy():
    sets = complexity_ladder(0, rows=64, only=DRAWN)
    bits = {name: float(image_entropy_2d(t.columns["x"], 17).mean()) for name, t in sets.items()}
    assert max(bits["fixed"], bits["jittered"]) < bits["gradient"] < min(bits["clouds"], bits["texture"])
    assert bits["jittered"] < bits["clutter"]


def test_the_shape_is_the_lightest_part():
    sets = complexity_ladder(0, rows=64, only=["jittered", "clouds", "texture", "clutter"])
    # Shapes of one class have about the same area in every set.
    for name in ("clouds", "clutter"):
        x, y = sets[name].columns["x"], sets[name].columns["y"]
        area = (x >= 0.89).float().mean((1, 2, 3))
        plain = sets["jittered"].columns
        for c in range(8):
            expected = plain["x"][plain["y"] == c].mean((1, 2, 3))
            assert area[y == c].mean() == pytest.approx(float(expected.mean()), rel=0.6)


def test_eight_shapes_inside_their_radius():
    ink = draw_shapes(torch.arange(8), torch.full((8,), 0.5), torch.zeros(8, 2), size=40)
    assert len(SHAPES) == 8 and len(ink.flatten(1).unique(dim=0)) == 8
    # At half the image's radius, the outer quarter on each side is empty.
    assert float(ink[:, :, :10].sum() + ink[:, :, :, :10].sum() + ink[:, :, 30:].sum()) == 0
    assert (ink.sum((1, 2, 3)) > 50).all()
    moved = draw_shapes(torch.tensor([1]), torch.tensor([0.5]), torch.tensor([[0.5, -0.5]]), size=40)
    assert torch.equal(moved, ink[1:2].roll((10, -10), (3, 2)))


def test_scikit_learns_digits():
    table = complexity_ladder(0, rows=5000, only=["digits"])["digits"]
    assert table.columns["x"].shape == (1443, 1, 28, 28) and int(table.columns["y"].max()) == 7


@pytest.mark.needs_data("mnist-10k")
def test_mnist():
    table = complexity_ladder(1, rows=100, only=["mnist"])["mnist"]
    assert table.columns["x"].shape == (100, 1, 28, 28) and float(table.columns["x"].max()) == 1
    assert sorted(table.columns["y"].unique().tolist()) == list(range(8))


def test_bad_input():
    with pytest.raises(InputError, match="unknown set of the complexity ladder 'cloud'; nearest: clouds"):
        complexity_ladder(only=["cloud"])
    with pytest.raises(InputError, match="rows is 8; it must be at least 16"):
        complexity_ladder(rows=8)
