import io
import zipfile

import numpy as np
import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import CitationGraph, citation_graph
from farfield.tasks.citation_graphs import NAMES, expand, load

real = pytest.mark.needs_data("citation-graphs")
SIZES = {"cora": (2708, 1433, 7, 10556, 49216, 140, 0), "citeseer": (3327, 3703, 6, 9104, 105165, 120, 15)}


@real
@pytest.mark.parametrize("name", NAMES)
def test_the_published_sizes(name):
    graph = citation_graph(name)
    nodes, words, classes, edges, entries, train, unlabelled = SIZES[name]
    assert graph.x.shape == (nodes, words) and graph.classes == classes
    assert graph.edges.shape == (2, edges) and len(graph.x.values()) == entries
    assert [len(p) for p in (graph.train, graph.val, graph.test, graph.unlabelled)] == [train, 500, 1000, unlabelled]
    assert graph.x.values().eq(1).all()
    # The public split has 20 of each class to train on.
    assert torch.bincount(graph.y[graph.train]).tolist() == [20] * classes
    assert not set(graph.train.tolist()) & set(graph.test.tolist()) and not set(graph.val.tolist()) & set(
        graph.test.tolist()
    )


@real
@pytest.mark.parametrize("name", NAMES)
def test_edges_go_both_ways_once_and_never_to_themselves(name):
    pairs = {tuple(e) for e in citation_graph(name).edges.T.tolist()}
    assert len(pairs) == citation_graph(name).edges.shape[1]
    assert all((b, a) in pairs and a != b for a, b in pairs)


@real
def test_papers_cite_their_own_field():
    # 81 % of Cora's edges stay within a class (Pei et al., 2020): rows of labels and edges belong together.
    graph = citation_graph("cora")
    assert float((graph.y[graph.edges[0]] == graph.y[graph.edges[1]]).float().mean()) == pytest.approx(0.81, abs=0.005)


@real
def test_random_splits_hold_every_labelled_node_once():
    graph = citation_graph("citeseer")
    train, val = graph.random_split(seed=1)
    assert len(val) == round(0.1 * (3327 - 15))
    together = torch.cat([train, val]).sort()[0]
    assert not set(together.tolist()) & set(graph.unlabelled.tolist()) and len(together) == 3327 - 15
    assert together.diff().gt(0).all()
    assert graph.random_split(seed=1)[1].equal(val) and not graph.random_split(seed=2)[1].equal(val)


@real
def test_row_normalized_rows_sum_to_one_and_empty_ones_stay():
    graph = citation_graph("citeseer")
    sums = graph.row_normalized().to_dense().sum(1)
    empty = graph.x.to_dense().sum(1) == 0
    assert int(empty.sum()) == 15 and sums[empty].eq(0).all()
    torch.testing.assert_close(sums[~empty], torch.ones(int((~empty).sum())))


@real
def test_as_a_task_of_words():
    task, graph = tasks.load("cora"), citation_graph("cora")
    assert (len(task.train), len(task.val), len(task.tests["iid"])) == (140, 500, 1000)
    assert task.inputs.size == 1433 and task.outputs.count == 7
    batch = task.tests["iid"][torch.tensor([3])]
    assert batch["x"][0].equal(graph.x.to_dense()[graph.test[3]]) and batch["y"][0] == graph.y[graph.test[3]]
    assert (
        load(parse("cora"), 0).fingerprint
        == load(parse("cora"), 1).fingerprint
        != load(parse("citeseer"), 0).fingerprint
    )


def test_bad_names_are_refused():
    with pytest.raises(InputError, match="unknown task 'cora/x'"):
        expand(parse("cora/x"))
    with pytest.raises(InputError, match="unknown citation graph 'pubmed'; known: citeseer, cora"):
        citation_graph("pubmed")
    graph = CitationGraph(torch.eye(2), torch.zeros(2, 0).long(), torch.arange(2), 2, *[torch.arange(1)] * 4)
    with pytest.raises(InputError, match=r"val is 1\.0"):
        graph.random_split(val=1.0)


@pytest.mark.parametrize("content", [b"no zip file", "object array", "missing key"])
def test_a_damaged_file_is_named(content, tmp_path, monkeypatch):
    folder = tmp_path / "citation-graphs"
    folder.mkdir()
    for name in NAMES:
        if content == "object array":
            # Such an array would have to be unpickled.
            np.savez(folder / f"{name}.npz", y=np.array([{}], dtype=object), allow_pickle=True)
        elif content == "missing key":
            np.savez(folder / f"{name}.npz", y=np.arange(3))
        else:
            (folder / f"{name}.npz").write_bytes(content)
    monkeypatch.setenv("FARFIELD_DATA", str(tmp_path))
    citation_graph.cache_clear()
    try:
        with pytest.raises(InputError, match=r"cora.npz is no whole citation graph"):
            citation_graph("cora")
    finally:
        citation_graph.cache_clear()


@real
def test_an_edge_out_of_range_is_found(tmp_path, monkeypatch):
    from farfield.tasks import fetch

    folder = tmp_path / "citation-graphs"
    folder.mkdir()
    original = fetch.read(fetch.path("citation-graphs"), "cora.npz")
    arrays = dict(np.load(io.BytesIO(original), allow_pickle=False))
    arrays["edge_index"] = arrays["edge_index"].copy()
    arrays["edge_index"][0, 0] = 5000
    for name in NAMES:
        np.savez(folder / f"{name}.npz", **arrays)
    assert zipfile.is_zipfile(folder / "cora.npz")
    monkeypatch.setenv("FARFIELD_DATA", str(tmp_path))
    citation_graph.cache_clear()
    try:
        with pytest.raises(InputError, match="no whole citation graph"):
            citation_graph("cora")
    finally:
        citation_graph.cache_clear()
