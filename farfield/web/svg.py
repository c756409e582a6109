"""From a matplotlib figure to an SVG that can stand inside a page: themed by it, unique ids, the same bytes every time."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import numpy as np

from farfield.web.wording import shorten

# Okabe and Ito's colours for the three highlighted methods; the page may replace them, see `render`.
BASELINE, BEST, WORST, OTHER = "#0072b2", "#d55e00", "#009e73", "#8b8f96"
INK, FAINT = "#1b1f24", "#d7dae0"
VARIABLES = {
    BASELINE: "--baseline",
    BEST: "--best",
    WORST: "--worst",
    OTHER: "--other",
    FAINT: "--faint",
}
FONT, SMALL = 10, 9


def canvas(width: float = 4.4, height: float = 3.2) -> tuple[Any, Any]:
    """Return a figure of this size in inches and its axes, drawn in the page's style; no global state of matplotlib."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    figure.patch.set_visible(False)
    unframe(axes)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(OTHER)
    return figure, axes


def unframe(axes: Any) -> None:
    """Give axes the page's style: no background and no box, small figures, a faint grid behind what is drawn."""
    axes.patch.set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=SMALL, length=3, color=OTHER)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def name_axes(axes: Any, x: str, y: str) -> None:
    """Set both axis labels in the page's style."""
    axes.set_xlabel(x, fontsize=SMALL, color=INK, parse_math=False)
    axes.set_ylabel(y, fontsize=SMALL, color=INK, parse_math=False)


def margins(figure: Any, *, left: float, right: float, top: float, bottom: float) -> None:
    """Set the room around the axes in points (1/72 inch)."""
    width, height = figure.get_size_inches() * 72
    figure.subplots_adjust(left=left / width, right=1 - right / width, top=1 - top / height, bottom=bottom / height)


def rows(names: Sequence[str], *, key: Sequence[tuple[str, str, str]] = (), pitch: float = 17) -> tuple[Any, Any]:
    """Axes with one named row for each of these, the first on top; ``pitch`` is the height of a row in points."""
    names = [shorten(name, 24) for name in names]
    top = 8 + 14 * len(_key_lines(key))
    height = (len(names) * pitch + 44 + top) / 72
    figure, axes = canvas(height=height)
    margins(figure, left=text_width(names) + 10, right=12, top=top, bottom=38)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    write_key(figure, axes, key)
    return figure, axes


def write_key(figure: Any, axes: Any, key: Sequence[tuple[str, str, str]]) -> None:
    """Lines over the axes: each highlighted method beside its marker."""
    width, height = figure.get_size_inches() * 72
    for line, entries in enumerate(_key_lines(key)):
        x, y = 8.0, height - 9 - 14 * line
        for text, colour, marker in entries:
            axes.plot(
                x / width,
                y / height,
                marker=marker,
                markersize=6,
                color=colour,
                transform=figure.transFigure,
                clip_on=False,
            )
            figure.text(
                (x + 7) / width, y / height, text, va="center_baseline", fontsize=SMALL, color=colour, fontweight="bold",
                parse_math=False,
            )  # fmt: skip
            x += text_width([text]) + 24


def _key_lines(key: Sequence[tuple[str, str, str]], width: float = 316) -> list[list[tuple[str, str, str]]]:
    """Return the entries line by line, as many in each as a figure of this width in points has room for."""
    lines: list[list[tuple[str, str, str]]] = []
    x = width
    for entry in key:
        needed = text_width([entry[0]]) + 24
        if x + needed > width + 24:
            lines.append([])
            x = 8
        lines[-1].append(entry)
        x += needed
    return lines


def text_width(texts: Sequence[str], size: float = SMALL) -> float:
    """Return about how wide the longest text is, in points.

    >>> text_width(["ab", "abcd"], size=10)
    23.2
    """
    return round(0.58 * size * max(map(len, texts), default=0), 3)


def spread(targets: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions at least ``gap`` apart within [low, high], as near to the targets as least squares can bring them.

    Where they do not fit, the gap shrinks.

    >>> spread([1.0, 1.0, 5.0], gap=1.0, low=0.0, high=9.0)
    [0.5, 1.5, 5.0]
    """
    from scipy.optimize import isotonic_regression

    n = len(targets)
    gap = min(gap, (high - low) / max(1, n - 1))
    order = np.argsort(targets, kind="stable")
    # With the gaps taken out, "at least gap apart" becomes "not falling": isotonic regression.
    offset = gap * np.arange(n)
    fitted = isotonic_regression(np.asarray(targets, dtype=float)[order] - offset).x
    placed = np.clip(fitted, low, high - gap * (n - 1)) + offset
    result = np.empty(n)
    result[order] = placed
    return result.tolist()


def label_right(figure: Any, axes: Any, labels: Sequence[tuple[str, float, str, bool]], *, length: int = 15) -> None:
    """Write labels right of the axes, each at its y value where there is room, with a thin line to it where it had to move.

    **Arguments:** ``labels`` are (text, y in data units, colour, bold). The margins must be set before.
    """
    height = axes.get_position().height * figure.get_size_inches()[1] * 72
    # Data to axes fraction, through the scale, which may be logarithmic.
    to_axes = (axes.transScale + axes.transLimits).transform
    x = axes.get_xlim()[0]
    targets = [float(to_axes((x, y))[1]) * height for _, y, _, _ in labels]
    for (text, _, colour, bold), target, at in zip(labels, targets, spread(targets, SMALL * 1.12, 0.0, height)):
        axes.annotate(
            "",
            xy=(1.005, target / height),
            xytext=(1.04, at / height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
        )
        axes.text(
            1.05,
            at / height,
            shorten(text, length),
            transform=axes.transAxes,
            va="center_baseline",
            fontsize=SMALL,
            color=colour,
            fontweight="bold" if bold else "normal",
            parse_math=False,
        )


def colour_bar(figure: Any, axes: Any, drawn: Any, label: str = "", **place: Any) -> None:
    """Set a colour bar beside the axes, drawn as shapes: a page shows no embedded pictures.

    **Arguments:** ``drawn``: what is coloured; ``label``: of the colour, with its unit; ``place``: as matplotlib's ``colorbar``.
    """
    bar = figure.colorbar(drawn, ax=axes, **{"pad": 0.02, **place})
    bar.solids.set(rasterized=False, edgecolor="face")
    bar.set_label(label, fontsize=SMALL, color=INK, parse_math=False)
    bar.ax.tick_params(which="both", colors=INK, labelsize=SMALL)
    bar.outline.set_visible(False)


@contextmanager
def any_script() -> Iterator[None]:
    """Let texts hold letters that the drawing library's own font lacks: the page draws them with the reader's fonts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def render(figure: Any, name: str) -> str:
    """Return the figure as an SVG element for the inside of an HTML page.

    Its text takes the page's font and colour, and the colours of methods become CSS variables (``--baseline``,
    ``--best``, ``--worst``, ``--other``, ``--faint``) with the drawn colour as the value where the page sets none. Every id
    begins with ``name``, so that several figures can share a page.
    """
    import matplotlib

    out = StringIO()
    # Text stays text; the salt makes ids, and so the bytes, the same on every run.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), any_script():
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    # As the drawing library writes a font: "font: 9px 'DejaVu Sans', ...".
    svg = re.sub(r"(font: [^;\"']*?px) [^;\"]*", r"\1 system-ui, sans-serif", svg)
    svg = svg.replace(INK, "currentColor")
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable}, {colour})")
    return re.sub(r"\n\s*", "\n", svg).strip()
