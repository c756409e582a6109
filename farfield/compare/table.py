"""The result of a comparison in the terminal: the same numbers and sentences as the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farfield.compare.verdict import Results, partial, roles, selection, standing, verdict
from farfield.web.wording import bare, between, count, duration, mean, points, printable, shorten

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLOURS = {"better": "green", "worse": "red", "open": "", "none": ""}
# Failed trials listed in full; the report and trials.csv hold all.
MOST_FAILED = 8
ROOM_FOR_NAMES = 28


def leaderboard_table(results: Results, *, width: int = 100, encoding: str = "utf-8") -> Table:
    """Return the leaderboard as a table of the terminal, accuracies in percent, differences in points.

    No number is cut: where the terminal is narrow, first the time per run, then the failed trials, the interval of the far
    accuracy and the near accuracy are left out, and long names lose their middle.

    **Arguments:** ``width``: columns of the terminal, at least 60; ``encoding``: what it can show.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    results = printable(results)
    rows = results["leaderboard"]
    columns, names, places = _fit(results, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), header_style="bold")
    table.add_column("method", no_wrap=True)
    for header in columns:
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("worst %", no_wrap=True)
    who = roles(results)
    for i, row in enumerate(rows):
        cells = [Text(plain(names[i], encoding), style="bold" if row["method"] in (who.baseline, who.best) else "")]
        for header, values in columns.items():
            style = COLOURS[standing(row["difference"])] if header.startswith("vs ") else ""
            cells.append(Text(values[i], style=style))
        table.add_row(*cells, Text(plain(places[i], encoding)))
    return table


def _fit(results: Results, width: int) -> tuple[dict[str, list[str]], list[str], list[str]]:
    """The columns of numbers that fit with at least 28 columns left for names; the names of methods; the worst places."""
    rows = results["leaderboard"]
    baseline = results["settings"]["baseline"]
    far = [bare(mean(row["far"])) for row in rows]
    differences = [
        "baseline"
        if row["method"] == baseline
        else _with_interval(points(mean(row["difference"])), between(row["difference"], difference=True))
        for row in rows
    ]
    columns = {
        "near %": [bare(mean(row["near"])) for row in rows],
        "far %": [_with_interval(value, between(row["far"])) for value, row in zip(far, rows)],
        f"vs {shorten(baseline, 10)}, points": differences,
        "a run": [duration(row["seconds"]) for row in rows],
        "failed": [f"{row['trials_failed']} of {row['trials_failed'] + row['trials_done']}" for row in rows],
    }
    if not any(row["trials_failed"] for row in rows):
        del columns["failed"]
    columns = {header: [plain(value) for value in values] for header, values in columns.items()}

    def room() -> int:
        # Two spaces between columns, one at each edge.
        return width - 4 - sum(2 + max(len(header), *map(len, values)) for header, values in columns.items())

    for drop in ("a run", "failed"):
        if room() < ROOM_FOR_NAMES:
            columns.pop(drop, None)
    if room() < ROOM_FOR_NAMES:
        columns["far %"] = far
    if room() < ROOM_FOR_NAMES - 6:
        del columns["near %"]
    longest = max(len("method"), *(len(row["method"]) for row in rows))
    for_names = min(longest, max(10, room() // 2))
    for_places = max(12, room() - for_names)
    places = []
    for row in rows:
        worst = row["worst"]
        value = bare(mean(worst))
        places.append(f"{value} {shorten(worst['domain'], for_places - len(value) - 1)}" if worst else value)
    return columns, [shorten(row["method"], for_names) for row in rows], places


def print_result(results: Results, console: Console) -> None:
    """Print the verdict, the leaderboard, how the choice was made, the notes of the tasks, and the failed trials."""
    from rich.text import Text

    results = printable(results)
    answer, *more = verdict(results)

    def say(text: str, style: str = "", indent: str = "") -> None:
        # Text, not markup: names may hold square brackets.
        console.print(Text(indent + plain(text, console.encoding), style=style), highlight=False)

    console.print()
    say(answer, style="bold")
    for sentence in more:
        say(sentence)
    console.print(leaderboard_table(results, width=console.width, encoding=console.encoding))
    intervals = "95 % intervals over seeds in brackets. " if results["settings"]["seeds"] > 1 else ""
    say(
        f"{intervals}near: places trained on, far: places never seen, worst: the far test with the lowest accuracy.",
        "dim",
    )
    oracle = results["settings"]["selection"] == "oracle"
    say(
        f"Model selection ({results['settings']['selection']}): {selection(results)}",
        style="bold red" if oracle else "dim",
    )
    for note in _notes(results):
        say(f"Note: {note}")
    failed = [trial for trial in results["trials"] if trial["state"] == "failed"]
    if failed:
        say(f"{count(len(failed), 'trial')} of {len(results['trials'])} failed:", style="bold red")
        for trial in failed[:MOST_FAILED]:
            say(f"{trial['method']}, {trial['task']}, seed {trial['seed']}: {trial['error']}", indent="  ")
        if len(failed) > MOST_FAILED:
            say(f"... and {len(failed) - MOST_FAILED} more, all in the report", indent="  ")


def plain(text: str, encoding: str = "utf-8") -> str:
    """Write a text without typographic signs, and with nothing that this encoding lacks.

    >>> plain("−0.4 – 71.2 %")
    '-0.4 - 71.2 %'
    >>> plain("45° … 科学", "ascii")
    '45? ~ ??'
    """
    text = text.translate({0x2212: "-", 0x2013: "-", 0xA0: " ", 0x201C: '"', 0x201D: '"'})
    if not encoding.lower().startswith("utf"):
        text = text.replace("…", "~").encode(encoding, errors="replace").decode(encoding)
    return text


def _with_interval(value: str, interval: str) -> str:
    return f"{value} ({interval})" if interval else value


def _notes(results: Results) -> list[str]:
    """The notes of the whole and of each task; one that several tasks share comes once."""
    owners: dict[str, list[str]] = {}
    for task in results["tasks"]:
        for note in task["notes"]:
            owners.setdefault(note, []).append(task["name"])
    shared = len(results["tasks"])
    return [
        *results.get("notes", []),
        *(note if len(names) == shared else f"{', '.join(names)}: {note}" for note, names in owners.items()),
        *partial(results),
    ]
