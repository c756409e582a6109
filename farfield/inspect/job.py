"""The job: what is in these representations, do they hold the classes, and do they agree?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
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
from farfield.inspect.read import (
    Head,
    Labels,
    Representation,
    about,
    from_array,
    label_array,
    read_head,
    read_labels,
    read_representations,
)
from farfield.inspect.scan import scan, widened
from farfield.inspect.words import MEASURES
from farfield.measure._arrays import Array
from farfield.names import parse

if TYPE_CHECKING:
    import pandas

SAMPLE = 5000
MOST = 40
# Pairs beyond these are compared by CKA alone.
MOST_PAIRS = 15

Source = str | Path | Array | Mapping[str, Array]


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
    - ``head``: the weights (classes, d) of the classifier that reads the embeddings, a file with an array ``weight`` (and ``bias``) or
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
    mains, others, known, heads, notes = _gather(
        embeddings, labels, against, model, data, layers, pool, split, keep, head, found.watch
    )
    everything = [*mains, *others]
    _check(everything, known, heads)
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


def _gather(
    embeddings, labels, against, model, data, layers, pool, split, keep, head, watch
) -> tuple[list[Representation], list[Representation], Labels | None, dict[str, Head], list[str]]:
    """Read everything that was named; nothing is measured yet."""
    heads: dict[str, Head] = {}
    notes: list[str] = []
    if model is not None:
        if embeddings:
            raise InputError(
                "give embeddings or a model, not both; save its layers with keep= to compare them with files"
            )
        if data is None:
            raise InputError("a model needs data: a task to run it on, such as digits/noise")
        if labels is not None:
            raise InputError("labels come from the task where a model is given; leave labels out")
        from farfield.inspect.models import read_layers

        models = [model] if isinstance(model, str) else list(model)
        wanted = [layers] if isinstance(layers, str) else layers
        place = None if keep is None else Path(keep)
        read = read_layers(models, data, layers=wanted, pool=pool, split=split, keep=place, watch=watch)
        mains, known, heads, notes = read.representations, read.labels, read.heads, read.notes
    else:
        if not embeddings:
            raise InputError("there is nothing to inspect; give embeddings, or a model and data")
        for name, value in {"data": data, "layers": layers, "keep": keep}.items():
            if value is not None:
                raise InputError(f"{name} is for a model; give one, or leave {name} out")
        first = str(embeddings[0]) if isinstance(embeddings[0], str | Path) else None
        known, beside = _labels(labels, first)
        mains = _named([r for i, e in enumerate(embeddings) for r in _read(e, f"embeddings {i + 1}", beside)])
    given = [] if against is None else list(against) if isinstance(against, list | tuple) else [against]
    others = [r for i, e in enumerate(given) for r in _read(e, f"against {i + 1}", ())]
    together = _named([*mains, *others])
    mains, others = together[: len(mains)], together[len(mains) :]
    if head is not None:
        heads |= {r.name: _head(head) for r in mains}
    return mains, others, known, heads, notes


def _read(given: Source, name: str, without: Sequence[str]) -> list[Representation]:
    if isinstance(given, str | Path):
        return read_representations(str(given), without=without)
    if isinstance(given, Mapping):
        return [from_array(values, str(key)) for key, values in given.items()]
    return [from_array(given, name)]


def _labels(labels: Any, first: str | None) -> tuple[Labels | None, list[str]]:
    """Return the labels, and the columns of the embeddings' file that hold them."""
    if labels is None:
        return None, []
    if isinstance(labels, str | Path):
        text = str(labels)
        return read_labels(text, first), [text, *parse_column(text)]
    return label_array(labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels), "labels", "labels"), []


def parse_column(text: str) -> list[str]:
    """Return the column or array that ``FILE?column=NAME`` names.

    >>> parse_column("a.csv?column=y"), parse_column("y.npy")
    (['y'], [])
    """
    options = parse(text).options if "?" in text and "=" in text else {}
    return [options[k] for k in ("column", "array") if k in options]


def _named(representations: list[Representation]) -> list[Representation]:
    """Return representations whose names differ: those with one name get their whole source, then a number."""
    from dataclasses import replace

    def twice(names: list[str]) -> set[str]:
        return {name for name in names if names.count(name) > 1}

    same = twice([r.name for r in representations])
    named = [
        replace(r, name=f"{r.source}/{r.part}" if r.part else r.source) if r.name in same else r
        for r in representations
    ]
    same = twice([r.name for r in named])
    return [replace(r, name=f"{r.name} ({i + 1})") if r.name in same else r for i, r in enumerate(named)]


def _head(head: Any) -> Head:
    if isinstance(head, str | Path):
        return read_head(str(head))
    weight, bias = head
    return Head(torch.as_tensor(weight), None if bias is None else torch.as_tensor(bias), "head")


def _check(everything: Sequence[Representation], known: Labels | None, heads: Mapping[str, Head]) -> None:
    """Refuse what cannot belong together."""
    if len(everything) > MOST:
        raise InputError(
            f"{len(everything)} representations are too many for one report; choose up to {MOST}, such as by layers"
        )
    first = everything[0]
    for r in everything[1:]:
        if len(r.rows) != len(first.rows):
            raise InputError(
                f"{first.name} has {len(first.rows)} rows but {r.name} has {len(r.rows)}; they must be the same examples in "
                "the same order"
            )
    if known is not None and len(known.y) != len(first.rows):
        raise InputError(
            f"{first.name} has {len(first.rows)} rows but the labels in {known.source} are {len(known.y)}; expected one for each row"
        )
    for name, head in heads.items():
        r = next(r for r in everything if r.name == name)
        if known is None:
            raise InputError("a head needs labels; give them, or leave head out")
        wanted = (len(known.classes), r.rows.shape[1])
        if tuple(head.weight.shape) != wanted:
            raise InputError(
                f"the weights of {head.source} have shape {tuple(head.weight.shape)}; {name} with {wanted[0]} classes and "
                f"{wanted[1]} columns needs {wanted}"
            )
        if head.bias is not None and tuple(head.bias.shape) != wanted[:1]:
            raise InputError(f"the bias of {head.source} has shape {tuple(head.bias.shape)}; expected {wanted[:1]}")


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
