"""The report of a comparison: one HTML file that needs nothing else, and explains itself to someone new to the subject."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farfield.compare import figures
from farfield.compare.verdict import Results, finished, partial, roles, selection, standing, verdict
from farfield.files import write_atomically
from farfield.web import wording
from farfield.web.page import check_complete, environment
from farfield.web.wording import mean

NEEDED = (
    "command",
    "version",
    "created",
    "seconds",
    "machine",
    "settings",
    "tasks",
    "leaderboard",
    "by_task",
    "trials",
)
STANDINGS = {"better": "better", "worse": "worse", "open": "not settled", "none": ""}


def write(results: Results, path: str | Path) -> None:
    """Write the report of a comparison as one self-contained HTML file, whole or not at all.

    It loads nothing from the network, reads without JavaScript, and follows the reader's light or dark theme.

    **Arguments:** ``results``: what results.json holds; ``path``: the file to write.

    Raises InputError where a part of the results is missing.

    >>> write({"command": "farfield compare digits"}, "report.html")
    Traceback (most recent call last):
    farfield.errors.InputError: these are no results of a comparison: version, created, seconds, ... are missing
    """
    write_atomically(path, html(results))


def html(results: Results) -> str:
    """Return the report of a comparison as an HTML page.

    Raises InputError where a part of the results is missing.
    """
    check_complete(results, NEEDED, "a comparison")
    results = wording.printable(results)
    made = environment(Path(__file__).parent / "templates")
    made.filters["link"] = _link
    made.globals |= {"standing": standing, "standings": STANDINGS}
    tasks = [task["name"] for task in results["tasks"]]
    return made.get_template("report.html.jinja").render(
        results=results,
        settings=results["settings"],
        sentences=verdict(results),
        selection=selection(results),
        partial=partial(results),
        notes=results.get("notes", []),
        roles=roles(results),
        top=next(iter(finished(results)), None),
        short=dict(zip(tasks, wording.distinct(tasks))),
        charts=_charts(results),
        tables=_tables(results),
        confusions=_confusions(results),
        failed=[t for t in results["trials"] if t["state"] == "failed"],
        done=[t for t in results["trials"] if t["state"] == "done"],
    )


def _link(source: str) -> dict[str, str | None]:
    """The text of a source, and its address where it names one: a URL or an arXiv number."""
    url = re.search(r"https?://[^\s,;)]+", source)
    if url:
        return {"text": source, "address": url.group()}
    number = re.search(r"arXiv:\s?(\d{4}\.\d{4,5})", source, re.IGNORECASE)
    return {"text": source, "address": f"https://arxiv.org/abs/{number.group(1)}" if number else None}


def _charts(results: Results) -> dict[str, Any]:
    """Every figure as SVG, for the page to take as it is."""
    from markupsafe import Markup

    def safe(svg: str | None) -> Markup | None:
        # Drawn by us; the drawing library has escaped the names in it.
        return None if svg is None else Markup(svg)

    tasks = [t["name"] for t in results["tasks"]]
    severity = [(name, safe(figures.severity(results, name))) for name in tasks]
    return {
        "leaderboard": safe(figures.leaderboard(results)),
        "differences": safe(figures.differences(results)),
        "severity": [(name, svg) for name, svg in severity if svg],
        "domains": safe(figures.domains(results)),
        "near_far": safe(figures.near_far(results)),
        "curves": [
            (name, svgs)
            for name in tasks
            if (svgs := [s for what in figures.CURVES if (s := safe(figures.curves(results, name, what)))])
        ],
    }


def _tables(results: Results) -> list[dict[str, Any]]:
    """For each task its rows by method, in the order of the leaderboard, and which far accuracy is the highest."""
    order = [row["method"] for row in results["leaderboard"]]
    found = {(row["task"], row["method"]): row for row in results["by_task"]}
    tables = []
    for task in results["tasks"]:
        rows = {
            m: found[task["name"], m] for m in order if mean(found.get((task["name"], m), {}).get("far")) is not None
        }
        best = max(rows, key=lambda m: rows[m]["far"]["mean"]) if rows else None
        tables.append({"task": task, "rows": rows, "best": best})
    return tables


def _confusions(results: Results) -> list[dict[str, Any]]:
    """For each task that has them: all confusion counts, and the two to show first.

    Those are the baseline's and the best other method's on the far test with the baseline's lowest accuracy.
    """
    who = roles(results)
    shown = []
    for task in results["tasks"]:
        counts = (results.get("confusion") or {}).get(task["name"])
        if not counts:
            continue
        wanted = [m for m in (who.baseline, who.best) if m in counts] or [next(iter(counts))]
        far = {name: _accuracy(matrix) for name, matrix in counts[wanted[0]].items() if name != "iid"}
        test = min(far, key=lambda name: far[name]) if far else next(iter(counts[wanted[0]]))
        pair = [
            {
                "method": m,
                "test": test,
                "matrix": counts[m][test],
                "mistakes": mistakes(counts[m][test], task["classes"]),
            }
            for m in wanted
        ]
        shown.append({"task": task["name"], "classes": task["classes"], "counts": counts, "pair": pair})
    return shown


def _accuracy(matrix: list[list[int]]) -> float:
    total = sum(map(sum, matrix))
    return sum(matrix[i][i] for i in range(len(matrix))) / total if total else 1.0


def mistakes(matrix: list[list[int]], classes: list[str], *, most: int = 3) -> list[str]:
    """Return the most frequent confusions of a matrix (row = true class) in words.

    >>> mistakes([[8, 2], [0, 5]], ["cat", "dog"])
    ['cat taken for dog: 2 of 10']
    """
    pairs: list[Mapping[str, int]] = [
        {"count": n, "true": i, "taken": j} for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n
    ]
    pairs.sort(key=lambda pair: -pair["count"])
    return [
        f"{classes[p['true']]} taken for {classes[p['taken']]}: {p['count']} of {sum(matrix[p['true']])}"
        for p in pairs[:most]
    ]
