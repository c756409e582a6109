"""The job: what is in these representations, do they hold the classes, and do they agree?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from farfield import provenance
from farfield.errors import InputError
from farfield.inspect import alone, classes, pairs, sets
from farfield.inspect.findings import Findings
from farfield.inspect.gather import Source, gather
from farfield.inspect.labels import Head, Labels
from farfield.inspect.read import Representation, about
from farfield.inspect.scan import scan, widened
from farfield.inspect.words import MEASURES
from farfield.measure._arrays import Array

if TYPE_CHECKING:
    import pandas

SAMPLE = 3000
# Pairs beyond these are compared by CKA alone.
MOST_PAIRS = 15


@dataclass(frozen=True)
class Inspection:
    """A finished inspection: ``results`` is what inspect.json holds."""

    results: dict[str, Any]

    @property
    def table(self) -> pandas.DataFrame:
        """One row per number: representation, the one it is against, measure, value, its interval, chance, rows, meaning."""
        import pandas as pd

        rows = [
            {
                **{k: n[k] for k in ("representation", "against", "measure", "value", "low", "high", "chance", "rows")},
                "title": MEASURES[n["measure"]].title,
                "meaning": MEASURES[n["measure"]].meaning,
                "usual": MEASURES[n["measure"]].usual,
            }
            for n in self.results["numbers"]
        ]
        return pd.DataFrame(rows)


def inspect(
    *embeddings: Source,
    labels: str | Path | Array | Sequence[Any] | None = None,
    against: Source | Sequence[Source] | None = None,
    model: str | Sequence[str] | None = None,
    data: str | None = None,
    layers: str | Sequence[str] | None = None,
    pool: str = "mean",
    split: str = "iid",
    keep: str | Path | None = None,
    head: str | Path | tuple[Array, Array | None] | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    out: str | Path | None = None,
    command: str | None = None,
    watch: Callable[[str], None] | None = None,
) -> Inspection:
    """Measure what representations hold, and whether they agree.

    Everything that applies is measured; what does not is listed with the reason. Measures that compare rows with rows, and
    probes, use the same ``sample`` rows of every representation, drawn by ``seed``; the others use all rows, in pieces, so that
    .npy and .safetensors files need not fit in memory.

    **Arguments:**
    - ``embeddings``: files (see `farfield.inspect.read_representations`), arrays (n, d), or mappings name -> array; several are
      compared with each other. All must hold the same examples in the same order.
    - ``labels``: the class of each row: a file, a column or array in the first embeddings' file, or n labels.
    - ``against``: more embeddings, to compare with only.
    - ``model``, ``data``: in place of embeddings, the layers of one or several named models on a task; ``layers``, ``pool``, ``split``,
      ``keep``: see `farfield.inspect.read_layers`.
    - ``head``: the weights (classes, d) of the classifier that reads the first embeddings, a file with an array ``weight`` (and ``bias``) or
      the arrays, rows in the order of the sorted labels. NC3 and NC4 need it.
    - ``out``: folder for report.html, inspect.json and inspect.csv.
    - ``watch``: called with a sentence before each step, for progress.

    Raises InputError before any measure where files are absent or damaged, rows do not match, or a value is not finite.

    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> found = inspect({"a": x, "b": x[:, ::-1]}, sample=50)
    >>> found.table.query("measure == 'linear_cka'")["value"].round(6).tolist()
    [1.0]
    """
    start = time.perf_counter()
    found = Findings(watch=watch or (lambda sentence: None))
    if sample < 10:
        raise InputError(f"sample is {sample}; it must be at least 10")
    mains, others, known, heads, notes = gather(
        embeddings,
        labels=labels,
        against=against,
        model=model,
        data=data,
        layers=layers,
        pool=pool,
        split=split,
        keep=keep,
        head=head,
        watch=found.watch,
    )
    everything = [*mains, *others]
    scans = {}
    for r in everything:
        found.watch(f"reading {r.name}")
        scans[r.name] = scan(r.rows, r.name)
    n = len(everything[0].rows)
    _check_memory(everything, min(n, sample))
    at = np.sort(np.random.default_rng([seed, 0]).choice(n, min(n, sample), replace=False))
    if len(at) < n:
        notes.append(
            f"Measures that compare rows with rows, and probes, rest on {len(at):,} of the {n:,} rows, drawn with seed {seed}."
        )
    samples = [widened(r.rows[torch.from_numpy(at)] if len(at) < n else r.rows).double() for r in everything]
    if known is not None:
        classes.balance(found, known)
    for r, rows in zip(mains, samples):
        _measure(found, r, rows, scans[r.name], known, heads.get(r.name), at, seed)
    _compare(found, mains, others, samples, notes, seed=seed)
    sets.identification(found, mains, samples[: len(mains)], seed=seed)
    where = provenance.describe()
    results = {
        "command": command or "farfield.inspect.inspect(...)",
        "version": where["version"],
        "commit": where["commit"],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": time.perf_counter() - start,
        "machine": where["machine"],
        "settings": {"sample": sample, "seed": seed, "rows_used": len(at)},
        "representations": [
            {**about(r), "only_compared": r in others, "fingerprint": scans[r.name].fingerprint} for r in everything
        ],
        "labels": None if known is None else _about_labels(known),
        "notes": [*notes, *(note for r in everything for note in r.notes)],
        "numbers": found.as_dicts(),
        "skipped": found.skipped,
        "curves": found.curves,
    }
    inspection = Inspection(results)
    if out is not None:
        from farfield.inspect.output import write

        write(inspection, Path(out))
    return inspection


def _check_memory(everything: Sequence[Representation], rows: int) -> None:
    import psutil

    size = 8 * rows * sum(r.rows.shape[1] for r in everything)
    free = psutil.virtual_memory().available
    # Copies in float64: the samples, and what a measure makes of two of them.
    if 2 * size > 0.8 * free:
        raise InputError(
            f"{rows:,} rows of {sum(r.rows.shape[1] for r in everything):,} columns need {2 * size / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB of memory are free: give a smaller sample, or pool the columns first"
        )


def _measure(
    found: Findings,
    r: Representation,
    rows: Tensor,
    scanned: Any,
    known: Labels | None,
    head: Head | None,
    at: np.ndarray,
    seed: int,
) -> None:
    alone.form(found, r.name, r.rows, scanned)
    alone.directions(found, r.name, r.rows, rows)
    alone.dimension(found, r.name, rows)
    alone.neighbours(found, r.name, rows)
    if known is not None:
        y = known.y[at]
        classes.reading(found, r.name, rows, y, seed=seed)
        classes.collapse(found, r.name, r.rows, known, head)
        classes.dimension_by_class(found, r.name, rows, y, known.classes)
        classes.task(found, r.name, rows, y, seed=seed)


def _compare(
    found: Findings, mains: Sequence[Representation], others: Sequence[Representation], samples: Sequence[Tensor], notes: list[str],
    *, seed: int,
) -> None:  # fmt: skip
    everything = [*mains, *others]
    wanted = [(i, j) for i in range(len(mains)) for j in range(i + 1, len(everything))]
    # Layers of one model, or unlike layers of two, are compared by CKA: the rest says little of them.
    full = [(i, j) for i, j in wanted if _alike(everything[i], everything[j])]
    if len(full) > MOST_PAIRS:
        # The last layers are those that are used.
        notes.append(f"Of {len(full)} pairs the last {MOST_PAIRS} were compared in full, the others by CKA alone.")
    for i, j in wanted:
        pair = (found, everything[i], everything[j], samples[i], samples[j])
        if (i, j) in full[-MOST_PAIRS:]:
            pairs.agreement(*pair, seed=seed)
        else:
            pairs.cka(*pair, seed=seed)


def _alike(a: Representation, b: Representation) -> bool:
    return a.part == b.part if a.part and b.part else a.source != b.source or not a.part


def _about_labels(known: Labels) -> dict[str, Any]:
    counts = np.bincount(known.y, minlength=len(known.classes))
    return {"source": known.source, "classes": list(known.classes), "counts": counts.tolist()}
