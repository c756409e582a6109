"""The page of `farfield shrink`: the curve that a person decides from, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farfield.jobs import output
from farfield.jobs.shrink_summary import MEASURES, WAYS, at
from farfield.web import svg
from farfield.web.svg import BASELINE, BEST, INK, OTHER, WORST

COLOURS = {"learned": BEST, "pca": BASELINE, "prefix": WORST, "random": OTHER}
MARKS = {"learned": "s", "pca": "o", "prefix": "^", "random": "D"}
MEANINGS = {
    "neighbours": "Share of the 10 nearest rows by the full vectors that are among the 10 nearest by the short ones.",
    "accuracy": "Share of rows whose class is that of most of their 10 nearest rows.",
    "map": "Mean average precision at 10: how early, among the 10 nearest, rows of the same class come.",
    "pairs": "Share of rows whose partner is among their 10 nearest.",
}


def write(results: dict[str, Any], folder: Path) -> None:
    """Write shrink.json, curve.csv and report.html. Raises InputError where a part of the results is missing."""
    output.write(
        results,
        results["curve"],
        folder,
        name="shrink",
        template=Path("shrink.html.jinja"),
        charts={name: _safe(curve(results, name)) for name in results["full"]},
        # What the adapter was made for first.
        ordered=sorted(results["full"], key=lambda name: (name != results["headline"], list(MEASURES).index(name))),
        measures=MEASURES,
        meanings=MEANINGS,
        ways=WAYS,
        number=lambda way, m, name: at(results, way, m, name),
    )


def curve(results: Mapping[str, Any], measure: str) -> str:
    """Draw one measure against the number of columns, a line per way with 95 % intervals, and the full vectors
    dashed."""
    figure, axes = svg.canvas(width=6.2, height=3.6)
    sizes, labels = results["dims"], []
    for way, name in WAYS.items():
        rows = [at(results, way, m, measure) for m in sizes]
        means = [100 * r["mean"] for r in rows]
        colour = COLOURS[way]
        # A whisker to each end of the interval, which need not lie evenly about the mean.
        axes.vlines(sizes, [100 * r["low"] for r in rows], [100 * r["high"] for r in rows], color=colour, linewidth=1.4)
        axes.plot(sizes, means, color=colour, marker=MARKS[way], markersize=5, linewidth=1.6)
        labels.append((name, means[-1], colour, way == results["method"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{m:,}" for m in sizes])
    axes.minorticks_off()
    if len(sizes) == 1:
        axes.set_xlim(sizes[0] / 2, 2 * sizes[0])
    if measure != "neighbours":
        whole = 100 * results["full"][measure]["mean"]
        axes.axhline(whole, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        labels.append(("all columns", whole, INK, False))
    width = results["data"][0]["columns"]
    svg.name_axes(axes, f"columns (of {width:,}; log scale)", f"{MEASURES[measure]}, %")
    svg.margins(figure, left=46, right=108, top=10, bottom=40)
    svg.label_right(figure, axes, labels)
    return svg.render(figure, f"curve-{measure}")


def _safe(text: str) -> Any:
    from markupsafe import Markup

    # Drawn by us; the drawing library has escaped the names in it.
    return Markup(text)
