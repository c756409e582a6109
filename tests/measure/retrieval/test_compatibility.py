"""Compatibility of models: the released code's numbers and matrices, invariances, and slow loops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from farfield.errors import InputError
from farfield.measure.retrieval import (
    Violations,
    average_accuracy,
    average_compatibility,
    compatibility_matrix,
    compatibility_violations,
    identification_accuracy,
)
from farfield.measure.retrieval import compatibility as module

ORACLE = np.load(Path(__file__).parents[2] / "data" / "stationary-representations.npz", allow_pickle=False)
# The released matrix of the loss, 7 tasks.
PUBLISHED = """
.58892
.597 .6156
.6305 .65276 .69314
.63336 .65298 .70626 .72374
.65006 .67872 .70754 .72114 .73828
.6408 .67188 .71166 .72712 .74704 .76194
.6314 .6635 .72096 .73496 .75232 .76652 .77164
"""


def published():
    rows = [[float(v) for v in line.split()] for line in PUBLISHED.split("\n") if line]
    return np.array([row + [np.nan] * (7 - len(row)) for row in rows])


def test_the_published_matrix():
    assert average_compatibility(published()) == pytest.approx(20 / 21)
    assert average_accuracy(published()) == pytest.approx(68.899, abs=5e-4)


@pytest.mark.parametrize("name", ["M0", "M1", "M2"])
def test_matrices_of_the_released_code(name):
    c = ORACLE[name]
    assert average_compatibility(torch.from_numpy(c)) == pytest.approx(ORACLE[f"{name}_AC"].item())
    assert average_accuracy(c) == pytest.approx(ORACLE[f"{name}_AM"].item())
    for t in range(5):
        assert average_accuracy(c[: t + 1, : t + 1]) == pytest.approx(ORACLE[f"{name}_AM_per_task"][t])
    for t in range(1, 5):
        found = average_compatibility(c[: t + 1, : t + 1])
        assert found == pytest.approx(ORACLE[f"{name}_AC_per_task"][t - 1])


def test_ties_are_incompatible_and_zeros_count_unless_asked():
    assert average_compatibility(np.full((4, 4), 0.5)) == 0
    c = np.array([[0.0, 0.0], [0.5, 1.0]])
    assert average_accuracy(c) == 50 and average_accuracy(c, drop_zeros=True) == 75
    assert average_accuracy(np.zeros((2, 2)), drop_zeros=True) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(0, 10_000))
def test_only_the_order_of_accuracies_decides_compatibility(size, seed):
    c = np.random.default_rng(seed).random((size, size))
    pairs = [c[t, k] > c[k, k] for t in range(size) for k in range(t)]
    assert average_compatibility(c) == pytest.approx(np.mean(pairs))
    assert average_compatibility(np.log(c) - 3) == average_compatibility(c)


def test_identification_of_the_released_code():
    found = identification_accuracy(*(ORACLE[k] for k in ("query", "query_y", "gallery", "gallery_y")))
    assert found == ORACLE["identification_acc"].item()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([7, 16_000_000]))
def test_identification_against_a_loop(seed, block):
    rng = np.random.default_rng(seed)
    g, q = rng.normal(size=(20, 4)), rng.normal(size=(15, 4))
    gy, qy = np.arange(20) % 5 * 3, np.arange(15) % 5 * 3
    units = g / np.linalg.norm(g, axis=1, keepdims=True)
    means = [units[gy == c].mean(0) for c in (0, 3, 6, 9, 12)]
    cosines = np.array([[row @ m / np.linalg.norm(m) for m in means] for row in q])
    expected = np.mean(cosines.argmax(1) * 3 == qy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        assert identification_accuracy(q, qy, g, gy) == pytest.approx(expected)


def test_a_matrix_is_unchanged_where_all_turn_together():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 5))
    y = np.arange(120) % 6
    spaces = [centres[y] + noise * rng.normal(size=(120, 5)) for noise in (2.0, 1.0, 0.5)]
    turn = ortho_group.rvs(5, random_state=1)
    gallery, query = np.arange(0, 60), np.arange(60, 120)
    parts = (query, y[query]), (gallery, y[gallery])
    c = compatibility_matrix(spaces, *parts)
    np.testing.assert_array_equal(compatibility_matrix([x @ turn for x in spaces], *parts), c)
    assert np.isnan(c[np.triu_indices(3, 1)]).all() and (np.diff(c.diagonal()) > 0).all()
    # Where one alone is turned, only its own gallery is still read.
    one = compatibility_matrix([spaces[0], spaces[1] @ turn], *parts)
    assert one[1, 1] == c[1, 1] and one[1, 0] < c[1, 0]
    # Of a wider vector, the first dimensions meet the old one.
    wide = np.hstack([spaces[1], rng.normal(size=(120, 3))])
    assert compatibility_matrix([spaces[0], wide], *parts)[1, 0] == c[1, 0]


def test_models_give_the_vectors_that_arrays_hold():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(1200, 4, generator=generator), torch.arange(1200) % 4
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    function = model[0]
    vectors = [model.eval()(x).detach(), function(x).detach()]
    model.train()
    rows, rest = torch.arange(600), torch.arange(600, 1200)
    by_rows = compatibility_matrix(vectors, (rows, y[rows]), (rest, y[rest]))
    # A function is called as it is; 600 rows take two calls.
    found = compatibility_matrix([model, lambda part: function(part)], (x[rows], y[rows]), (x[rest], y[rest]))
    np.testing.assert_array_equal(found, by_rows)
    assert model.training and model[1].num_batches_tracked == 0
    # Another metric takes the place of identification.
    count = compatibility_matrix(vectors, (rows, y[rows]), (rest, y[rest]), lambda q, qy, g, gy: len(q) / len(g))
    assert count[1, 0] == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([5, 16_000_000]))
def test_violations_against_a_loop(seed, block):
    rng = np.random.default_rng(seed)
    old, new, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 4)), np.arange(9) % 3

    def distance(a, b):
        return np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b))

    bad = {True: [], False: []}
    for i in range(9):
        for j in range(9):
            if i != j:
                before, after = distance(old[i], old[j]), distance(new[i, :3], old[j])
                bad[y[i] == y[j]].append(after > before if y[i] == y[j] else after < before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = compatibility_violations(new, old, y)
    assert (found.same, found.different) == pytest.approx((np.mean(bad[True]), np.mean(bad[False])))


def test_limits_of_violations():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 6)), np.arange(30) % 3
    none = Violations(0.0, 0.0)
    assert compatibility_violations(x, x, y) == none
    # Lengths do not count, and what both turn by makes no difference beyond rounding.
    assert compatibility_violations(5 * x, x, y) == none
    turn = ortho_group.rvs(6, random_state=2)
    assert compatibility_violations(x @ turn, x @ turn, y) == none
    # Classes at the corners: as far from the others as can be.
    corners = np.eye(3)[y]
    assert compatibility_violations(corners, corners, y) == none
    assert compatibility_violations(-corners, corners, y) == Violations(1.0, 0.0)


def test_bad_input_is_named():
    x, y = np.eye(3), np.array([0, 0, 1])
    with pytest.raises(InputError, match="the class 4, which is not in gy"):
        identification_accuracy(x, np.array([0, 1, 4]), x, y)
    with pytest.raises(InputError, match="q has 2 dimensions but g has 3"):
        identification_accuracy(x[:, :2], y, x, y)
    with pytest.raises(InputError, match="a single class"):
        compatibility_violations(x, x, np.zeros(3, dtype=int))
    with pytest.raises(InputError, match="no two items of one class"):
        compatibility_violations(x, x, np.arange(3))
    with pytest.raises(InputError, match="phi_new has 3 rows but phi_old has 4"):
        compatibility_violations(x, np.eye(4), y)
    with pytest.raises(InputError, match="models is empty"):
        compatibility_matrix([], (x, y), (x, y))
    with pytest.raises(InputError, match=r"models\[0\] has 3 rows; rows 0 to 3"):
        compatibility_matrix([x], (np.arange(4), np.zeros(4)), (np.arange(3), y))
    with pytest.raises(InputError, match=r"shape \(1, 1\).*at least 2"):
        average_compatibility(np.ones((1, 1)))
    with pytest.raises(InputError, match="not finite"):
        average_accuracy(np.array([[0.5, 0.1], [np.nan, 0.5]]))
    with pytest.raises(InputError, match="from 50 to 70; expected shares"):
        average_accuracy(np.array([[50.0, 0], [60, 70]]))
