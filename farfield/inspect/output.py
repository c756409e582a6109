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
ALONE = ("columns", "participation_ratio", "dimension_mle", "dimension_twonn", "hub_skewness", "linear_probe", "knn_accuracy", "cdnv")  # fmt: skip
PAIRS = ("linear_cka", "rsa", "procrustes", "neighbours_shared", "matching_one_to_one")


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
        numbers = [n for n in results["numbers"] if (n["against"] is not None) == pairs]
        shown = [m for m in measures if any(n["measure"] == m for n in numbers)]
        if not shown:
            continue
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        table.add_column("pair" if pairs else "representation", overflow="fold")
        for m in shown:
            table.add_column(MEASURES[m].title.partition(" (")[0].removeprefix("NC1: "), justify="right")
        for key in dict.fromkeys((n["representation"], n["against"]) for n in numbers if n["measure"] in shown):
            cells = {n["measure"]: n for n in numbers if (n["representation"], n["against"]) == key}
            name = " / ".join(shorten(part, 24) for part in key if part)
            table.add_row(Text(name), *(written(cells.get(m)) for m in shown))
        console.print(table)
    left = len(results["skipped"])
    if left:
        console.print(f"{left} measures did not apply; the report says which and why.", style="dim", highlight=False)
