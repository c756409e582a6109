from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import label_sharpness


def draw(n, classes=2, seed=0):
    g = np.random.default_rng(seed)
    return g.normal(size=(n, 4)), g.integers(classes, size=n)


def by_loop(x, y, order=2):
    pairs = [(i, j) for i in range(len(x)) for j in range(i)]
    return [(y[i] != y[j]) / np.linalg.norm(x[i] - x[j], ord=order) for i, j in pairs]


def test_three_points_by_hand():
    x, y = np.array([[0.0], [1.0], [3.0]]), np.array([0, 1, 0])
    assert label_sharpness(x, y) == 1
    assert label_sharpness(x, y, quantile=0.0) == 0.5
    assert label_sharpness(x, y, quantile=0.5) == 0.75


def test_it_equals_the_official_numbers():
    data = np.load(Path(__file__).parent.parent / "data" / "intrinsic-properties.npz", allow_pickle=False)
    assert label_sharpness(data["X"], data["y"]) == pytest.approx(float(data["sharpness_binary"]), abs=1e-8)
    several = label_sharpness(data["X"], data["y3"])
    assert several == pytest.approx(float(data["sharpness_multiclass"]), abs=1e-8)
    # What the authors' code returns for several classes: pairs of the same label.
    assert several != pytest.approx(float(data["sharpness_same_label_as_in_reference_code"]), abs=1e-2)


@pytest.mark.parametrize("metric, order", [("l1", 1), ("l2", 2), ("linf", np.inf)])
def test_it_equals_the_slow_loop_in_every_metric(metric, order):
    x, y = draw(40, classes=3)
    assert label_sharpness(x, y, metric=metric) == pytest.approx(max(by_loop(x, y, order)))


def test_it_equals_the_slow_loop_in_blocks(monkeypatch):
    # The function of that name hides the module.
    monkeypatch.setattr(import_module("farfield.measure.dimension.label_sharpness"), "BLOCK", 100)
    x, y = draw(40, classes=3)
    assert label_sharpness(x, y) == pytest.approx(max(by_loop(x, y)))
    apart = [value for value in by_loop(x, y) if value > 0]
    assert label_sharpness(x, y, quantile=0.9) == pytest.approx(np.quantile(apart, 0.9))


@given(st.floats(1e-3, 1e3), st.integers(0, 100))
def test_scale_divides_it_and_names_of_classes_do_not_matter(scale, seed):
    x, y = draw(20, seed=seed)
    y[:2] = 0, 1
    expected = label_sharpness(x, y)
    assert label_sharpness(scale * x, y) == pytest.approx(expected / scale)
    assert label_sharpness(x, np.where(y == 1, 7, -3)) == expected


@given(st.integers(2, 30), st.integers(0, 50))
def test_more_examples_never_lower_it(n, seed):
    x, y = draw(31, seed=seed)
    few, more = (label_sharpness(x, y, n_samples=m, seed=seed) for m in (n, n + 1))
    assert few <= more <= label_sharpness(x, y)


def test_one_class_has_none():
    x, _ = draw(20)
    assert label_sharpness(x, np.ones(20)) == 0
    assert label_sharpness(x, np.ones(20), quantile=0.5) == 0


def test_equal_inputs_with_different_labels_are_left_out_and_counted():
    x, y = np.array([[0.0], [0.0], [2.0]]), np.array([0, 1, 0])
    with pytest.warns(UserWarning, match="1 pairs of equal inputs with different labels are left out"):
        assert label_sharpness(x, y) == 0.5
    with pytest.warns(UserWarning, match="1 pairs"):
        assert label_sharpness(x[:2], y[:2]) == 0


def test_images_and_tensors_are_read():
    x, y = draw(20)
    images = torch.from_numpy(x).reshape(20, 1, 2, 2)
    assert label_sharpness(images, torch.from_numpy(y)) == pytest.approx(label_sharpness(x, y))


def test_bad_arguments_are_refused():
    x, y = draw(5)
    with pytest.raises(InputError, match="unknown metric 'l3'; nearest: l2, l1"):
        label_sharpness(x, y, metric="l3")
    with pytest.raises(InputError, match="n_samples is 1"):
        label_sharpness(x, y, n_samples=1)
    with pytest.raises(InputError, match=r"quantile is 1\.5"):
        label_sharpness(x, y, quantile=1.5)
    with pytest.raises(InputError, match="x has 5 rows but y has 4"):
        label_sharpness(x, y[:4])
    with pytest.raises(InputError, match="x holds a value that is not finite, first in row 1"):
        label_sharpness(np.where(np.arange(5)[:, None] == 1, np.nan, x), y)
