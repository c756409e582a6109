"""What an inspection leaves in its folder: inspect.json, inspect.csv and report.html; and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from farfield.files import write_atomically
from farfield.inspect import report
from farfield.inspect.summary import summary
from farfield.inspect.words import MEASURES, written
from farfield.web.wording import printable, shorten

if TYPE_CHECKING:
    from rich.console import Console

    from farfield.inspect.job import Inspection

# What the terminal shows of each representation and pair; the report has everything.
ALONE = ("columns", "participation_ratio", "effective_rank", "dimension_mle", "dimension_twonn", "hub_skewness", "linear_probe", "knn_accuracy", "cdnv", "etf_error")  # fmt: skip
PAIRS = ("linear_cka", "cca", "rsa", "procrustes", "neighbours_shared", "retrieval", "matching_one_to_one")
# More columns than this do not fit: then a line each, with these measures only.
MOST = 3
SHORT = {"participation_ratio": "directions", "dimension_mle": "dimension", "linear_probe": "probe", "cdnv": "CDNV"}
SHORT |= {"linear_cka": "CKA", "rsa": "RSA", "procrustes": "Procrustes", "neighbours_shared": "neighbours"}


def write(inspection: Inspection, folder: Path) -> None:
    """Write inspect.json, inspect.csv (a row per number) and report.html, each whole or not at all."""
    write_atomically(
        folder / "inspect.json", json.dumps(inspection.results, indent=1, allow_nan=False, ensure_ascii=False)
    )
    write_atomically(folder / "inspect.csv", inspection.table.to_csv(index=False))
    report.write(inspection.results, folder / "report.html")


def print_result(inspection: Inspection, console: Console) -> None:
    """Print the sentences and the main numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    results = printable(inspection.results)
    for sentence in summary(results):
        console.print(Text(sentence))
    for pairs, measures in ((False, ALONE), (True, PAIRS)):
        numbers = [n for n in results["numbers"] if (n["against"] is not None) == pairs and n["measure"] in measures]
        if pairs and any(n["measure"] == "rsa" for n in numbers):
            # Pairs that were compared by CKA alone are in the report's heat map.
            full = {(n["representation"], n["against"]) for n in numbers if n["measure"] == "rsa"}
            numbers = [n for n in numbers if (n["representation"], n["against"]) in full]
        elif pairs and len(numbers) > MOST:
            continue
        cells = {(n["measure"], n["representation"], n["against"]): n for n in numbers}
        columns = list(dict.fromkeys((n["representation"], n["against"]) for n in numbers))
        shown = [m for m in measures if any(n["measure"] == m for n in numbers)]
        if not shown:
            continue
        names = [" / ".join(shorten(part, 22) for part in column if part) for column in columns]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        if len(columns) <= MOST:
            table.add_column("")
            for name in names:
                table.add_column(Text(name), justify="right", overflow="fold")
            for m in shown:
                table.add_row(MEASURES[m].title, *(written(cells.get((m, *column))) for column in columns))
        else:
            shown = [m for m in shown if m in SHORT]
            table.add_column("pair" if pairs else "representation", overflow="fold")
            for m in shown:
                table.add_column(SHORT[m], justify="right", no_wrap=True)
            for name, column in zip(names, columns):
                table.add_row(Text(name), *(written(cells.get((m, *column))) for m in shown))
        console.print(table)
    left = len({(s["what"], s["why"]) for s in results["skipped"]})
    if left:
        what = "measure" if left == 1 else "measures"
        console.print(
            f"{left} {what} did not apply or came with a warning; the report says which and why.",
            style="dim",
            highlight=False,
        )
