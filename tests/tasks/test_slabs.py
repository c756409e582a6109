"""Slab data: supports and shares in closed form, and against samples of the official generator."""

from pathlib import Path

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.measure import linear_pieces
from farfield.tasks import SlabBlocks, lms, lsn, ms

# |x| of each class at width 1 and margin 0.1: (low, high) of each slab, and the share of the class's points in it.
SUPPORTS = {
    "linear": ([(0.1, 1, 1)], [(0.1, 1, 1)]),
    3: ([(0, 0.26667, 1)], [(0.46667, 1, 1)]),
    5: ([(0, 0.12, 3 / 4), (0.76, 1, 1 / 4)], [(0.32, 0.56, 1)]),
    7: ([(0, 0.05714, 1 / 2), (0.57143, 0.68571, 1 / 2)], [(0.25714, 0.37143, 7 / 8), (0.88571, 1, 1 / 8)]),
}
ORACLE = np.load(Path(__file__).parent / "data" / "simplicity-bias.npz", allow_pickle=False)


def check_supports(values, y, kind):
    for label, slabs in enumerate(SUPPORTS[kind]):
        size = np.abs(values[y == label])
        inside = [(size >= low - 2e-5) & (size <= high + 2e-5) for low, high, _ in slabs]
        assert np.any(inside, axis=0).all(), (kind, label)
        for found, (low, high, share) in zip(inside, slabs):
            error = 4 * np.sqrt(share * (1 - share) / len(size))
            assert abs(found.mean() - share) <= error + 1e-9, (kind, label, share)
            # Uniform within the slab: mean and both ends.
            mean_error = 4 * (high - low) / np.sqrt(12 * found.sum())
            assert abs(size[found].mean() - (low + high) / 2) <= mean_error
    if kind == "linear":
        assert ((values > 0) == (y == 1)).all()
    else:
        assert abs(np.sign(values).mean()) <= 4 / np.sqrt(len(values))


def test_supports_and_shares_are_those_of_the_paper():
    data = SlabBlocks(20_000, ["linear", 3, 5, 7], rotate=False, seed=3)
    assert abs(data.y.double().mean() - 0.5) < 4 * 0.5 / np.sqrt(20_000)
    for i, kind in enumerate(data.blocks):
        check_supports(data.x[:, i].numpy(), data.y.numpy(), kind)


@pytest.mark.parametrize("name", ["lms5", "rot"])
def test_the_official_generator_passes_the_same_checks(name):
    values, y = ORACLE[f"{name}_X"] @ ORACLE[f"{name}_W"].T, ORACLE[f"{name}_y"]
    for i, slabs in enumerate(ORACLE[f"{name}_slabs"]):
        check_supports(values[:, i], y, int(slabs) or "linear")


def test_the_official_noise_is_ours():
    official = np.abs(ORACLE["all_X"][:, 0]) < 0.1 - 1e-6
    ours = SlabBlocks(4000, ["linear", 3, 5, 7], p_noise=0.1, rotate=False, seed=1)
    assert official.sum() == (ours.x[:, 0].abs() < 0.1 - 1e-6).sum() == ours.noised.sum() == 400
    # Noise is uniform in the margin, and says nothing of the class.
    inside = ours.x[ours.noised, 0]
    assert abs(inside.mean()) < 4 * 0.2 / np.sqrt(12 * 400)
    right = ((ours.x[:, 0] > 0) == (ours.y == 1)).double()
    assert right[~ours.noised].all() and abs(right.mean() - 0.95) < 4 * np.sqrt(0.25 * 400) / 4000
    flipped = SlabBlocks(4000, ["linear", 3], p_noise=0.1, noise="flip", rotate=False, seed=1)
    wrong = (flipped.x[:, 0] > 0) != (flipped.y == 1)
    assert wrong.sum() == 400 and torch.equal(wrong, flipped.noised)


def test_a_rotation_is_orthogonal_and_undone_by_its_transpose():
    data = lms(5, 20, n=500, seed=2)
    identity = data.rotation @ data.rotation.T
    torch.testing.assert_close(identity, torch.eye(20), atol=1e-5, rtol=0)
    for i, kind in enumerate(data.blocks):
        values = data.coordinates()[:, i].numpy()
        assert kind == data.blocks[i] and linear_pieces(values, data.y) == (2 if kind == "linear" else kind)
    # No coordinate of x is a block.
    assert data.rotation.abs().max() < 0.99
    assert torch.equal(lms(5, 3, n=9, rotate=False).rotation, torch.eye(3))


@pytest.mark.parametrize(("kind", "best"), [("linear", 1.0), (3, 0.75), (5, 0.6875), (7, 0.625)])
def test_one_threshold_and_the_correlation(kind, best):
    n = 50_000
    data = SlabBlocks(n, [kind], rotate=False, seed=4)
    x, y = data.x[:, 0].double(), data.y.double()
    sorted_y = y[x.argsort()]
    # Right with class 1 above the threshold, for every place of it; and the other way round.
    ones = torch.cat([torch.zeros(1), sorted_y.cumsum(0)])
    right = (torch.arange(n + 1) - ones + y.sum() - ones) / n
    assert max(right.max(), 1 - right.min()) == pytest.approx(best, abs=0.01)
    correlation = float(torch.corrcoef(torch.stack([x, y]))[0, 1])
    assert (correlation > 0.9) if kind == "linear" else abs(correlation) < 4 / np.sqrt(n)


def test_blocks_are_independent_given_the_class():
    data = SlabBlocks(40_000, [5, 5, 7, "noise"], rotate=False, seed=5)
    for label in (0, 1):
        rows = data.x[data.y == label]
        for values in (rows, rows.abs()):
            found = torch.corrcoef(values.T) - torch.eye(4)
            assert found.abs().max() < 5 / np.sqrt(len(rows))


def test_width_scales_everything_and_the_seed_decides():
    small, large = (SlabBlocks(300, ["linear", 7, "noise"], width=w, seed=6) for w in (1.0, 10.0))
    torch.testing.assert_close(large.x, 10 * small.x, rtol=1e-4, atol=1e-4)
    assert torch.equal(small.x, SlabBlocks(300, ["linear", 7, "noise"], seed=6).x)
    assert not torch.equal(small.x, SlabBlocks(300, ["linear", 7, "noise"], seed=7).x)
    wide = SlabBlocks(5000, [3], margin=0.2, rotate=False)
    assert (wide.x.abs().amax() <= 1) and not ((wide.x.abs() > 0.2001) & (wide.x.abs() < 0.5999)).any()


def test_the_named_sets():
    assert lms(7, 4, n=10).blocks == ("linear", 7, 7, 7)
    assert ms(5, 7, 4, n=10).groups() == {"5-slab": [0], "7-slab": [1, 2, 3]}
    assert ms(7, 7, 3, n=10).groups() == {"7-slab": [0, 1, 2]}
    data = lsn(50, n=20_000)
    assert data.groups() == {"linear": [0], "3-slab": [1], "noise": list(range(2, 50))} and len(data) == 20_000
    assert data.x[:, 2:].std() == pytest.approx(1, abs=0.01)
    assert int(lms(7, 3, n=1000, p_noise=0.1).noised.sum()) == 100
    assert set(data.table().columns) == {"x", "y"} and data.x.dtype == torch.float32 and data.y.dtype == torch.int64


def test_bad_arguments_are_refused():
    for options, match in (
        ({"n": 0}, "n is 0"),
        ({"blocks": []}, "0 blocks"),
        ({"blocks": [4]}, "blocks holds 4; a block is"),
        ({"margin": 0.25, "blocks": [5]}, "margin is 0.25; .* below 0.25"),
        ({"margin": 0.0}, "margin is 0.0"),
        ({"width": 0.0}, "width is 0.0"),
        ({"p_noise": 1.5}, "p_noise 1.5"),
        ({"noise": "sign"}, "noise 'sign'"),
        ({"p_noise": 0.1, "blocks": [3]}, "no block is linear"),
    ):
        with pytest.raises(InputError, match=match):
            SlabBlocks(**{"n": 5, "blocks": ["linear", 3], **options})
    for make in (lambda: lms(5, 1), lambda: ms(5, 7, 1), lambda: lsn(1)):
        with pytest.raises(InputError, match="d is 1"):
            make()
