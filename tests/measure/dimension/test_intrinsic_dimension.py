import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import DimensionEstimate, dimension_estimate, intrinsic_dimension
from farfield.measure.dimension.intrinsic_dimension import _inverse, _twonn


def normal(n, d, seed=0, columns=None):
    """Normal points of d dimensions, rotated into more columns."""
    g = np.random.default_rng(seed)
    x = g.normal(size=(n, d))
    if columns is None:
        return x
    rotation, _ = np.linalg.qr(g.normal(size=(columns, columns)))
    return x @ rotation[:d]


@pytest.fixture(scope="module")
def official():
    """Numbers of ppope/dimensions, the code that the authors call, on 200 points."""
    path = Path(__file__).parent.parent / "data" / "intrinsic-properties.npz"
    return np.load(path, allow_pickle=False)


@pytest.mark.parametrize("k", [5, 10, 20])
def test_mle_equals_the_official_numbers(official, k):
    x = official["X"]
    assert intrinsic_dimension(x, k=k) == pytest.approx(float(official[f"mackay_k{k}"]), abs=1e-8)
    assert intrinsic_dimension(x, k=k, average="mean") == pytest.approx(float(official[f"mle_k{k}"]), abs=1e-8)


def test_pointwise_and_twonn_equal_the_official_numbers(official):
    found = intrinsic_dimension(official["X"], pointwise=True)
    np.testing.assert_allclose(found, official["mle_pointwise_k20"], atol=1e-8)
    assert intrinsic_dimension(official["X"], "twonn") == pytest.approx(float(official["twonn"]), abs=1e-8)


@pytest.mark.parametrize("d, columns", [(2, 5), (6, 40)])
def test_it_equals_scikit_dimension(d, columns):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skdim
    x = normal(400, d, columns=columns)
    theirs = skdim.id.MLE(unbiased=True).fit(x, n_neighbors=20)
    assert intrinsic_dimension(x) == pytest.approx(theirs.dimension_, rel=1e-9)
    np.testing.assert_allclose(intrinsic_dimension(x, pointwise=True), theirs.dimension_pw_, rtol=1e-9)
    # Its fraction to discard that leaves out the last point only.
    theirs = skdim.id.TwoNN(discard_fraction=0.5 / 400).fit(x)
    assert intrinsic_dimension(x, "twonn") == pytest.approx(float(theirs.dimension_), rel=1e-9)


def test_three_distances_by_hand():
    inverse = _inverse(torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64))
    assert float(inverse) == pytest.approx(np.log(4) + np.log(2))
    assert float(1 / inverse) == pytest.approx(0.4809, abs=1e-4)


@pytest.mark.parametrize("d", [1.0, 3.5])
def test_twonn_is_exact_on_exact_ratios(d):
    n = 50
    ratios = np.append((1 - np.arange(1, n) / n) ** (-1 / d), 1e6)  # the last is left out
    shuffled = np.random.default_rng(0).permutation(ratios)
    value, error = _twonn(torch.from_numpy(np.stack([np.ones(n), shuffled], 1)))
    assert value == pytest.approx(d, rel=1e-12)
    assert error == pytest.approx(d * (1.25 / n) ** 0.5)


@pytest.mark.parametrize("d, low, high", [(2, 1.9, 2.1), (5, 4.5, 5.5), (16, 10, 13)])
def test_known_dimensions_in_more_columns(d, low, high):
    assert low < intrinsic_dimension(normal(2000, d, columns=30)) < high


@pytest.mark.parametrize("d", [4, 8])
def test_geomle_comes_nearer_to_the_truth_on_a_sphere(d):
    x = normal(800, d + 1)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found, plain = intrinsic_dimension(x, "geomle"), intrinsic_dimension(x)
    assert abs(found - d) < 0.75 * abs(plain - d)
    assert intrinsic_dimension(7 * x, "geomle") == pytest.approx(found, rel=1e-6)
    assert intrinsic_dimension(x, "geomle", seed=1) != found
    assert intrinsic_dimension(x, "geomle", pointwise=True).mean() == pytest.approx(found)


@settings(deadline=None, max_examples=25)
@given(st.floats(1e-6, 1e6), st.floats(-5, 5), st.integers(0, 1000), st.sampled_from(["mle", "twonn"]))
def test_rotation_translation_scale_and_constant_columns_change_nothing(scale, shift, seed, method):
    x = normal(60, 3, seed)
    rotation, _ = np.linalg.qr(normal(3, 3, seed + 1))
    moved = np.concatenate([scale * (x @ rotation + shift), np.full((60, 2), scale)], axis=1)
    assert intrinsic_dimension(moved, method, 8) == pytest.approx(intrinsic_dimension(x, method, 8), rel=1e-6)


@pytest.mark.parametrize("method", ["mle", "twonn", "geomle"])
def test_copies_change_nothing(method):
    x = normal(150, 3)
    doubled = np.concatenate([x, x[10:40]])[np.random.default_rng(0).permutation(180)]
    if method != "geomle":  # which points its resamples hold depends on their order
        assert intrinsic_dimension(doubled, method) == pytest.approx(intrinsic_dimension(x, method))
        found = dimension_estimate(doubled, method)
        assert (found.n, found.copies) == (150, 30)
    assert np.isfinite(intrinsic_dimension(doubled, method))


def test_a_copy_gets_the_estimate_of_its_point():
    x = normal(100, 3)
    found = intrinsic_dimension(np.concatenate([x, x[:7]]), pointwise=True)
    np.testing.assert_allclose(found[:100], intrinsic_dimension(x, pointwise=True))
    np.testing.assert_array_equal(found[100:], found[:7])


@pytest.mark.parametrize("method", ["mle", "twonn"])
def test_corners_of_a_simplex_have_infinite_dimension(method):
    assert intrinsic_dimension(np.eye(30), method) == np.inf
    assert dimension_estimate(np.eye(30), method) == DimensionEstimate(np.inf, np.inf, n=30, copies=0)


@pytest.mark.parametrize("method, highest", [("mle", 1.5), ("twonn", 1.6)])
def test_standard_errors_are_those_of_repeated_samples_but_for_neighbours_in_common(method, highest):
    found = [dimension_estimate(normal(400, 3, seed), method) for seed in range(150)]
    spread = np.std([f.value for f in found])
    # 150 repetitions know a standard deviation to 6 %.
    assert 0.9 < spread / np.mean([f.standard_error for f in found]) < highest
    assert found[0].value == intrinsic_dimension(normal(400, 3, 0), method)


def test_the_variance_of_the_regression_is_five_quarters_of_the_bound():
    g = np.random.default_rng(0)
    ratios = np.exp(g.exponential(size=(800, 500)) / 2)
    found = [_twonn(torch.from_numpy(np.stack([np.ones(500), row], 1))) for row in ratios]
    assert np.std([v for v, _ in found]) == pytest.approx(np.mean([e for _, e in found]), rel=0.1)


def test_images_are_flattened_and_a_sample_is_drawn_by_its_seed():
    x = normal(300, 3, columns=12)
    images = torch.from_numpy(x.reshape(300, 1, 3, 4))
    assert intrinsic_dimension(images) == pytest.approx(intrinsic_dimension(x))
    assert isinstance(intrinsic_dimension(images, pointwise=True), torch.Tensor)
    few = [intrinsic_dimension(x, max_samples=100, seed=s) for s in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
    assert intrinsic_dimension(x, max_samples=1000) == intrinsic_dimension(x)
    assert dimension_estimate(x, max_samples=100).n == 100


def test_bad_arguments_are_refused():
    x = normal(30, 2)
    with pytest.raises(InputError, match="unknown method 'mls'; nearest: mle"):
        intrinsic_dimension(x, "mls")
    with pytest.raises(InputError, match="unknown average 'median'"):
        intrinsic_dimension(x, average="median")
    with pytest.raises(InputError, match="k is 2; it must be at least 3"):
        intrinsic_dimension(x, k=2)
    with pytest.raises(InputError, match="x has 30 different rows; mle needs at least 31"):
        intrinsic_dimension(x, k=30)
    with pytest.raises(InputError, match="x has 1 different rows; twonn needs at least 3"):
        intrinsic_dimension(np.ones((30, 4)), "twonn")
    with pytest.raises(InputError, match="x has 20 different rows; mle needs at least 21"):
        intrinsic_dimension(np.concatenate([x[:20], x[:10]]))
    with pytest.raises(InputError, match="geomle needs at least 100"):
        intrinsic_dimension(x, "geomle")
    with pytest.raises(InputError, match="pointwise is not possible with twonn"):
        intrinsic_dimension(x, "twonn", pointwise=True)
    with pytest.raises(InputError, match="pointwise is not possible with max_samples"):
        intrinsic_dimension(x, pointwise=True, max_samples=25)
    with pytest.raises(InputError, match="max_samples is 0"):
        intrinsic_dimension(x, max_samples=0)
    with pytest.raises(InputError, match="geomle has no standard error"):
        dimension_estimate(x, "geomle")
    with pytest.raises(InputError, match="x holds a value that is not finite, first in row 4"):
        intrinsic_dimension(np.where(np.arange(30)[:, None] == 4, np.nan, x))
