"""The figures of an inspection as SVG. Each function draws one; None where there is nothing to draw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from farfield.inspect.words import MEASURES
from farfield.web import svg
from farfield.web.svg import BASELINE, BEST, FAINT, INK, OTHER, SMALL, WORST
from farfield.web.wording import distinct, shorten

Results = Mapping[str, Any]

PALETTE = (BASELINE, BEST, WORST, "#cc79a7", "#b98500", "#56b4e9", OTHER)
STYLES = ("-", (0, (5, 2)), (0, (1, 1.5)))
# More lines than this can't be told apart; the first are drawn.
MOST_LINES = 14


def spectra(results: Results) -> str | None:
    """Draw the share of the variance that the leading directions hold together, a line per representation."""
    lines = _few(results["curves"].get("spectrum", {}))
    if not lines:
        return None
    figure, axes = svg.canvas(height=3.1)
    ends = []
    for i, (name, line) in enumerate(lines.items()):
        colour = PALETTE[i % len(PALETTE)]
        axes.plot(
            line["directions"], [100 * v for v in line["held"]], color=colour, linewidth=1.6,
            linestyle=STYLES[i // len(PALETTE)], label=name,
        )  # fmt: skip
        ends.append(name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
    axes.axhline(90, color=FAINT, linewidth=1)
    axes.set_ylim(0, 102)
    svg.name_axes(axes, "leading directions (log scale)", "variance held, %")
    _key_below(figure, axes, list(lines), left=46)
    return svg.render(figure, "spectra")


def over_layers(results: Results, measures: Sequence[str], label: str, name: str) -> str | None:
    """Draw measures over the layers of a model, in their order; a line per measure and model; logarithmic where all are above 0."""
    order = [r for r in results["representations"] if r["part"] and not r["only_compared"]]
    sources = list(dict.fromkeys(r["source"] for r in order))
    parts = list(dict.fromkeys(r["part"] for r in order))
    if len(parts) < 3:
        return None
    figure, axes = svg.canvas(height=3.5)
    labels, drawn = [], []
    for s, source in enumerate(sources):
        for m, measure in enumerate(measures):
            values = {
                r["part"]: n["value"]
                for r in order
                if r["source"] == source and (n := _number(results, r["name"], measure)) is not None
            }
            at = [parts.index(p) for p in values]
            if len(at) < 2:
                continue
            text = MEASURES[measure].title + (f", {shorten(distinct(sources)[s], 18)}" if len(sources) > 1 else "")
            axes.plot(
                at, list(values.values()), marker="osD^"[m % 4], markersize=4, linewidth=1.3,
                color=PALETTE[m % len(PALETTE)], linestyle=STYLES[s % len(STYLES)], label=text,
            )  # fmt: skip
            labels.append(text)
            drawn += values.values()
    if not labels:
        return None
    if min(drawn) > 0 and max(drawn) > 20 * min(drawn):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    shown = [shorten(p, 16) for p in parts]
    step = -(-len(parts) // 14)
    axes.set_xticks(range(0, len(parts), step), shown[::step], rotation=50, ha="right", parse_math=False)
    svg.name_axes(axes, "", label)
    _key_below(figure, axes, labels, left=50, room=14 + 0.8 * svg.text_width(shown))
    return svg.render(figure, name)


def pictured(results: Results) -> list[str]:
    """Return the representations that get figures of their own: of the layers of a model the last, of others up to six."""
    mains = [r for r in results["representations"] if not r["only_compared"]]
    last = {r["source"]: r["name"] for r in mains if r["part"]}
    return [*last.values(), *(r["name"] for r in mains if not r["part"])][:6]


def by_class(results: Results, name: str) -> str | None:
    """Draw the intrinsic dimension of each class of one representation with its interval, the highest on top."""
    values = results["curves"].get("dimension_by_class", {}).get(name)
    if not values or len(values) < 2:
        return None
    order = sorted(values, key=lambda c: -values[c]["mean"])
    figure, axes = svg.rows(order)
    for y, c in enumerate(order):
        v = values[c]
        axes.plot([v["low"], v["high"]], [y, y], color=BASELINE, linewidth=2, solid_capstyle="butt")
        axes.plot([v["mean"]], [y], "o", color=BASELINE, markersize=5)
    whole = _number(results, name, "dimension_mle")
    if whole is not None:
        axes.axvline(whole["value"], color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    svg.name_axes(axes, "intrinsic dimension (MLE); dashed: all rows together", "")
    return svg.render(figure, f"by-class-{_short_hash(name)}")


def class_distances(results: Results, name: str) -> str | None:
    """Draw the distances between the class means of one representation as a heat map."""
    found = results["curves"].get("class_distances", {}).get(name)
    if not found:
        return None
    square = np.zeros((len(found["classes"]),) * 2)
    square[np.triu_indices(len(square), 1)] = found["rdm"]
    return heat(square + square.T, found["classes"], "distance", f"distances-{_short_hash(name)}", digits=None)


def cka(results: Results) -> str | None:
    """Draw linear CKA between all representations as a heat map, where there are three or more."""
    names = [r["name"] for r in results["representations"]]
    found = {
        (n["representation"], n["against"]): n["value"] for n in results["numbers"] if n["measure"] == "linear_cka"
    }
    named = {name for pair in found for name in pair}
    names = [name for name in names if name in named]
    if len(names) < 3:
        return None
    square = np.full((len(names),) * 2, np.nan)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            square[i, j] = 1.0 if i == j else found.get((a, b), found.get((b, a), np.nan))
    return heat(square, names, "linear CKA", "cka", bounds=(0, 1), digits=2)


def matching(results: Results, pair: str) -> str | None:
    """Draw the units' correlations with their partners, sorted, beside those by chance."""
    curves = results["curves"].get("matching", {}).get(pair)
    if not curves:
        return None
    figure, axes = svg.canvas(height=3.0)
    styles = {"best partner": (BASELINE, "-"), "one to one": (BEST, (0, (5, 2)))}
    labels = []
    for kind, lines in (("real", curves["real"]), ("chance", curves["chance"])):
        for what, values in lines.items():
            colour, style = (OTHER, styles[what][1]) if kind == "chance" else styles[what]
            text = what if kind == "real" else f"{what}, by chance"
            at = np.linspace(0, 100, len(values)) if len(values) > 1 else np.array([50.0])
            axes.plot(
                at, values, color=colour, linestyle=style, linewidth=1.6, marker="o" if len(values) < 12 else None,
                markersize=3, label=text,
            )  # fmt: skip
            labels.append(text)
    axes.set_ylim(min(0, *axes.get_ylim()), 1.02)
    svg.name_axes(axes, "units, best first, %", "correlation with the partner")
    _key_below(figure, axes, labels, left=46)
    return svg.render(figure, f"matching-{_short_hash(pair)}")


def windows(results: Results) -> str | None:
    """Draw the share of layers told for every geo-topological window (l, u), the best one marked."""
    found = next(iter(results["curves"].get("windows", {}).values()), None)
    if found is None:
        return None
    lows, highs = sorted(set(found["l"])), sorted(set(found["u"]))
    grid = np.full((len(highs), len(lows)), np.nan)
    for low, high, value in zip(found["l"], found["u"], found["accuracy"]):
        grid[highs.index(high), lows.index(low)] = 100 * value
    figure, axes = svg.canvas(height=3.6)
    image = axes.pcolormesh(lows, highs, grid, cmap="cividis", shading="nearest", edgecolor="face", linewidth=0.3)
    axes.plot(*found["best"], marker="*", markersize=12, color="white", markeredgecolor="black", linestyle="none")
    svg.colour_bar(figure, axes, image, "layers told, %", fraction=0.046, pad=0.03)
    axes.grid(visible=False)
    svg.name_axes(axes, "l: nearer than this share of pairs is equal", "u: farther than this share is far")
    svg.margins(figure, left=46, right=12, top=10, bottom=40)
    return svg.render(figure, "windows")


def heat(
    square: np.ndarray, names: Sequence[str], label: str, name: str, *, bounds: tuple[float, float] | None = None,
    digits: int | None = None,
) -> str:  # fmt: skip
    """Draw a square matrix over names as a heat map; values are written in where they fit."""
    n = len(names)
    shown = [shorten(text, 14) for text in names]
    side = min(4.4, max(2.2, 0.42 * n + 1.2))
    left = svg.text_width(shown) + 10
    figure, axes = svg.canvas(width=side + left / 72 * 0.6 + 0.9, height=side + left / 72 * 0.6)
    low, high = bounds or (float(np.nanmin(square)), float(np.nanmax(square)))
    # Drawn cell by cell: an image would be smoothed, and the page allows none.
    image = axes.pcolormesh(
        np.arange(n), np.arange(n), square, cmap="cividis", vmin=low, vmax=high, shading="nearest", edgecolor="face",
        linewidth=0.3,
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.invert_yaxis()
    step = 1 if n <= 26 else -(-n // 26)
    size = SMALL if n <= 14 else 7
    axes.set_xticks(range(0, n, step), shown[::step], rotation=55, ha="right", fontsize=size, parse_math=False)
    axes.set_yticks(range(0, n, step), shown[::step], fontsize=size, parse_math=False)
    axes.grid(visible=False)
    for side_name in ("left", "bottom"):
        axes.spines[side_name].set_visible(False)
    axes.tick_params(length=0)
    if digits is not None and n <= 10:
        for i, j in np.argwhere(np.isfinite(square)):
            light = (square[i, j] - low) / max(high - low, 1e-12) > 0.6
            axes.text(
                j, i, f"{square[i, j]:.{digits}f}", ha="center", va="center", fontsize=8,
                color="#111111" if light else "#fafafa", parse_math=False,
            )  # fmt: skip
    svg.colour_bar(figure, axes, image, label, fraction=0.046, pad=0.03)
    svg.margins(figure, left=left, right=44, top=8, bottom=10 + 0.85 * svg.text_width(shown, size))
    return svg.render(figure, name)


def _few(lines: Mapping[str, Any]) -> dict[str, Any]:
    """Of more lines than can be told apart, return evenly many."""
    names = list(lines)
    if len(names) > MOST_LINES:
        names = [names[i] for i in np.linspace(0, len(names) - 1, MOST_LINES).round().astype(int)]
    return {name: lines[name] for name in names}


def _key_below(figure: Any, axes: Any, labels: Sequence[str], *, left: float, room: float = 38) -> None:
    """Write which line is which below the axes and their labels, which need ``room`` points, and set the margins."""
    width, height = figure.get_size_inches()
    columns = 1 if svg.text_width(labels) > 130 else 2
    rows = -(-len(labels) // columns)
    bottom = room + 6 + 13 * rows
    figure.set_size_inches(width, height + (bottom - 38) / 72)
    svg.margins(figure, left=left, right=12, top=10, bottom=bottom)
    handles, _ = axes.get_legend_handles_labels()
    # Set after drawing, so that names are not read as formulas.
    legend = figure.legend(
        handles, [shorten(text, 44 if columns == 1 else 22) for text in labels], loc="lower left", ncols=columns, frameon=False,
        fontsize=8, labelcolor=INK, handlelength=1.8, bbox_to_anchor=(left / 72 / width - 0.03, 0), borderaxespad=0.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def _number(results: Results, representation: str, measure: str) -> Mapping[str, Any] | None:
    return next(
        (
            n
            for n in results["numbers"]
            if n["representation"] == representation and n["measure"] == measure and n["against"] is None
        ),
        None,
    )


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
