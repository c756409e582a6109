import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from farfield.errors import InputError
from farfield.measure import rdm
from farfield.measure.dissimilarity import matrix

METRICS = ("euclidean", "correlation", "cosine")


def draw(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n, d", [(2, 3), (3, 40), (30, 5), (31, 17), (150, 40)])
def test_it_equals_scipys_pdist(metric, n, d):
    x = draw(n, d) + 2
    np.testing.assert_allclose(rdm(x, metric), pdist(x, metric), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("metric", METRICS)
def test_tiles_of_any_height_join_to_the_same(metric, monkeypatch):
    x = draw(101, 30)
    for size in (1, 500, 2000, 2**19):
        monkeypatch.setattr(matrix, "TILE", size)
        np.testing.assert_allclose(rdm(x, metric), pdist(x, metric), rtol=1e-11)


@pytest.mark.filterwarnings("ignore")
def test_it_equals_rsatoolbox():
    import rsatoolbox

    x = draw(40, 50)
    data = rsatoolbox.data.Dataset(x)
    theirs = rsatoolbox.rdm.calc_rdm(data, method="correlation").dissimilarities[0]
    np.testing.assert_allclose(rdm(x, "correlation"), theirs, rtol=1e-11)
    # Theirs is squared, and a mean over the columns.
    theirs = rsatoolbox.rdm.calc_rdm(data, method="euclidean").dissimilarities[0]
    np.testing.assert_allclose(rdm(x) ** 2 / 50, theirs, rtol=1e-11)


@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_are_at_exactly_zero_and_close_rows_keep_their_digits(metric):
    x = draw(40, 64) + 100
    x[7] = x[3]
    x[20] = x[11] + 1e-7 * draw(1, 64, 1)[0]
    square = np.zeros((40, 40))
    square[np.triu_indices(40, 1)] = rdm(x, metric)
    assert square[3, 7] == 0
    between = x[20] - x[11]
    if metric == "euclidean":
        assert square[11, 20] == pytest.approx(np.linalg.norm(between), rel=1e-11)
        np.testing.assert_allclose(rdm(x), pdist(x), rtol=1e-11)
    else:
        u = x - x.mean(1, keepdims=True) if metric == "correlation" else x
        u = u / np.linalg.norm(u, axis=1, keepdims=True)
        # 1 - cosine has no digit left at this size; half the squared chord has.
        assert square[11, 20] == pytest.approx(np.sum((u[20] - u[11]) ** 2) / 2, rel=1e-6)
        np.testing.assert_allclose(rdm(x, metric), pdist(x, metric), atol=1e-14)


def test_many_duplicates_take_the_same_way_in_chunks(monkeypatch):
    monkeypatch.setattr(matrix, "TILE", 64)
    x = np.repeat(draw(3, 20), 20, axis=0)
    np.testing.assert_allclose(rdm(x), pdist(x), rtol=1e-11)
    assert (rdm(x) == 0).sum() == 3 * 190


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("value", [0.0, 0.7, 3.0, 1e200, 1e-310])
def test_rows_that_are_all_the_same_are_at_zero(d, value):
    for metric in METRICS:
        assert rdm(np.full((5, d), value), metric).tolist() == [0] * 10


def test_a_row_without_direction_is_at_one_from_the_others_and_at_zero_from_its_like():
    x = np.stack([np.full(5, 0.1), np.arange(5.0), np.zeros(5), np.full(5, 7.0)])
    assert rdm(x, "correlation").tolist() == [1, 0, 0, 1, 1, 0]
    # For the cosine only zeros have none; 0.1 and 7 in all columns point the same way.
    found = rdm(x, "cosine")
    assert found[[1, 3, 5]].tolist() == [1, 1, 1] and found[2] == pytest.approx(0, abs=1e-15)


@given(st.floats(1e-3, 1e3), st.floats(-50, 50), st.integers(0, 30))
def test_invariances(scale, shift, seed):
    x = draw(12, 20, seed)
    rotation, _ = np.linalg.qr(draw(20, 20, seed + 1))
    np.testing.assert_allclose(rdm(scale * x @ rotation + shift), scale * rdm(x), rtol=1e-7)
    np.testing.assert_allclose(rdm(x @ rotation, "cosine"), rdm(x, "cosine"), rtol=1e-9)
    scales = np.abs(draw(12, 1, seed + 2)) + 0.1
    np.testing.assert_allclose(rdm(scales * x + shift, "correlation"), rdm(x, "correlation"), rtol=1e-7)


def test_values_of_any_size_neither_overflow_nor_vanish():
    for d in (3, 40):
        x = draw(6, d)
        for size in (1e250, 1e-250):
            for metric in METRICS:
                expected = rdm(x, metric) * (size if metric == "euclidean" else 1)
                np.testing.assert_allclose(rdm(size * x, metric), expected, rtol=1e-11)


def test_the_kind_and_the_type_of_the_numbers():
    x = torch.randn(30, 40, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert isinstance(rdm(x), torch.Tensor) and rdm(x).dtype == torch.float64
    single = rdm(x.detach().numpy(), dtype=None)
    assert isinstance(single, np.ndarray) and single.dtype == np.float32
    np.testing.assert_allclose(single, rdm(x), rtol=1e-5)
    assert rdm(np.arange(8).reshape(4, 2), dtype=None).dtype == np.float64


def test_bad_arguments_are_refused():
    x = draw(5, 4)
    with pytest.raises(InputError, match="unknown metric 'euclid'; nearest: euclidean"):
        rdm(x, "euclid")
    with pytest.raises(InputError, match=r"acts has shape \(1, 4\)"):
        rdm(x[:1])
    with pytest.raises(InputError, match="acts holds a value that is not finite, first in row 2"):
        rdm(np.where(np.arange(5)[:, None] == 2, np.inf, x))
