"""Funnel search: the released code's lists, what it costs, and exact search as its limit."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError, MissingExtra
from farfield.measure import map_at_k
from farfield.reuse import FunnelIndex, truncate

faiss = pytest.importorskip("faiss")
ORACLE = np.load(Path(__file__).parents[1] / "data" / "matryoshka.npz", allow_pickle=False)
DB, QUERIES = ORACLE["db"], ORACLE["queries"]
PAPER = {"dims": [16, 32, 64, 128, 2048], "shortlists": [200, 100, 50, 25, 10]}


def exact(db, queries, m, k):
    """The k nearest by Euclidean distance between prefixes of length 1, all distances in float64."""
    a, b = (truncate(v.astype(np.float64), m) for v in (queries, db))
    distances = np.square(a[:, None] - b[None]).sum(2)
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


def draw(seed, n=60, d=12, queries=7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(queries, d)).astype(np.float32)


def test_the_released_codes_short_list():
    found, macs = FunnelIndex(DB, 2).search(QUERIES, 40)
    np.testing.assert_array_equal(found, ORACLE["nn_stage0"])
    assert macs == 2 * 80


def test_the_released_codes_adaptive_retrieval():
    found, macs = FunnelIndex(DB, 2, [16], [40]).search(QUERIES, 40)
    np.testing.assert_array_equal(found, ORACLE["adaptive_reranked"])
    assert macs == 2 * 80 + 16 * 40


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_the_released_codes_funnel(kind):
    index = FunnelIndex(kind(DB), 2, ORACLE["funnel_dims"], ORACLE["funnel_k"])
    found, _ = index.search(kind(QUERIES), 5)
    assert type(found) is type(kind(QUERIES))
    np.testing.assert_array_equal(found, ORACLE["funnel_result"])
    assert map_at_k(ORACLE["db_labels"][np.asarray(found)], ORACLE["q_labels"], 5) == pytest.approx(
        float(ORACLE["funnel_mAP_at_5"])
    )


def test_costs_on_imagenet():
    n = 1_281_167  # the costs of one with 200 rows, scaled: only the first search reads them all

    def macs(start, **lists):
        small = FunnelIndex(np.zeros((200, 2048), np.float32), start, **lists)
        return small.macs - start * 200 + start * n

    assert macs(8) == 10_249_336
    assert macs(2048) == 2_623_830_016
    assert macs(8, **PAPER) == 10_282_616
    adaptive = macs(16, dims=[2048], shortlists=[200])
    assert adaptive == 20_908_272
    assert round(macs(2048) / adaptive, 1) == 125.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_short_lists_of_everything_are_exact_search(seed, start):
    db, queries = draw(seed)
    found, macs = FunnelIndex(db, start, dims=[3, 12], shortlists=[60, 60]).search(queries, 60)
    expected = exact(db, queries, 12, 60)
    # Float32 can exchange neighbours whose distances differ in the last digit.
    assert (found == expected).mean() > 0.99
    assert macs == 60 * (start + 15)


def test_prefixes_are_brought_to_length_one_at_each_size():
    # By 1 dimension all are alike or opposite; by 2 the angle decides, not the length.
    db = np.array([[1.0, 5.0], [9.0, 1.0], [1.0, 1.0], [-1.0, 0.1]], np.float32)
    found, _ = FunnelIndex(db, 1, [2], [3]).search(np.array([[0.01, 0.0]], np.float32), 3)
    assert found.tolist() == [[1, 2, 0]]


def test_a_prefix_of_zeros_is_at_distance_one():
    # From (1, 0): itself 0, zeros 1, (0.6, 0.8) sqrt(0.8), (0, 1) sqrt(2).
    db = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.8, 0.0], [1.0, 0.0, 0.0]], np.float32)
    query = np.array([[1.0, 0.0, 0.0]], np.float32)
    for index in (FunnelIndex(db, 2), FunnelIndex(db, 3, [2], [4])):
        assert index.search(query, 4)[0].tolist() == [[3, 2, 1, 0]]


def test_a_memory_mapped_file_is_read_as_it_is(tmp_path):
    db, queries = draw(3)
    np.save(tmp_path / "db.npy", db)
    mapped = np.load(tmp_path / "db.npy", mmap_mode="r")
    lists = {"dims": [8, 12], "shortlists": [20, 10]}
    found, expected = (FunnelIndex(v, 4, **lists).search(queries, 5)[0] for v in (mapped, db))
    np.testing.assert_array_equal(found, expected)
    assert FunnelIndex(mapped, 4, **lists).db.data_ptr() == mapped.ctypes.data


def test_input_that_does_not_fit():
    db, queries = draw(0)
    for shortlists in ([20, 30], [61, 10], [10, 0]):
        with pytest.raises(InputError, match="must not rise, and be from 1 to 60"):
            FunnelIndex(db, 2, [4, 8], shortlists)
    with pytest.raises(InputError, match="1 shortlists came for 2 dims"):
        FunnelIndex(db, 2, [4, 8], [10])
    with pytest.raises(InputError, match=r"start_dim is \[13\]; the vectors have 12 dimensions"):
        FunnelIndex(db, 13)
    with pytest.raises(InputError, match=r"dims is \[0\]"):
        FunnelIndex(db, 2, [0], [10])
    index = FunnelIndex(db, 2, [4], [10])
    with pytest.raises(InputError, match="k is 11; it must be from 1 to 10"):
        index.search(queries, 11)
    with pytest.raises(InputError, match="q has 5 dimensions but the index 12"):
        index.search(queries[:, :5], 1)
    with pytest.raises(InputError, match="db holds a value that is not finite, first in row 2"):
        FunnelIndex(np.where(np.arange(60)[:, None] == 2, np.nan, db), 2)


def test_without_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"FunnelIndex needs the package faiss.*farfield\[search\]"):
        FunnelIndex(np.eye(2), 1)
