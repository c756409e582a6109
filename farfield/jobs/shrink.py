"""The job: how much smaller can these vectors be, and the adapter that makes them so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.jobs import output, quality
from farfield.jobs.reading import Embeddings, Source, drawn, read_classes, read_embeddings, read_pairs, units
from farfield.jobs.shrink_summary import HEADLINE, summary
from farfield.nn.matryoshka import check_sizes
from farfield.reuse.adapter import Adapter
from farfield.reuse.shrinking import matryoshka_adapter, pca_adapter

if TYPE_CHECKING:
    import pandas

Method = Literal["learned", "pca"]
LEAST_ROWS = 100
# Rows that are learned from, and rows that are searched among themselves.
MOST_LEARNED, MOST_HELD_OUT, HELD_OUT = 50_000, 4000, 0.3
K = 10
RANDOM_DRAWS = 3
Watch = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A finished job: the ``adapter``, and ``results``, which is what shrink.json holds."""

    adapter: Adapter
    results: dict[str, Any]

    @property
    def table(self) -> pandas.DataFrame:
        """One row per number of the curve: way, columns, bytes of a vector, measure, mean and its 95 % interval."""
        import pandas as pd

        return pd.DataFrame(self.results["curve"])


def shrink(
    embeddings: Source,
    dims: Sequence[int] | None = None,
    *,
    labels: Any = None,
    pairs: Source | None = None,
    method: Method = "learned",
    model: str = "",
    steps: int = 600,
    seed: int = 0,
    out: str | Path | None = None,
    command: str | None = None,
    watch: Watch | None = None,
) -> Shrunk:
    """Learn an adapter to shorter vectors on a part of the rows, and measure on the others what each size costs.

    Beside it stand principal components, the first columns as they are, and columns chosen at random. All similarities
    are
    cosines.

    **Arguments:**
    - ``embeddings``: a file (see `farfield.inspect.read_representations`) or an array (n, d) of at least 100 rows.
    - ``dims``: sizes, each up to d; None: a half, a quarter, an eighth of the columns.
    - ``labels``: the class of each row, a file, a column or n labels; then the adapter is to tell classes. ``pairs``:
      row numbers,
      counted from 0, of rows that belong together; then it is to find a row's partner. Neither: it is to keep
      neighbours.
    - ``method``: which adapter is written, "learned" or "pca"; both are measured.
    - ``model``: the name of the model that made the embeddings, for the adapter to remember.
    - ``steps``: of learning. ``seed``: draws the parts, the batches and the random columns.
    - ``out``: folder for adapter.safetensors, adapter.onnx, report.html, shrink.json, curve.csv.
    - ``watch``: called with a sentence before each step.

    Raises InputError before anything is learned where files are absent or damaged, rows do not match, a size is larger
    than the
    embeddings, a value is not finite, or a row is all zeros.

    >>> x = np.random.default_rng(0).normal(size=(120, 8))
    >>> shrunk = shrink(x, [2, 4], steps=5)
    >>> shrunk.adapter(x).shape
    (120, 4)
    """
    start, watch = time.perf_counter(), watch or (lambda sentence: None)
    if method not in ("learned", "pca"):
        raise InputError(f"method is {method!r}; expected 'learned' or 'pca'")
    if labels is not None and pairs is not None:
        raise InputError("labels and pairs were both given; an adapter learns by one of them")
    if steps < 1:
        raise InputError(f"steps is {steps}; it must be at least 1")
    without = (str(labels),) if isinstance(labels, str | Path) else ()
    data = read_embeddings(embeddings, "embeddings", least=LEAST_ROWS, whole=False, without=without)
    sizes = sorted(
        check_sizes(dims if dims is not None else _usual(data.rows.shape[1]), "dims", most=data.rows.shape[1])
    )
    classes = None if labels is None else read_classes(labels, data, embeddings)
    joined = None if pairs is None else read_pairs(pairs, data, data)
    data = read_embeddings(embeddings, "embeddings", without=without, watch=watch)
    parts = split(len(data.rows), joined, seed=seed)
    if sizes[-1] > len(parts.learned):
        raise InputError(f"dims go up to {sizes[-1]}; there are only {len(parts.learned)} rows to learn from")
    notes = _notes(data, parts)
    seen, held = units(data.rows, parts.learned), units(data.rows, parts.held_out)
    task = {
        "labels": None if classes is None else torch.from_numpy(classes.y)[parts.learned],
        "pairs": parts.learned_pairs,
    }
    watch("learning")
    adapters = {
        "learned": matryoshka_adapter(seen, sizes, **task, steps=steps, seed=seed),
        "pca": pca_adapter(seen, sizes),
    }
    held_classes = None if classes is None else torch.from_numpy(classes.y)[parts.held_out]
    measured = _measure(held, sizes, adapters, held_classes, parts.held_out_pairs, seed=seed, watch=watch)
    goal = "labels" if classes is not None else "pairs" if joined is not None else "neighbours"
    by = {"neighbours": "neighbours of the full vectors"}
    by |= {"labels": f"labels from {classes.source}"} if classes is not None else {}
    by |= {"pairs": f"{len(joined):,} pairs"} if joined is not None else {}
    settings = {
        "learned by": by[goal],
        "adapter written": "learned" if method == "learned" else "principal components",
        "rows learned from": f"{len(parts.learned):,}",
        "rows held out": f"{len(parts.held_out):,}",
        "steps": steps,
        "seed": seed,
    }
    results = output.frame(
        command=command or "farfield.jobs.shrink(...)", start=start, embeddings=[data], notes=notes, settings=settings
    )
    results |= {"goal": goal, "headline": HEADLINE[goal], "method": method, "k": K, "dims": sizes, **measured}
    results["chance"] = K / (len(parts.held_out) - 1)
    results["sentences"] = summary(results)
    notes_of = {"method": method, "goal": goal, "fingerprint": data.about["fingerprint"], "version": results["version"]}
    adapter = _named(adapters[method], model, notes_of)
    if out is not None:
        from farfield.jobs import shrink_report

        folder = Path(out)
        output.write_adapter(adapter, folder, results)
        shrink_report.write(results, folder)
    return Shrunk(adapter, results)


@dataclass(frozen=True, eq=False)
class Parts:
    """Row numbers to learn from and to measure on, rising, and the pairs within each, as positions in them."""

    learned: Tensor
    held_out: Tensor
    learned_pairs: Tensor | None = None
    held_out_pairs: Tensor | None = None


def split(n: int, pairs: Tensor | None = None, *, seed: int) -> Parts:
    """Return the two parts of n rows; of pairs, so that no row that is joined to one of the first is in the second.

    **Arguments:** ``pairs`` (p, 2). With them only rows that are in a pair are used.

    Raises InputError where pairs hang together so much that no part is left, or are too few.

    >>> parts = split(100, seed=0)
    >>> len(parts.learned), len(parts.held_out)
    (70, 30)
    """
    rng = np.random.default_rng([seed, 2])
    if pairs is None:
        chosen = drawn(n, MOST_LEARNED + MOST_HELD_OUT, seed=seed)
        held = min(MOST_HELD_OUT, round(HELD_OUT * len(chosen)))
        order = torch.from_numpy(rng.permutation(len(chosen)))
        return Parts(chosen[order[held:]].sort().values, chosen[order[:held]].sort().values)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    p = pairs.numpy()
    _, group = connected_components(coo_array((np.ones(len(p)), (p[:, 0], p[:, 1])), shape=(n, n)), directed=False)
    used = np.unique(p)
    # Whole groups at a time, in a drawn order, until the rows held out are enough.
    names, sizes = np.unique(group[used], return_counts=True)
    order = rng.permutation(len(names))
    held = min(MOST_HELD_OUT, round(HELD_OUT * len(used)))
    filled = np.cumsum(sizes[order])
    out = set(names[order[filled <= max(held, filled[0] if filled[0] < len(used) / 2 else 0)]].tolist())
    in_held = np.array([g in out for g in group[used]], dtype=bool)
    held_rows, rows = used[in_held], used[~in_held][:MOST_LEARNED]
    if len(held_rows) <= K or len(rows) <= K:
        raise InputError(
            f"the pairs join {len(used)} rows into {len(names)} group{'s' if len(names) > 1 else ''}; more groups are needed, so "
            "that some can be held out"
        )
    return Parts(torch.from_numpy(rows), torch.from_numpy(held_rows), _within(p, rows), _within(p, held_rows))


def _within(pairs: np.ndarray, rows: np.ndarray) -> Tensor:
    """Return the pairs of which both rows are among these, as positions in them."""
    kept = pairs[np.isin(pairs, rows).all(1)]
    return torch.from_numpy(np.searchsorted(rows, kept))


def _measure(
    held: Tensor,
    sizes: Sequence[int],
    adapters: Mapping[str, Adapter],
    classes: Tensor | None,
    pairs: Tensor | None,
    *,
    seed: int,
    watch: Watch,
) -> dict[str, Any]:
    """Return the curve: for every way, size and measure the mean over queries with its interval."""
    width, everything = held.shape[1], torch.arange(len(held))
    wanted = quality.nearest(held, held, K, own=everything)

    def judged(vectors: Tensor) -> dict[str, Tensor]:
        found = quality.nearest(vectors, vectors, K, own=everything)
        values = {"neighbours": quality.shared(found, wanted)}
        if classes is not None:
            values |= {
                "accuracy": quality.vote(found, classes, classes),
                "map": quality.average_precision(found, classes, classes),
            }
        if pairs is not None:
            there = (found[pairs] == pairs.flip(1)[:, :, None]).any(2)
            values["pairs"] = there.double().mean(1)
        return values

    rng = np.random.default_rng([seed, 3])
    orders = [torch.from_numpy(rng.permutation(width)) for _ in range(RANDOM_DRAWS)]
    outputs = {name: adapter(held) for name, adapter in adapters.items()}
    curve, against_pca, against_full = [], [], []
    full = judged(held)
    headline = "accuracy" if classes is not None else "pairs" if pairs is not None else "neighbours"
    for m in sizes:
        watch(f"measuring {m} columns")
        ways = {name: judged(vectors[:, :m]) for name, vectors in outputs.items()}
        ways["prefix"] = judged(held[:, :m])
        several = [judged(held[:, order[:m]]) for order in orders]
        ways["random"] = {name: torch.stack([s[name] for s in several]).mean(0) for name in full}
        curve += [
            {"way": way, "columns": m, "bytes": 4 * m, "measure": name, **quality.interval(v, seed=seed)}
            for way, values in ways.items()
            for name, v in values.items()
        ]
        gain = ways["learned"][headline] - ways["pca"][headline]
        against_pca.append({"columns": m, **quality.interval(gain, seed=seed)})
        against_full += [
            {"way": way, "columns": m, **quality.interval(ways[way][headline] - full[headline], seed=seed)}
            for way in adapters
        ]
    whole = {name: quality.interval(v, seed=seed) for name, v in full.items()}
    return {"curve": curve, "full": whole, "against_pca": against_pca, "against_full": against_full}


def _usual(width: int) -> list[int]:
    """Return a half, a quarter and an eighth of the columns."""
    return sorted({max(1, width // part) for part in (2, 4, 8)})


def _notes(data: Embeddings, parts: Parts) -> list[str]:
    used = len(parts.learned) + len(parts.held_out)
    if used == len(data.rows):
        return []
    return [
        f"{used:,} of the {len(data.rows):,} rows were used: {len(parts.learned):,} to learn from, the others to measure."
    ]


def _named(adapter: Adapter, model: str, notes: Mapping[str, str]) -> Adapter:
    from dataclasses import replace

    return replace(adapter, model=model, notes=notes)
