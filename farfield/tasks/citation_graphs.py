"""Citation graphs: papers as nodes, their words as features, their field as the class, citations as edges."""

import functools
import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks import fetch
from farfield.tasks.task import Classes, Table, Task, Vector

NAMES = ("cora", "citeseer")
KEYS = ("edge_index", "x_indptr", "x_indices", "x_shape", "y", "idx_train", "idx_val", "idx_test", "unlabelled")


@dataclass(frozen=True)
class CitationGraph:
    """A graph with labelled nodes.

    **Fields:**
    - ``x``: (n, d) sparse (COO) float32, 1 where the paper has the word.
    - ``edges``: (2, e) int64, both directions of each citation, no loops, no duplicates.
    - ``y``: (n,) int64 classes 0..c-1; ``classes``: how many.
    - ``train``, ``val``, ``test``: node numbers of the public split (20 per class, 500, 1,000).
    - ``unlabelled``: node numbers whose ``y`` means nothing; empty for Cora.
    """

    x: Tensor
    edges: Tensor
    y: Tensor
    classes: int
    train: Tensor
    val: Tensor
    test: Tensor
    unlabelled: Tensor

    def row_normalized(self) -> Tensor:
        """Return ``x`` with each row divided by its sum (rows without a word stay zeros), sparse.

        >>> x, ids = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).to_sparse(), torch.arange(2)
        >>> CitationGraph(x, ids[None].repeat(2, 1), ids, 2, ids, ids, ids, ids[:0]).row_normalized().to_dense()
        tensor([[0.5000, 0.5000],
                [0.0000, 0.0000]])
        """
        at = self.x.coalesce()
        sums = torch.zeros(len(self.y)).index_add(0, at.indices()[0], at.values())
        values = at.values() / sums[at.indices()[0]]
        return torch.sparse_coo_tensor(at.indices(), values, at.shape, is_coalesced=True, check_invariants=False)

    def random_split(self, *, val: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return the labelled nodes as (train, val), at random, with this share for validation.

        Raises InputError where the share is not between 0 and 1.

        >>> ids = torch.arange(20)
        >>> graph = CitationGraph(torch.eye(20), ids[None].repeat(2, 1), ids, 20, ids[:1], ids[:1], ids[:1], ids[:0])
        >>> [len(part) for part in graph.random_split()]
        [18, 2]
        """
        if not 0 < val < 1:
            raise InputError(f"val is {val}; expected a share between 0 and 1")
        labelled = torch.ones(len(self.y), dtype=torch.bool)
        labelled[self.unlabelled] = False
        nodes = labelled.nonzero().flatten()
        nodes = nodes[torch.randperm(len(nodes), generator=torch.Generator().manual_seed(seed))]
        n = max(1, round(val * len(nodes)))
        return nodes[n:], nodes[:n]


def expand(name: Name) -> list[Name]:
    """Return the name itself: ``cora`` or ``citeseer``. Raises InputError on an unknown one.

    >>> from farfield.names import parse
    >>> [n.path for n in expand(parse("cora"))]
    ['cora']
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return the papers' words as vectors with their field as the class, by the public split whatever the seed.

    One domain and the near test only. The citations are not in it: a network that uses them takes `citation_graph`.

    Raises InputError on an unknown name or option, or where the data cannot be had.
    """
    expand(name)
    name.check_options([])
    graph = citation_graph(name.path)
    x = graph.x.to_dense()

    def table(rows: Tensor) -> Table:
        return Table(x=x[rows], y=graph.y[rows], domain=torch.zeros(len(rows), dtype=torch.long))

    digest = hashlib.sha256(x.numpy().tobytes() + graph.y.numpy().tobytes() + graph.edges.numpy().tobytes())
    return Task(
        str(name),
        table(graph.train),
        table(graph.val),
        {"iid": table(graph.test)},
        Vector(x.shape[1]),
        Classes(graph.classes),
        domains=(name.path,),
        fingerprint=digest.hexdigest(),
    )


@functools.lru_cache(maxsize=2)
def citation_graph(name: str) -> CitationGraph:
    """Return the citation graph "cora" (2,708 papers, 7 fields) or "citeseer" (3,327 papers, 6 fields).

    Raises InputError on an unknown name, where the data cannot be had, or a file is damaged.

    Source: Sen et al., "Collective classification in network data", 2008; public split: Yang, Cohen, Salakhutdinov,
    ICML 2016.

    >>> citation_graph("corra")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown citation graph 'corra'; nearest: cora
    """
    if name not in NAMES:
        raise unknown_name("citation graph", name, NAMES)
    folder = fetch.path("citation-graphs")
    file = f"{name}.npz"
    try:
        with np.load(io.BytesIO(fetch.read(folder, file)), allow_pickle=False) as archive:
            found = {key: torch.from_numpy(archive[key].astype(np.int64)) for key in KEYS}
        return _graph(found)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{folder / file} is no whole citation graph ({error}); remove it, or provide it again"
        ) from error


def _graph(found: dict[str, Any]) -> CitationGraph:
    n, d = found["x_shape"].tolist()
    rows = torch.repeat_interleave(torch.arange(n), found["x_indptr"].diff())
    words = torch.stack([rows, found["x_indices"]])
    y, edges = found["y"], found["edge_index"]
    if len(y) != n or edges.shape[0] != 2 or int(edges.max()) >= n or int(edges.min()) < 0:
        raise ValueError(f"{n} nodes, labels of shape {tuple(y.shape)}, edges of shape {tuple(edges.shape)}")
    x = torch.sparse_coo_tensor(words, torch.ones(words.shape[1]), (n, d), check_invariants=True).coalesce()
    parts = (found[key] for key in ("idx_train", "idx_val", "idx_test", "unlabelled"))
    return CitationGraph(x, edges, y, int(y.max()) + 1, *parts)
