"""What every job leaves in its folder: NAME.json, curve.csv, report.html, each whole or not at all; and what it
prints."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farfield import provenance
from farfield.errors import MissingExtra
from farfield.files import write_atomically
from farfield.jobs.reading import Embeddings
from farfield.reuse.adapter import Adapter
from farfield.web import wording
from farfield.web.page import check_complete, environment

if TYPE_CHECKING:
    from rich.console import Console

NEEDED = ("command", "version", "created", "seconds", "machine", "sentences", "data", "notes", "settings", "files")


def frame(
    *, command: str, start: float, embeddings: Sequence[Embeddings], notes: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the results of every job hold, to which it adds ``sentences`` (the answer first) and numbers of its
    own.

    **Arguments:** ``start``: of the job, by ``time.perf_counter``; ``settings``: by name, as the report shows them.
    """
    where = provenance.describe()
    return {
        "command": command,
        "version": where["version"],
        "commit": where["commit"],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": time.perf_counter() - start,
        "machine": where["machine"],
        "data": [e.about for e in embeddings],
        "notes": [*notes, *(note for e in embeddings for note in e.notes)],
        "settings": dict(settings),
        "sentences": [],
        "files": {},
    }


def write_adapter(adapter: Adapter, folder: Path, results: dict[str, Any]) -> None:
    """Write adapter.safetensors and adapter.onnx into a folder, and into the results which files those are.

    Without the package onnx the second is left out, and the results' notes say so.
    """
    adapter.save(folder / "adapter.safetensors")
    results["files"]["adapter.safetensors"] = "the adapter, for farfield apply"
    try:
        adapter.save_onnx(folder / "adapter.onnx")
    except MissingExtra as error:
        results["notes"].append(f"adapter.onnx was not written: {error}.")
        return
    results["files"]["adapter.onnx"] = "the same for any ONNX runtime: embeddings in, vectors out"


def write(
    results: dict[str, Any], rows: Sequence[Mapping[str, Any]], folder: Path, *, name: str, template: Path, **parts: Any
) -> None:
    """Write NAME.json, curve.csv (a line for each of ``rows``) and report.html.

    **Arguments:** ``template``: of the job's page, which extends job.html.jinja; ``parts``: what only that template
    needs, such as
    figures.

    Raises InputError where a part of the results is missing.
    """
    import pandas as pd

    results["files"] |= {"curve.csv": "the numbers of the curve", f"{name}.json": "everything on this page"}
    check_complete(results, NEEDED, f"farfield {name}")
    page = report(results, template, **parts)
    write_atomically(folder / f"{name}.json", json.dumps(results, indent=1, allow_nan=False, ensure_ascii=False))
    write_atomically(folder / "curve.csv", pd.DataFrame(list(rows)).to_csv(index=False))
    write_atomically(folder / "report.html", page)


def report(results: Mapping[str, Any], template: Path, **parts: Any) -> str:
    """Return the page of a job, self-contained. **Arguments** as `write`."""
    made = environment(Path(__file__).parent / "templates")
    return made.get_template(template.name).render(results=wording.printable(results), **parts)


def print_sentences(results: Mapping[str, Any], console: Console) -> None:
    """Print the answer and the notes, as they are."""
    from rich.text import Text

    for sentence in wording.printable(results["sentences"]):
        console.print(Text(sentence))
    for note in wording.printable(results["notes"]):
        console.print(Text(note, style="dim"))
