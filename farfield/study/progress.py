"""Progress of many trials in the terminal, and what is said when they are stopped in the middle."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from farfield.study.run import Outcome


class Progress:
    """A context that shows trials done, failed and time left on standard error; on Ctrl-C it says how to continue.

    **Arguments:** ``out``: the folder that keeps the trials; ``quiet``: show no bar (for ``--json``).
    """

    def __init__(self, out: Path, *, quiet: bool = False):
        self.out = out
        self.done = self.failed = self.kept = self.total = 0
        self._quiet = quiet
        self._bar: Any = None
        self._row: Any = None

    def __enter__(self) -> Progress:
        return self

    def count(self, total: int, outcome: Outcome, notes: Sequence[str] = ()) -> None:
        """Count one outcome of ``total``; the first one draws the bar, under the notes."""
        if self.total == 0:
            self.total = total
            self._start(notes)
        self.done += 1
        self.kept += outcome.kept
        self.failed += outcome.error is not None
        if self._bar is not None:
            failed = f", {self.failed} failed" if self.failed else ""
            point = outcome.trial.point
            now = f"{point['method']} on {point['task']}" if {"method", "task"} <= set(point) else ""
            self._bar.update(self._row, completed=self.done, left=self._time_left(), now=f"{now}{failed}")

    def _start(self, notes: Sequence[str]) -> None:
        self._began = time.monotonic()
        if self._quiet:
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        for note in dict.fromkeys(notes):
            console.print(note, style="dim", highlight=False)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("[dim]{task.fields[now]}", markup=True),
            console=console,
            transient=True,
        )
        self._row = self._bar.add_task("trials", total=self.total, left="", now="")
        self._bar.start()

    def _time_left(self) -> str:
        ran = self.done - self.kept
        if ran < 2:
            return "time left: measuring"
        left = (time.monotonic() - self._began) / ran * (self.total - self.done)
        minutes, seconds = divmod(round(left), 60)
        return f"{minutes} min {seconds:02d} s left" if minutes else f"{seconds} s left"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is KeyboardInterrupt:
            where = (
                f"{self.done} of {self.total} trials are kept in {self.out}" if self.total else "nothing was run yet"
            )
            print(f"farfield: stopped; {where}. Give the same command again to go on from there.", file=sys.stderr)
            # The usual exit code of a program that was interrupted.
            sys.exit(130)
