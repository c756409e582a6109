from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import UnitCorrelation
from farfield.measure.matching import unit_correlation

ORACLE = np.load(Path(__file__).parents[1] / "data" / "convergent-learning.npz", allow_pickle=False)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def of(a, b, **options):
    return UnitCorrelation(a.shape[1], b.shape[1], **options).update(a, b).result()


def test_it_equals_the_official_correlations():
    found = of(ORACLE["A"], ORACLE["B"])
    np.testing.assert_allclose(found.between, ORACLE["xcor"], atol=1e-10)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 20), st.sampled_from([1, 3, 4096]))
def test_any_batches_give_what_numpy_gives_on_all_at_once(sizes, seed, chunk):
    n = sum(sizes) + 1
    a, b = draw(n, 3, seed=seed) + 1e4, draw(n, 2, seed=seed + 99) * 7 - 50
    accumulator = UnitCorrelation(3, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unit_correlation, "CHUNK", chunk)
        for at in np.split(np.arange(n), np.cumsum(sizes)):
            accumulator.update(a[at], b[at])
    found = accumulator.result()
    everything = np.corrcoef(a.T, b.T)
    np.testing.assert_allclose(found.within_a, everything[:3, :3], atol=1e-10)
    np.testing.assert_allclose(found.between, everything[:3, 3:], atol=1e-10)
    np.testing.assert_allclose(found.within_b, everything[3:, 3:], atol=1e-10)
    np.testing.assert_allclose(found.mean_a, a.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.mean_b, b.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std_a, a.std(0), rtol=1e-9)
    np.testing.assert_allclose(found.std_b, b.std(0), rtol=1e-9)
    assert found.n == n and found.alive_a.all() and found.alive_b.all()


def test_maps_are_their_positions_as_rows():
    a, b = draw(5, 3, 4, 6), draw(5, 2, 4, 6, seed=1)
    rows = [v.transpose(0, 2, 3, 1).reshape(-1, v.shape[1]) for v in (a, b)]
    np.testing.assert_allclose(of(a, b).between, of(*rows).between, atol=1e-12)
    inside = [v[:, :, 1:-1, 1:-1] for v in (a, b)]
    np.testing.assert_allclose(of(a, b, crop_border=1).between, of(*inside).between, atol=1e-12)
    assert of(a, b, crop_border=1).n == 5 * 2 * 4


@settings(deadline=None)
@given(st.floats(0.01, 100), st.floats(-100, 100), st.integers(0, 30))
def test_scale_and_shift_change_no_correlation(scale, shift, seed):
    a, b = draw(30, 2, seed=seed), draw(30, 2, seed=seed + 50)
    np.testing.assert_allclose(of(scale * a + shift, b).between, of(a, b).between, atol=1e-9)
    np.testing.assert_allclose(of(-scale * a, b).between, -of(a, b).between, atol=1e-9)


def test_dead_units_have_correlation_0_and_can_be_dropped():
    a, b = draw(20, 3), draw(20, 2, seed=1)
    a[:, 1] = 0.1  # its mean over 20 rows is not exactly 0.1
    b[:, 0] = 3e9
    found = of(a, b)
    assert found.alive_a.tolist() == [True, False, True] and found.alive_b.tolist() == [False, True]
    assert (found.between[1] == 0).all() and (found.between[:, 0] == 0).all() and found.within_a[1, 1] == 0
    kept = found.drop_dead()
    np.testing.assert_allclose(kept.between, of(a[:, [0, 2]], b[:, 1:]).between)
    np.testing.assert_allclose(kept.within_a, of(a[:, [0, 2]], b[:, 1:]).within_a)
    assert kept.mean_a.shape == (2,) and kept.std_b.shape == (1,) and kept.alive_a.all()
    with pytest.raises(InputError, match="all 2 units of the second network are constant"):
        of(a, np.ones((20, 2))).drop_dead()


def test_what_counts_as_dead_can_be_set():
    tiny = draw(20, 1) * 1e-10
    assert not of(tiny, tiny).alive_a[0]
    assert of(tiny, tiny, dead_below=0).between[0, 0] == pytest.approx(1)


def test_correlations_within_a_network_can_be_left_out():
    a, b = draw(10, 2), draw(10, 3, seed=1)
    found, whole = of(a, b, within=False), of(a, b)
    assert found.within_a is None and found.within_b is None and found.drop_dead().within_a is None
    np.testing.assert_allclose(found.between, whole.between, atol=1e-12)
    np.testing.assert_allclose(found.std_b, whole.std_b)


def test_tensors_come_back_as_tensors_and_a_result_is_not_touched_by_later_batches():
    a = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    accumulator = UnitCorrelation(2, 2).update(a, a)
    first = accumulator.result()
    mean = first.mean_a.clone()
    assert isinstance(first.between, torch.Tensor) and not first.between.requires_grad
    accumulator.update(a + 1, a)
    assert torch.equal(first.mean_a, mean)
    assert isinstance(of(draw(3, 2), draw(3, 2)).alive_a, np.ndarray)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="n_units_b is 0"):
        UnitCorrelation(2, 0)
    with pytest.raises(InputError, match="crop_border is -1"):
        UnitCorrelation(2, 2, crop_border=-1)
    with pytest.raises(InputError, match="dead_below is nan"):
        UnitCorrelation(2, 2, dead_below=float("nan"))
    x = draw(4, 2)
    with pytest.raises(InputError, match="a has 4 rows but b has 3"):
        UnitCorrelation(2, 2).update(x, x[:3])
    with pytest.raises(InputError, match="b has 2 units; expected 3"):
        UnitCorrelation(2, 3).update(x, x)
    with pytest.raises(InputError, match=r"a has shape \(4, 2, 3\)"):
        UnitCorrelation(2, 2).update(draw(4, 2, 3), x)
    with pytest.raises(InputError, match=r"a has positions \(3, 3\) but b has \(3, 4\)"):
        UnitCorrelation(2, 2).update(draw(4, 2, 3, 3), draw(4, 2, 3, 4))
    with pytest.raises(InputError, match="crop_border is 2, which leaves nothing"):
        UnitCorrelation(2, 2, crop_border=2).update(draw(4, 2, 3, 5), draw(4, 2, 3, 5))
    with pytest.raises(InputError, match="not finite, first in row 1"):
        UnitCorrelation(2, 2).update(np.where(np.arange(4)[:, None] == 1, np.inf, x), x)
    with pytest.raises(InputError, match="0 samples came"):
        UnitCorrelation(2, 2).result()
    with pytest.raises(InputError, match="1 samples came"):
        UnitCorrelation(2, 2).update(x[:1], x[:1]).result()
