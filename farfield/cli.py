"""Every command, thin: reads arguments, calls the library, prints. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from farfield import __version__
from farfield.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Find out which published ways to generalize carry over to your own data and model.",
    epilog="Start here: [bold]farfield compare digits[/bold]",
)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit()


@app.command()
def compare(
    data: Annotated[
        str,
        typer.Argument(
            help="A task (digits, amazon, mnist/rotation, ...: see `farfield tasks`), a .csv or .parquet file, a folder "
            "of images laid out domain/class/file, hf:ID, or your_module:function."
        ),
    ],
    methods: Annotated[
        str, typer.Option(help="Method names with commas between, or all: see `farfield methods`.")
    ] = "all",
    model: Annotated[
        str | None,
        typer.Option(
            help="linear, mlp, cnn, resnet, vit, hf:ID, timm:NAME or your_module:function, with options such as "
            "mlp?hidden=256 or hf:ID?tune=lora. By default the one for this kind of input."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column of the labels (tables).")] = None,
    domain: Annotated[str | None, typer.Option(help="Column that says where a row is from (tables).")] = None,
    text: Annotated[str | None, typer.Option(help="Column of raw text to classify (tables).")] = None,
    test: Annotated[
        str | None, typer.Option(help="Test on these domains only (commas between), not on each in turn.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions; intervals need at least 2.")] = 5,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Optimizer steps per training; by default 20 epochs, 300 to 3,000 steps.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples per step.")] = 64,
    select: Annotated[
        str,
        typer.Option(
            help="Model selection: iid (validation data of the training domains), leave-one-domain-out, or oracle (looks "
            "at the test domains: an upper bound, not an estimate)."
        ),
    ] = "iid",
    trials: Annotated[
        int, typer.Option(min=1, help="Hyper-parameter settings tried per method; 1 takes the defaults.")
    ] = 1,
    out: Annotated[
        Path, typer.Option(help="Folder for the results; started again with the same one, a comparison continues.")
    ] = Path("farfield-compare"),
    save: Annotated[
        Path | None, typer.Option(help="Train the winner on all domains and save it: best.safetensors and best.json.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, one thread each; by default one per core (one on a GPU).")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    retry_failed: Annotated[bool, typer.Option(help="Run trials that failed in an earlier run again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON in place of the table.")] = False,
) -> None:
    """Which method holds up outside my training data?

    Trains a model with each method, leaves out each domain in turn (or grades a shift), and ranks the methods by accuracy
    where they were not trained, with 95 % intervals. Writes a report.html that shows and explains the result.

    Example: [bold]farfield compare shops.csv --target sold --domain shop --methods erm,coral,sam[/bold]
    """
    from farfield import compare as job
    from farfield import tasks
    from farfield.compare.progress import Progress

    name = tasks.resolve(data)
    options = {"target": target, "domain": domain, "text": text, "test": test}
    given = {k: v for k, v in options.items() if v is not None}
    if given:
        from farfield.names import parse

        name = str(parse(name).with_options(**given))
    if save is not None:
        job.check_saving(save, name)
    with Progress(out, quiet=as_json) as progress:
        comparison = job.compare(
            name,
            methods=methods.split(","),
            model=model,
            seeds=seeds,
            steps=steps,
            batch_size=batch_size,
            selection=select,
            trials=trials,
            device=device,
            workers=workers,
            out=out,
            retry_failed=retry_failed,
            command="farfield " + shlex.join(sys.argv[1:]),
            watch=progress.show,
        )
    saved = job.save_best(comparison, save) if save is not None else None
    if as_json:
        _print_json(comparison.results)
        return
    from rich.console import Console

    from farfield.compare.table import print_result

    console = Console()
    print_result(comparison.results, console)
    if saved is not None:
        console.print(f"Saved {saved}; use it with: farfield predict {saved.with_suffix('')} NEW.csv", highlight=False)
    console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)


@app.command()
def predict(
    best: Annotated[str, typer.Argument(help="What `farfield compare --save` wrote, with or without .safetensors.")],
    data: Annotated[str, typer.Argument(help="New rows in the same form: a .csv or .parquet file, or image folder.")],
    out: Annotated[Path | None, typer.Option(help="File for the predictions; by default NAME.predictions.csv.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON too.")] = False,
) -> None:
    """Use a saved model on new rows.

    Example: [bold]farfield predict best new.csv[/bold]
    """
    from farfield import compare as job
    from farfield.files import write_atomically

    predictions = job.predict(best, data)
    path = out or Path(Path(data).stem + ".predictions.csv")
    write_atomically(path, predictions.to_csv(index=False))
    if as_json:
        _print_json(predictions.to_dict("records"))
        return
    counts = predictions["prediction"].value_counts()
    print(f"{len(predictions)} rows: " + ", ".join(f"{label} {n}" for label, n in counts.items()))
    print(f"Predictions: {path.resolve()}")


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List the methods that can be compared.

    Example: [bold]farfield methods[/bold]
    """
    from farfield import methods as registry

    rows = [
        {"name": m.name, "what it does": m.summary, "source": m.source, "needs domains": m.needs_domains}
        for m in registry.METHODS.values()
    ]
    _print_table(rows, as_json)


@app.command()
def tasks(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """List the built-in tasks.

    Example: [bold]farfield tasks[/bold]
    """
    from farfield import tasks as registry

    _print_table([{"name": name} for name in registry.names()], as_json)


def _print_table(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None, header_style="bold")
    for row in rows:
        table.add_row(*("yes" if v is True else "" if v is False else str(v) for v in row.values()))
    Console().print(table)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def main() -> None:
    """Run the command line: exit code 2 and one sentence for input that does not fit, 130 for Ctrl-C."""
    try:
        app()
    except InputError as error:
        print(f"farfield: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
