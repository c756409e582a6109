"""Everything that an inspection was given, read and checked to belong together, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from farfield.errors import InputError
from farfield.inspect.labels import Head, Labels, label_array, read_head, read_labels
from farfield.inspect.read import Representation, from_array, read_representations
from farfield.measure._arrays import Array
from farfield.names import parse

MOST = 40

Source = str | Path | Array | Mapping[str, Array]


class Given(NamedTuple):
    """What to inspect: ``mains``; ``others``, which are only compared with; the labels, the classifier of each, and notes."""

    mains: list[Representation]
    others: list[Representation]
    labels: Labels | None
    heads: dict[str, Head]
    notes: list[str]


def gather(
    embeddings: Sequence[Source],
    *,
    labels: Any,
    against: Source | Sequence[Source] | None,
    model: str | Sequence[str] | None,
    data: str | None,
    layers: str | Sequence[str] | None,
    pool: str,
    split: str,
    keep: str | Path | None,
    head: Any,
    watch: Callable[[str], None],
) -> Given:
    """Read everything that was named and check that it belongs together. Arguments, errors: as `farfield.inspect.inspect`."""
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
        # A classifier reads one representation.
        heads[mains[0].name] = _head(head)
    _check(together, known, heads)
    return Given(mains, others, known, heads, notes)


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
        return read_labels(text, first), [text, *_column(text)]
    return label_array(labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels), "labels", "labels"), []


def _column(text: str) -> list[str]:
    """Return the column or array that ``FILE?column=NAME`` names."""
    options = parse(text).options if "?" in text and "=" in text else {}
    return [options[k] for k in ("column", "array") if k in options]


def _named(representations: list[Representation]) -> list[Representation]:
    """Return representations whose names differ: those with one name get their whole source, then a number."""

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
