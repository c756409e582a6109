"""The report of an inspection: one HTML file that needs nothing else, and says what each number means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farfield.files import write_atomically
from farfield.inspect import figures
from farfield.inspect.summary import summary
from farfield.inspect.words import GROUPS, MEASURES, written
from farfield.web import wording
from farfield.web.page import check_complete, environment

Results = Mapping[str, Any]
NEEDED = ("command", "version", "created", "seconds", "machine", "representations", "numbers", "skipped", "curves")
COLLAPSE = ("cdnv", "norms_cv", "etf_error")


def write(results: Results, path: str | Path) -> None:
    """Write the report of an inspection as one self-contained HTML file, whole or not at all.

    **Arguments:** ``results``: what inspect.json holds; ``path``: the file to write.

    Raises InputError where a part of the results is missing.

    >>> write({"command": "farfield inspect a.npy"}, "report.html")
    Traceback (most recent call last):
    farfield.errors.InputError: these are no results of an inspection: version, created, seconds, ... are missing
    """
    check_complete(results, NEEDED, "an inspection")
    results = wording.printable(results)
    made = environment(Path(__file__).parent / "templates")
    made.filters["written"] = written
    page = made.get_template("report.html.jinja").render(
        results=results,
        sentences=summary(results),
        shown=[r["name"] for r in results["representations"] if not r["only_compared"]],
        groups=[group for key in GROUPS if (group := _group(results, key))],
        charts=_charts(results),
        measures=MEASURES,
        skipped=_skipped(results),
    )
    write_atomically(path, page)


def _group(results: Results, key: str) -> dict[str, Any] | None:
    """Return a group's table: its measures that have numbers, its columns and the number in each cell."""
    numbers = [n for n in results["numbers"] if MEASURES[n["measure"]].group == key]
    if not numbers:
        return None
    measures = [m for m in MEASURES if any(n["measure"] == m for n in numbers)]
    pairs = any(n["against"] for n in numbers)
    columns = list(dict.fromkeys((n["representation"], n["against"]) for n in numbers))
    # Pairs that were compared by CKA alone are in its heat map.
    if pairs and len(columns) > 3:
        columns = [c for c in columns if sum((n["representation"], n["against"]) == c for n in numbers) > 1] or columns[
            :12
        ]
    cells = {(n["measure"], n["representation"], n["against"]): n for n in numbers}
    names = [name for column in columns for name in column if name]
    short = dict(zip(names, wording.distinct(names))) if len(columns) > 2 else {name: name for name in names}
    return {
        "key": key,
        "title": GROUPS[key],
        "measures": measures,
        "columns": columns,
        "cells": cells,
        "short": short,
        "pairs": pairs,
        "chance": any(n["chance"] is not None for n in numbers),
        "by_representation": len(columns) > len(measures) + 2,
    }


def _charts(results: Results) -> dict[str, Any]:
    """Every figure as SVG, for the page to take as it is."""
    from markupsafe import Markup

    def safe(svg: str | None) -> Markup | None:
        # Drawn by us; the drawing library has escaped the names in it.
        return None if svg is None else Markup(svg)

    names = figures.pictured(results)
    matched = results["curves"].get("matching", {})
    return {
        "spectra": safe(figures.spectra(results)),
        "dimension": safe(
            figures.over_layers(results, ("dimension_mle", "dimension_twonn"), "dimension", "dimensions")
        ),
        "collapse": safe(figures.over_layers(results, COLLAPSE, "0: collapsed", "collapse")),
        "reading": safe(figures.over_layers(results, ("linear_probe", "knn_accuracy"), "accuracy", "reading")),
        "by_class": [(name, svg) for name in names if (svg := safe(figures.by_class(results, name)))],
        "distances": [(name, svg) for name in names if (svg := safe(figures.class_distances(results, name)))],
        "cka": safe(figures.cka(results)),
        "matching": [(pair, svg) for pair in matched if (svg := safe(figures.matching(results, pair)))],
        "windows": safe(figures.windows(results)),
    }


def _skipped(results: Results) -> list[dict[str, Any]]:
    """Return what was not measured, one line for each reason."""
    lines: dict[tuple[str, str], list[str]] = {}
    for s in results["skipped"]:
        lines.setdefault((s["what"], s["why"]), []).append(s["of"])
    return [{"what": what, "why": why, "of": of} for (what, why), of in lines.items()]
