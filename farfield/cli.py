"""Every command, thin: reads arguments, calls the library, prints. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from farfield import __version__, cli_reuse
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
    store: Annotated[
        str | None,
        typer.Option(envvar="FARFIELD_STORE", help="Where trials are kept: a file or a URL; by default OUT/trials.db."),
    ] = None,
    on: Annotated[str, typer.Option(help="local, ray, ray:ADDRESS or ray://HOST:PORT.")] = "local",
    track: Annotated[str | None, typer.Option(help="Mirror finished trials to mlflow or wandb.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds per trial, above which it fails.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON in place of the table.")] = False,
) -> None:
    """Which method holds up outside my training data?

    Trains a model with each method, leaves out each domain in turn (or grades a shift), and ranks the methods by accuracy
    where they were not trained, with 95 % intervals. Writes a report.html that shows and explains the result.

    Example: [bold]farfield compare shops.csv --target sold --domain shop --methods erm,coral,sam[/bold]
    """
    from farfield import compare as job
    from farfield import tasks
    from farfield.study.progress import Progress

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
            store=store,
            on=on,
            track=track,
            time_limit=time_limit,
            command="farfield " + shlex.join(sys.argv[1:]),
            watch=lambda plan, outcome: progress.count(len(plan.trials), outcome, plan.all_notes),
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
def inspect(
    embeddings: Annotated[
        list[str] | None,
        typer.Argument(help="Files .npy, .npz, .safetensors, .parquet or .csv, the same examples in the same order."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Class of each row: a file, FILE?column=NAME, or a column in the first file.")
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="More embeddings, to compare with only; can be given several times.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="In place of files: a model's layers, by its name or as saved; can be given several times."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="The task to run the model on, such as digits/noise.")] = None,
    layers: Annotated[
        str | None, typer.Option(help="Names or patterns with commas between, such as 'encoder.*,head:input'.")
    ] = None,
    pool: Annotated[
        str, typer.Option(help="Tokens and positions to rows: mean, max, cls, last, flatten, space.")
    ] = "mean",
    split: Annotated[str, typer.Option(help="Rows of the task: iid, train, val, or the name of a far test.")] = "iid",
    keep: Annotated[Path | None, typer.Option(help="Keep the layers in this folder, as .safetensors.")] = None,
    head: Annotated[
        str | None,
        typer.Option(help="Weights (classes, columns) of the classifier that reads the first file, for NC3 and NC4."),
    ] = None,
    sample: Annotated[int, typer.Option(help="Rows for measures that compare rows with rows.")] = 3000,
    seed: Annotated[int, typer.Option(help="Draws those rows, folds and anchors.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("farfield-inspect"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON in place of the tables.")] = False,
) -> None:
    """What is in these embeddings, and do they agree?

    Directions, dimension, neighbours; with labels what can be read out, and whether classes have collapsed; of several
    files how alike they are. Writes a report.html that says what each number means.

    Example: [bold]farfield inspect a.npy --labels y.npy --against b.npy[/bold]
    """
    from rich.console import Console

    from farfield import inspect as job
    from farfield.inspect.output import print_result

    with Console(stderr=True, quiet=as_json).status("reading") as status:
        found = job.inspect(
            *(embeddings or []),
            labels=labels,
            against=against,
            model=model or None,
            data=data,
            layers=layers.split(",") if layers else None,
            pool=pool,
            split=split,
            keep=keep,
            head=head,
            sample=sample,
            seed=seed,
            out=out,
            command="farfield " + shlex.join(sys.argv[1:]),
            watch=status.update,
        )
    if as_json:
        _print_json(found.results)
        return
    console = Console()
    print_result(found, console)
    console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)


cli_reuse.register(app)


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


@app.command()
def papers(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUERY", help="What you want, in your own words; without it, all papers."),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Only this family, such as 'fine-tuning'.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only method, measure, benchmark, system or survey.")] = None,
    state: Annotated[str | None, typer.Option(help="Only planned or done.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="Search by sentence vectors of this sentence-transformers model, a folder or hub id."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Papers shown of those that a search finds.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the papers behind the library, or find those that fit a wish.

    Example: [bold]farfield papers "noisy labels and rare classes"[/bold]
    """
    from farfield import papers as catalogue

    query = " ".join(words) if words else None
    if encoder is not None and query is None:
        raise InputError("--encoder needs a query to search for")
    chosen = catalogue.select(family=family, kind=kind, state=state)
    if query is not None:
        chosen = [f.card for f in catalogue.search(query, chosen, encoder=encoder, most=most)]
    if as_json:
        _print_json([card.as_dict() for card in chosen])
        return
    if not chosen:
        print("No paper fits; try other words or fewer filters.")
        return
    from rich.console import Console

    from farfield.papers.table import papers_table

    console = Console()
    console.print(papers_table(chosen, width=console.width))
    count = f"{len(chosen)} paper{'' if len(chosen) == 1 else 's'}" + (", best first" if query is not None else "")
    console.print(f"{count}. One in full: farfield show {chosen[0].slug}", soft_wrap=True, highlight=False)


@app.command()
def show(
    slug: Annotated[str, typer.Argument(help="A paper's short name: see `farfield papers`.")],
    results: Annotated[Path, typer.Option(help="Folder in which `farfield run` left its results.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show one paper: what it offers, its parts, how to run its study, and what was measured.

    Example: [bold]farfield show tram[/bold]
    """
    from farfield.papers import catalogue, table

    card = catalogue.card(slug)
    measured = catalogue.results(slug, results)
    parts = table.summaries(card)
    if as_json:
        _print_json({**card.as_dict(), "summaries": parts, "has_study": card.has_study, "results": measured})
        return
    from rich.console import Console

    Console().print(table.card_panel(card, parts, measured))


@app.command()
def run(
    slug: Annotated[str, typer.Argument(help="A paper's short name: see `farfield papers`.")],
    preset: Annotated[
        str,
        typer.Option(help="smoke (seconds), small (minutes on two cores) or full (the paper's own data and models)."),
    ] = "small",
    replace: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="AXIS=VALUE[,VALUE...] in place of the study's own, such as task=my_module:make_task."
        ),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0..N-1; by default the preset's.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for results; by default results, or farfield-run where anything was replaced."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, one thread each; by default one per core.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(envvar="FARFIELD_STORE", help="Where trials are kept: a file or a URL.")
    ] = None,
    on: Annotated[str, typer.Option(help="local, ray, ray:ADDRESS or ray://HOST:PORT.")] = "local",
    track: Annotated[str | None, typer.Option(help="Mirror finished trials to mlflow or wandb.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds per trial, above which it fails.")] = None,
    retry_failed: Annotated[bool, typer.Option(help="Run trials that failed in an earlier run again.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run, and what it needs that is not here.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Does this paper's claim hold, here, on my data?

    Runs the paper's study, judges each claim by a paired test, and writes a result file, figures and a report. Stopped in the
    middle, the same command goes on.

    Example: [bold]farfield run tram --set task=my_module:make_task[/bold]
    """
    from farfield import papers as catalogue
    from farfield.study import execute as engine

    study = catalogue.study(slug)
    replaced = _replaced(replace or [])
    plain = not replaced and seeds is None and preset == "small"
    if dry_run:
        trials = study.trials(preset, replaced, seeds=seeds)
        needed = [vars(need) for need in engine.needs(study, preset, replaced)]
        if as_json:
            _print_json({"trials": [{"point": t.point, "seed": t.seed} for t in trials], "needs": needed})
            return
        print(f"{slug}, preset {preset}: {len(trials)} trials")
        _print_table(needed, as_json=False)
        return
    folder = out or Path("results" if plain else "farfield-run")
    from farfield.study.progress import Progress

    with Progress(folder, quiet=as_json) as progress:
        finished = engine.execute(
            study,
            preset=preset,
            replaced=replaced,
            seeds=seeds,
            out=folder,
            store=store,
            workers=workers,
            on=on,
            track=track,
            time_limit=time_limit,
            retry_failed=retry_failed,
            command="farfield " + shlex.join(sys.argv[1:]),
            watch=progress.count,
        )
    if plain:
        from farfield.files import write_atomically
        from farfield.study.results import summary

        write_atomically(folder.parent / "RESULTS.md", summary(folder))
    if as_json:
        _print_json(finished.results)
        return
    from farfield.study.results import effect

    rows = [
        {
            "claim": c["text"],
            "verdict": c["verdict"],
            "effect (interval)": effect(c),
            "seeds": c["n"],
            "reported": c["reported"],
        }
        for c in finished.results["claims"]
    ]
    if rows:
        _print_table(rows, as_json=False)
    if finished.results["failed"]:
        print(f"{len(finished.results['failed'])} trials failed; the first: {finished.results['failed'][0]['error']}")
    print(f"Report: {finished.report.resolve()}")


def _replaced(given: list[str]) -> dict[str, list[Any]]:
    """Read AXIS=VALUE,VALUE into axis -> values; numbers become numbers."""
    replaced: dict[str, list[Any]] = {}
    for item in given:
        axis, equals, values = item.partition("=")
        if not equals or not values:
            raise InputError(f"--set {item}: write AXIS=VALUE, or AXIS=VALUE,VALUE")
        for value in values.split(","):
            try:
                replaced.setdefault(axis, []).append(json.loads(value))
            except json.JSONDecodeError:
                replaced.setdefault(axis, []).append(value)
    return replaced


runs_app = typer.Typer(help="List the trials that a store holds, or write them to a file.", rich_markup_mode="rich")
app.add_typer(runs_app, name="runs")

StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="A file, a folder or a URL; by default $FARFIELD_STORE, else farfield-compare."),
]
StudyOption = Annotated[str | None, typer.Option("--study", help="Only this study, such as compare.")]
StateOption = Annotated[str | None, typer.Option("--state", help="Only running, done, failed or interrupted.")]


@runs_app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    store: StoreOption = None,
    study: StudyOption = None,
    state: StateOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the trials that a store holds, or write them to a file.

    Example: [bold]farfield runs --state failed[/bold]
    """
    context.obj = {"store": store, "study": study, "state": state}
    if context.invoked_subcommand is not None:
        return
    from farfield.study import listing

    with _opened(store) as opened:
        rows = listing.listing(opened, study=study, state=state)
    if as_json:
        _print_json(rows)
        return
    if rows:
        shown = [{**row, "key": row["key"][:8], "point": listing.describe(row["point"])} for row in rows]
        for row in shown:
            row["seconds"] = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
            row["error"] = row["error"] or ""
        _print_table(shown, as_json=False)
    print(listing.summary(rows))


@runs_app.command("export")
def runs_export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .parquet or .csv file: a row per trial.")],
    store: StoreOption = None,
    study: StudyOption = None,
    state: StateOption = None,
) -> None:
    """Write trials to a file: one row each, with a column per entry of its point and its result.

    Example: [bold]farfield runs export trials.parquet --study compare[/bold]
    """
    from farfield.study.export import export

    # The filters may stand before the word export too.
    given = context.obj
    with _opened(store or given["store"]) as opened:
        rows = export(opened, file, study=study or given["study"], state=state or given["state"])
    print(f"{rows} trials: {file.resolve()}")


def _opened(store: str | None) -> Any:
    from contextlib import closing

    from farfield.study.store import open_store

    return closing(open_store(store, default=Path("farfield-compare"), make=False))


def _print_table(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*rows[0], box=None, header_style="bold")
    for row in rows:
        table.add_row(*("yes" if v is True else "" if v is False else escape(str(v)) for v in row.values()))
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
