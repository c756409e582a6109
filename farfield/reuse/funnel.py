"""Search with few dimensions first, then order ever shorter lists by ever more of them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError, MissingExtra
from farfield.measure._arrays import Array, like, tensor
from farfield.nn.matryoshka import check_sizes

BLOCK = 8_000_000  # values of the database normalised at once
NEAR = 1_000_000  # values of candidates held at once: they stay in the processor's cache between reading and comparing


class FunnelIndex:
    """Nearest neighbours by few dimensions, re-ranked by more: a thin layer over faiss's exact search.

    The search over all N vectors reads their first ``start_dim`` dimensions. Of what it finds, the first
    ``shortlists[0]`` are ordered anew by ``dims[0]`` dimensions, the first ``shortlists[1]`` of these by ``dims[1]``,
    and so on. One pair is the paper's adaptive retrieval, several its funnel; none is exact search at ``start_dim``.
    Distances are Euclidean between prefixes of length 1: each is brought to it after the cut, at every size. A prefix
    of zeros stays zeros.

    **Arguments:**
    - ``db``: (N, d), for instance a memory-mapped array; held as it is where it is float32, and beside it the first
      ``start_dim`` dimensions once more and a number per row for each of ``dims``.
    - ``start_dim``, ``dims``: numbers of dimensions up to d; the paper's are 8, then 16, 32, 64, 128, 2048.
    - ``shortlists``: as many, not rising, each from 1 to N; the paper's are 200, 100, 50, 25, 10.

    The multiply-adds of a query are ``macs = start_dim N + sum_j dims_j shortlists_j``.

    Raises InputError on sizes and lists that do not fit, MissingExtra without the package faiss.

    Source: Kusupati et al., NeurIPS 2022, section 4.3.1 and its appendix.

    >>> index = FunnelIndex(np.eye(4, dtype="float32"), 2, dims=[4], shortlists=[3])
    >>> found, macs = index.search(np.array([[0.0, 1.0, 0.0, 0.0]]), k=1)
    >>> found.tolist(), macs
    ([[1]], 20)
    """

    def __init__(
        self,
        db: Float[Array, "n d"],
        start_dim: int,
        dims: Sequence[int] = (),
        shortlists: Sequence[int] = (),
    ):
        try:
            import faiss
        except ImportError:
            raise MissingExtra("faiss", extra="search", needed_by="FunnelIndex") from None

        self.db = tensor(db, "db", dtype=torch.float32).cpu()
        n, d = self.db.shape
        (self.start_dim,) = check_sizes([start_dim], "start_dim", most=d)
        # Not all different: an order may be made twice by the same number of dimensions.
        self.dims = tuple(check_sizes([m], "dims", most=d)[0] for m in dims)
        self.shortlists = tuple(int(k) for k in shortlists)
        if len(self.shortlists) != len(self.dims):
            raise InputError(f"{len(self.shortlists)} shortlists came for {len(self.dims)} dims; expected one for each")
        if list(self.shortlists) != sorted(self.shortlists, reverse=True) or not all(
            1 <= k <= n for k in self.shortlists
        ):
            raise InputError(
                f"shortlists is {list(shortlists)}; they must not rise, and be from 1 to {n}, the rows of db"
            )
        self.macs = self.start_dim * n + sum(m * k for m, k in zip(self.dims, self.shortlists))
        self._first = faiss.IndexFlatL2(self.start_dim)
        for rows in self.db[:, : self.start_dim].split(max(1, BLOCK // self.start_dim)):
            self._first.add(F.normalize(rows, dim=1).numpy())
        self._norms = {m: torch.linalg.vector_norm(self.db[:, :m], dim=1) for m in set(self.dims)}

    def search(self, q: Float[Array, "queries d"], k: int) -> tuple[Int[Array, "queries k"], int]:
        """Return the row numbers of the k nearest of each query, the nearest first, and the multiply-adds of a query.

        **Arguments:** ``q``: as wide as the vectors of the index; ``k``: from 1 to the last short-list (to N without
        any).

        Raises InputError on a k or a width out of range.
        """
        queries = tensor(q, "q", dtype=torch.float32).cpu()
        most = self.shortlists[-1] if self.shortlists else len(self.db)
        if queries.shape[1] != self.db.shape[1]:
            raise InputError(
                f"q has {queries.shape[1]} dimensions but the index {self.db.shape[1]}; they must be equal"
            )
        if not 1 <= k <= most:
            raise InputError(f"k is {k}; it must be from 1 to {most}")
        start = F.normalize(queries[:, : self.start_dim], dim=1).numpy()
        _, rows = self._first.search(np.ascontiguousarray(start), self.shortlists[0] if self.shortlists else k)
        found = torch.from_numpy(rows)
        for m, length in zip(self.dims, self.shortlists):
            found = self._order(queries[:, :m], found[:, :length], m)
        return like(found[:, :k].clone(), q), self.macs

    def _order(self, queries: Tensor, candidates: Tensor, m: int) -> Tensor:
        """Return the candidates of each query (q, length), the nearest by m dimensions first."""
        prefixes, norms, ordered = self.db[:, :m], self._norms[m], []
        length = candidates.shape[1]
        at_once = max(1, NEAR // (m * length))
        for query, rows in zip(F.normalize(queries, dim=1).split(at_once), candidates.split(at_once)):
            near = prefixes.index_select(0, rows.flatten()).unflatten(0, (-1, length))  # (q, length, m)
            norm = norms[rows]
            # |q - c|^2 of a candidate of length 1 falls with q c; one of zeros is at 1, as if q c were 1/2.
            similar = torch.where(norm > 0, (near @ query[:, :, None])[..., 0] / norm.clamp(min=1e-12), 0.5)
            ordered.append(rows.gather(1, similar.argsort(dim=1, descending=True, stable=True)))
        return torch.cat(ordered)
