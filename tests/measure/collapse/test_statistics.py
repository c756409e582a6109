from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from farfield.errors import InputError
from farfield.measure import ClassMoments, ClassStatistics

ORACLE = np.load(Path(__file__).parents[1] / "data" / "linguistic-collapse.npz", allow_pickle=False)


def draw(n=200, d=5, classes=7, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    return offset + rng.normal(size=(n, d)) + y[:, None], y


def direct(x, y):
    """By one loop over classes."""
    index = np.unique(y)
    means = np.array([x[y == c].mean(0) for c in index])
    var = np.array([((x[y == c] - m) ** 2).sum(1).mean() for c, m in zip(index, means)])
    within = sum((x[y == c] - m).T @ (x[y == c] - m) for c, m in zip(index, means)) / len(x)
    return index, means, var, within


def gathered(x, y, sizes=None, second=False, **options):
    stats = ClassStatistics(int(y.max()) + 1, x.shape[1], **options)
    parts = np.split(np.arange(len(x)), np.cumsum(sizes or [len(x)])[:-1])
    for part in parts:
        stats.update(x[part], y[part])
    if second:
        for part in reversed(parts):
            stats.update_deviations(x[part], y[part])
    return stats


def test_it_equals_the_official_code():
    found = gathered(ORACLE["X"], ORACLE["Y"], [40, 50, 6], covariance=True).finish()
    for field, name in {"means": "means", "global_mean": "global_mean", "counts": "counts", "var": "var_norms"}.items():
        np.testing.assert_allclose(getattr(found, field), ORACLE[name], rtol=1e-10)
    np.testing.assert_allclose(found.within, ORACLE["cov_within"], rtol=1e-10, atol=1e-12)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 20), st.booleans())
def test_any_split_into_batches_equals_the_direct_formulas(sizes, seed, second):
    n = sum(sizes) or 1
    x, y = draw(n, seed=seed)
    found = gathered(x, y, sizes if sum(sizes) else [1], second, covariance=True).finish()
    index, means, var, within = direct(x, y)
    assert isinstance(found, ClassMoments) and found.index.tolist() == index.tolist() and found.counts.sum() == n
    np.testing.assert_allclose(found.means, means, atol=1e-12)
    np.testing.assert_allclose(found.var, var, atol=1e-8)
    np.testing.assert_allclose(found.within, within, atol=1e-8)
    np.testing.assert_allclose(found.global_mean, means.mean(0), atol=1e-12)
    assert found.within_trace == pytest.approx(np.trace(within), abs=1e-8)


def test_features_far_from_the_origin_lose_no_digits_in_one_pass():
    x, y = draw(500, offset=1e6)
    var = direct(x, y)[2]
    np.testing.assert_allclose(gathered(x, y, [100] * 5).finish().var, var, rtol=1e-9)
    np.testing.assert_allclose(gathered(x, y, [100] * 5, second=True).finish().var, var, rtol=1e-9)


def test_many_blocks_are_one_batch(monkeypatch):
    from farfield.measure.collapse import statistics

    x, y = draw(300)
    whole = gathered(x, y).finish()
    monkeypatch.setitem(statistics.BLOCK, "cpu", 35)  # 7 rows at a time
    np.testing.assert_allclose(gathered(x, y).finish().var, whole.var, rtol=1e-12)
    np.testing.assert_allclose(gathered(x, y, second=True).finish().means, whole.means, rtol=1e-12)


@pytest.mark.parametrize("kind", ["float32", "float16", "int64"])
def test_other_types_are_summed_in_float64(kind):
    x, y = draw(4000)
    x = (1000 * x).astype(kind) if kind == "int64" else x.astype(kind)
    found = gathered(x, y, [1000] * 4).finish()
    np.testing.assert_allclose(found.means, direct(x.astype(float), y)[1], rtol=1e-10)
    assert found.means.dtype == np.float64


def test_torch_comes_back_as_torch_without_gradients():
    x, y = draw()
    tensors = gathered(torch.tensor(x, requires_grad=True), torch.tensor(y)).finish()
    assert isinstance(tensors.means, torch.Tensor) and not tensors.means.requires_grad
    np.testing.assert_allclose(tensors.var.numpy(), gathered(x, y).finish().var)


def test_parts_that_were_counted_apart_merge_and_go_on_from_a_checkpoint():
    x, y = draw(300, offset=5.0)
    whole = gathered(x, y, covariance=True).finish()
    a, b = (ClassStatistics(7, 5, covariance=True) for _ in range(2))
    a.update(x[:40], y[:40])
    kept = save(a.state_dict())
    b.update(x[40:], y[40:])
    again = ClassStatistics(7, 5, covariance=True)
    again.load_state_dict(load(kept))
    again.update(x[:0], y[:0])
    again.merge(b)
    found = again.finish()
    for field in ("means", "var", "counts", "within", "global_mean"):
        np.testing.assert_allclose(getattr(found, field), getattr(whole, field), rtol=1e-9, atol=1e-10)
    # Merging into statistics that have seen nothing is a copy.
    empty = ClassStatistics(7, 5, covariance=True)
    empty.merge(again)
    np.testing.assert_allclose(np.asarray(empty.finish().var), whole.var, rtol=1e-9)


def test_padding_is_left_out_and_rare_classes_can_be():
    x, y = draw(50, classes=3)
    y[::5] = -100
    y[0], x[0] = 2, 9.0
    padded = gathered(x, np.where(y < 0, -100, y)).finish()
    kept = gathered(x[y >= 0], y[y >= 0]).finish()
    np.testing.assert_allclose(padded.var, kept.var)
    stats = ClassStatistics(4, 5)
    stats.update(x[:3], np.array([1, 1, 3]))
    assert stats.finish().index.tolist() == [1, 3] and stats.finish().var[1] == 0
    assert stats.finish(min_count=2).index.tolist() == [1]
    # The global mean is that of the kept class means, each counted once.
    np.testing.assert_allclose(stats.finish().global_mean, (x[:2].mean(0) + x[2]) / 2)


def test_constant_features_and_one_class_have_variance_zero():
    stats = ClassStatistics(2, 3)
    stats.update(np.full((10, 3), 0.1), np.arange(10) % 2)
    assert stats.finish().var.tolist() == pytest.approx([0, 0], abs=1e-30)
    one = ClassStatistics(1, 3)
    one.update(np.eye(3), np.zeros(3, dtype=int))
    assert one.finish().var.tolist() == pytest.approx([2 / 3])


def test_a_refused_batch_leaves_no_trace():
    x, y = draw(20, classes=3)
    stats = gathered(x, y)
    before = stats.state_dict()
    bad = x.copy()
    bad[4, 2] = np.nan
    with pytest.raises(InputError, match="x holds a value that is not finite, first in row 4"):
        stats.update(bad, y)
    with pytest.raises(InputError, match="y holds the label 3; expected 0 to 2"):
        stats.update(x, np.where(np.arange(20) == 7, 3, y))
    assert all(torch.equal(v, before[k]) for k, v in stats.state_dict().items())
    # The largest float32 are finite, though their sum is not.
    huge = ClassStatistics(1, 2)
    huge.update(np.full((4, 2), 3e38, np.float32), np.zeros(4, int))
    assert huge.finish().means[0, 0] == pytest.approx(3e38, rel=1e-6)


def test_bad_arguments_are_refused():
    stats, x = ClassStatistics(3, 2), np.zeros((4, 2))
    for args, says in {
        (0, 2): "n_classes is 0",
        (2, 0): "dim is 0",
    }.items():
        with pytest.raises(InputError, match=says):
            ClassStatistics(*args)
    with pytest.raises(InputError, match=r"dtype is torch\.int32"):
        ClassStatistics(2, 2, torch.int32)
    with pytest.raises(InputError, match=r"x has shape \(4, 3\) of torch.float64; expected \(b, 2\)"):
        stats.update(np.zeros((4, 3)), np.zeros(4, int))
    with pytest.raises(InputError, match="expected 4 whole numbers"):
        stats.update(x, np.zeros(3, int))
    with pytest.raises(InputError, match=r"of torch\.float64; expected 4 whole numbers"):
        stats.update(x, np.zeros(4))
    with pytest.raises(InputError, match="y holds the label -1"):
        stats.update(x, np.array([0, 1, -1, 2]))
    with pytest.raises(InputError, match="no class has 1 examples"):
        stats.finish()
    stats.update(x, np.array([0, 0, 1, 2]))
    with pytest.raises(InputError, match="no class has 3 examples; the largest of 3 has 2"):
        stats.finish(min_count=3)
    with pytest.raises(InputError, match="min_count is 0"):
        stats.finish(min_count=0)
    with pytest.raises(InputError, match=r"other has \(n_classes, dim\) = \(3, 4\)"):
        stats.merge(ClassStatistics(3, 4))
    with pytest.raises(InputError, match="the state has"):
        stats.load_state_dict(ClassStatistics(3, 4).state_dict())
    stats.update_deviations(x[:2], np.array([0, 0]))
    with pytest.raises(InputError, match="the second pass has seen 2 examples, the first 4"):
        stats.finish()
    with pytest.raises(InputError, match="merged after the first pass"):
        stats.merge(ClassStatistics(3, 2))
