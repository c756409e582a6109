"""The commands on files of embeddings, thin: read arguments, call the job, print."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from farfield.errors import InputError

Embeddings = Annotated[str, typer.Argument(help="A file .npy, .npz, .safetensors, .parquet or .csv.")]
ModelOption = Annotated[str, typer.Option("--model", help="Name of the model that made the embeddings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON in place of the sentences.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (shrink, apply):
        app.command()(command)


def shrink(
    embeddings: Embeddings,
    dims: Annotated[
        str | None,
        typer.Option(help="Sizes with commas between, such as 16,32,64; by default a half, a quarter, an eighth."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Class of each row: a file, FILE?column=NAME, or a column in the file.")
    ] = None,
    pairs: Annotated[
        str | None, typer.Option(help="Rows that belong together: a file of two columns of row numbers, from 0.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="The adapter that is written: learned or pca; both are measured.")
    ] = "learned",
    model: ModelOption = "",
    steps: Annotated[int, typer.Option(help="Steps of learning.")] = 600,
    seed: Annotated[int, typer.Option(help="Draws the rows held out, the batches and the random columns.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the adapter and the report.")] = Path("farfield-shrink"),
    as_json: JsonOption = False,
) -> None:
    """How much smaller can these vectors be, at what quality?

    Learns an adapter to shorter vectors, every prefix of which can be used, and shows what each size costs on rows held
    out,
    beside principal components, the first columns and random ones. Writes the adapter and a report.html.

    Example: [bold]farfield shrink emb.npy --dims 16,32,64 --labels y.npy[/bold]
    """
    from rich.console import Console

    from farfield import jobs
    from farfield.jobs.output import print_sentences

    with Console(stderr=True, quiet=as_json).status("reading") as status:
        shrunk = jobs.shrink(
            embeddings,
            None if dims is None else _sizes(dims),
            labels=labels,
            pairs=pairs,
            method=method,  # type: ignore[arg-type]
            model=model,
            steps=steps,
            seed=seed,
            out=out,
            command="farfield " + shlex.join(sys.argv[1:]),
            watch=status.update,
        )
    if as_json:
        print(json.dumps(shrunk.results, indent=1, ensure_ascii=False))
        return
    console = Console()
    print_sentences(shrunk.results, console)
    console.print(f"Adapter: {(out / 'adapter.safetensors').resolve()}", soft_wrap=True, highlight=False)
    console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)


def apply(
    adapter: Annotated[str, typer.Argument(help="An adapter.safetensors that shrink, upgrade or stitch wrote.")],
    embeddings: Embeddings,
    out: Annotated[Path, typer.Option(help="The .npy file to write.")],
    dims: Annotated[int | None, typer.Option(help="Take this many first dimensions; by default all.")] = None,
    model: ModelOption = "",
    as_json: JsonOption = False,
) -> None:
    """Apply an adapter to a file of embeddings of any size.

    Example: [bold]farfield apply farfield-shrink/adapter.safetensors emb.npy --dims 32 --out small.npy[/bold]
    """
    from rich.console import Console
    from rich.progress import Progress

    from farfield.jobs.apply import apply as job

    with Progress(console=Console(stderr=True, quiet=as_json), transient=True) as progress:
        bar = progress.add_task("writing", total=None)
        done = job(
            adapter,
            embeddings,
            out,
            dims=dims,
            model=model,
            watch=lambda rows, n: progress.update(bar, completed=rows, total=n),
        )
    if as_json:
        print(json.dumps(done, indent=1))
        return
    print(f"{done['rows']:,} rows of {done['columns']:,} columns: {out.resolve()}")


def _sizes(text: str) -> list[int]:
    try:
        return [int(size) for size in text.split(",")]
    except ValueError:
        raise InputError(f"dims is {text!r}; expected whole numbers with commas between, such as 16,32,64") from None
