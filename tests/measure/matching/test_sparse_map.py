import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import SparseMap, UnitCorrelation, one_to_one_map, sparse_map, sparse_map_from_statistics
from farfield.nn import StitchLayer

ORACLE = np.load(Path(__file__).parents[1] / "data" / "convergent-learning.npz", allow_pickle=False)


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def related(n=200, d_a=6, d_b=4, seed=0):
    a = draw(n, d_a, seed) @ draw(d_a, d_a, seed + 1) + 3
    return a, a @ draw(d_a, d_b, seed + 2) + draw(n, d_b, seed + 3)


def standard(x):
    return (x - x.mean(0)) / x.std(0)


def statistics(a, b, **options):
    return UnitCorrelation(a.shape[1], b.shape[1], **options).update(a, b).result()


def test_without_a_penalty_it_is_the_official_least_squares_map():
    found = sparse_map(ORACLE["A"], ORACLE["B"], 0.0)
    expected = ORACLE["ols_map"]
    prediction = standard(ORACLE["A"]) @ found.weights.T
    # Whichever way round the oracle holds it, it predicts the same.
    ways = [standard(ORACLE["A"]) @ expected, standard(ORACLE["A"]) @ expected.T]
    assert min(np.abs(prediction - way).max() for way in ways) < 1e-9
    assert found.loss == pytest.approx(float(ORACLE["ols_loss"]), abs=1e-10)


@pytest.mark.parametrize("solver", ["ista", "cd"])
@pytest.mark.parametrize("lam", [1e-3, 0.02, 0.1, 0.4])
def test_it_finds_the_optimum_that_scikit_learn_finds(solver, lam):
    from sklearn.linear_model import Lasso

    a, b = related()
    found = sparse_map(a, b, lam, solver)
    peer = Lasso(lam, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(standard(a), standard(b))
    np.testing.assert_allclose(found.weights, peer.coef_, atol=1e-6)
    assert found.nnz_per_unit.tolist() == (peer.coef_ != 0).sum(1).tolist()
    assert found.loss == pytest.approx(0.5 * np.square(standard(b) - peer.predict(standard(a))).mean(), abs=1e-7)
    assert found.mean_nnz == found.nnz_per_unit.mean()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 200), st.floats(1e-3, 0.5), st.sampled_from(["ista", "cd"]))
def test_the_optimality_conditions_hold(seed, lam, solver):
    a, b = related(40, 5, 3, seed)
    w = sparse_map(a, b, lam, solver).weights
    gradient = (w @ standard(a).T - standard(b).T) @ standard(a) / 40
    assert np.abs(gradient[w == 0]).max(initial=0) <= lam + 1e-8
    np.testing.assert_allclose(gradient[w != 0], -lam * np.sign(w[w != 0]), atol=1e-8)


@pytest.mark.parametrize("solver", ["ista", "cd"])
def test_at_the_largest_correlation_every_weight_is_exactly_zero(solver):
    a, b = related()
    top = np.abs(standard(a).T @ standard(b) / len(a)).max()
    found = sparse_map(a, b, top * (1 + 1e-9), solver)
    assert not found.weights.any() and found.loss == 0.5 and found.mean_nnz == 0
    assert sparse_map(a, b, top * 0.99, solver).nnz_per_unit.sum() == 1


def test_scale_shift_and_order_of_units_change_nothing_but_their_order():
    a, b = related()
    found = sparse_map(a, b, 0.05)
    moved = sparse_map(a[:, ::-1] * [1, 2, 3, 4, 5, 6] + 7, b * 0.01, 0.05)
    np.testing.assert_allclose(moved.weights, found.weights[:, ::-1], atol=1e-7)


def test_the_loss_grows_with_the_penalty_and_the_weights_shrink():
    a, b = related()
    found = [sparse_map(a, b, lam) for lam in (0, 0.01, 0.05, 0.2, 0.6)]
    losses, sizes = [f.loss for f in found], [np.abs(f.weights).sum() for f in found]
    assert losses == sorted(losses) and sizes == sorted(sizes, reverse=True)


def test_a_permuted_copy_is_predicted_by_one_weight_each():
    a = draw(100, 5)
    b = a[:, [3, 1, 0, 4, 2]] * 5 - 2
    found = sparse_map(a, b, 0.0, threshold=1e-6)
    assert found.loss < 1e-12 and found.nnz_per_unit.tolist() == [1] * 5
    np.testing.assert_allclose(sparse_map(a, b, 0.3).nnz_per_unit, 1)


def test_orthogonally_mixed_pairs_need_exactly_two_weights():
    a = draw(4000, 6)
    turn = np.array([[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]])
    b = a @ np.kron(np.eye(3), turn)
    found = sparse_map(a, b, 0.0, threshold=1e-6)
    assert found.loss < 1e-12 and found.nnz_per_unit.tolist() == [2] * 6
    assert one_to_one_map(statistics(a, b)).loss > 0.1


def test_the_best_single_weights_lose_what_the_correlation_says():
    a, b = related()
    c = np.corrcoef(a.T, b.T)[:6, 6:]
    found = one_to_one_map(statistics(a, b))
    assert found.loss == pytest.approx(np.mean((1 - np.square(c).max(0)) / 2))
    assert found.nnz_per_unit.tolist() == [1] * 4 and math.isnan(found.lam)
    assert sparse_map(a, b, 0.0).loss < found.loss


def test_held_out_loss_is_that_of_the_predictions():
    a, b = related(300)
    found = sparse_map(a[:150], b[:150], 0.03)
    scaled = [(v[150:] - v[:150].mean(0)) / v[:150].std(0) for v in (a, b)]
    expected = 0.5 * np.square(scaled[1] - scaled[0] @ found.weights.T).mean()
    assert found.loss_on(statistics(a[150:], b[150:])) == pytest.approx(expected)
    assert found.loss_on(found.statistics) == pytest.approx(found.loss)
    weight, bias = found.affine()
    raw = a @ weight.T + bias
    np.testing.assert_allclose(
        (raw - b[:150].mean(0)) / b[:150].std(0), (a - a[:150].mean(0)) / a[:150].std(0) @ found.weights.T
    )
    layer = StitchLayer.of(weight, bias).double()
    np.testing.assert_allclose(layer(torch.from_numpy(a)).detach(), raw, atol=1e-5)


def test_maps_of_positions_are_their_rows():
    a, b = related(60)
    maps = [v.reshape(15, 2, 2, -1).transpose(0, 3, 1, 2) for v in (a, b)]
    np.testing.assert_allclose(sparse_map(*maps, 0.1).weights, sparse_map(a, b, 0.1).weights, atol=1e-9)


def test_the_papers_solver_comes_near_the_optimum():
    a, b = standard(draw(500, 5)), None
    b = a @ draw(5, 3, 1) + 0.5 * draw(500, 3, 2)
    for lam in (0.0, 0.05):
        optimum, found = sparse_map(a, b, lam), sparse_map(a, b, lam, "sgd", batch_size=64)
        np.testing.assert_allclose(found.weights, optimum.weights, atol=0.05)
    assert np.array_equal(found.weights, sparse_map(a, b, lam, "sgd", batch_size=64).weights)
    assert not np.array_equal(found.weights, sparse_map(a, b, lam, "sgd", batch_size=64, seed=1).weights)
    # Its zeros are only nearly so: without a threshold every weight counts.
    assert sparse_map(a, b, 0.3, "sgd", threshold=0.0).mean_nnz == 5
    assert sparse_map(a, b, 0.3).mean_nnz < 5


def test_dead_units_have_no_weight_and_are_left_out_of_the_loss():
    a, b = related()
    dead_a, dead_b = np.hstack([a, np.zeros((200, 1))]), np.hstack([np.full((200, 1), 4.0), b])
    for lam, solver in ((0.0, "ista"), (0.05, "ista"), (0.05, "cd"), (0.05, "sgd")):
        found, alive = sparse_map(dead_a, dead_b, lam, solver), sparse_map(a, b, lam, solver)
        assert not found.weights[0].any() and found.nnz_per_unit[0] == 0
        if solver != "sgd":  # it draws other weights for another width
            assert found.loss == pytest.approx(alive.loss) and found.mean_nnz == alive.mean_nnz
            assert found.loss_on(found.statistics) == pytest.approx(alive.loss)
            assert not found.weights[:, -1].any()
        weight, bias = found.affine()
        assert bias[0] == pytest.approx(4) and not weight[:, -1].any()


def test_constant_columns_that_move_later_are_seen_by_the_held_out_loss():
    a, b = related()
    found = sparse_map(a, b, 0.0)
    shifted = found.loss_on(statistics(a, b + b.std(0)))
    assert shifted == pytest.approx(found.loss + 0.5)


def test_running_out_of_iterations_is_said():
    a, b = related()
    for solver in ("ista", "cd"):
        with pytest.warns(RuntimeWarning, match="misses its optimality conditions"):
            sparse_map(a, b, 1e-3, solver, max_iterations=2)


def test_kinds_of_arrays():
    a, b = (torch.from_numpy(v).float() for v in related())
    found = sparse_map(a, b, 0.1)
    assert isinstance(found, SparseMap) and isinstance(found.weights, torch.Tensor)
    assert isinstance(found.affine()[0], torch.Tensor) and isinstance(found.loss, float)
    assert isinstance(sparse_map(*related(), 0.1).nnz_per_unit, np.ndarray)


def test_bad_arguments_are_refused():
    a, b = related()
    for lam in (-0.1, math.nan, math.inf):
        with pytest.raises(InputError, match=f"lam is {lam}"):
            sparse_map(a, b, lam)
    with pytest.raises(InputError, match="solver is 'lars'"):
        sparse_map(a, b, 0.1, "lars")
    with pytest.raises(InputError, match="sgd needs the samples"):
        sparse_map_from_statistics(statistics(a, b), 0.1, "sgd")
    with pytest.raises(InputError, match="tolerance is 0"):
        sparse_map(a, b, 0.1, tolerance=0)
    with pytest.raises(InputError, match="max_iterations is 0"):
        sparse_map(a, b, 0.1, max_iterations=0)
    with pytest.raises(InputError, match="batch_size is 0"):
        sparse_map(a, b, 0.1, "sgd", batch_size=0)
    with pytest.raises(InputError, match=r"expected \(n, d\)$"):
        sparse_map(a[:, :, None, None], b[:, :, None, None], 0.1, "sgd")
    with pytest.raises(InputError, match="all 2 units of b are constant"):
        sparse_map(a, np.ones((200, 2)), 0.1)
    partial = statistics(a, b, within=False)
    for call in (lambda: sparse_map_from_statistics(partial, 0.1), lambda: one_to_one_map(partial)):
        with pytest.raises(InputError, match="within=True"):
            call()
    with pytest.raises(InputError, match="within=True"):
        sparse_map(a, b, 0.1).loss_on(partial)
    with pytest.raises(InputError, match=r"statistics are of \(4, 6\) units; the map is of \(6, 4\)"):
        sparse_map(a, b, 0.1).loss_on(statistics(b, a))
