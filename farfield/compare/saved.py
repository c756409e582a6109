"""The winner, trained once more on every domain, saved as safetensors with a JSON card, and used on new rows."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farfield import __version__, methods, nn, tasks
from farfield.compare.trial import fit_and_evaluate
from farfield.errors import InputError
from farfield.files import write_atomically
from farfield.names import parse
from farfield.tasks.task import Classes, Image, Table, Task, Text, Tokens, Vector

if TYPE_CHECKING:
    import pandas
    from torch import nn as torch_nn

    from farfield.compare.job import Comparison

INPUTS = {kind.__name__: kind for kind in (Image, Vector, Text, Tokens)}


def check_saving(path: str | Path, data: str) -> None:
    """Refuse, before any training, a save that could not be made at the end.

    Raises InputError where ``path`` does not end in .safetensors, or ``data`` is several tasks made from the same images, of
    which no single model is the winner.

    >>> check_saving("best.safetensors", "digits/rotation")
    >>> check_saving("best.pt", "digits/rotation")
    Traceback (most recent call last):
    farfield.errors.InputError: the model is saved as safetensors: --save best.pt should be best.safetensors
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(
            f"the model is saved as safetensors: --save {path} should be {path.with_suffix('.safetensors')}"
        )
    names = tasks.expand(data)
    if len(names) > 1 and len(_whole(data).domains) < 2:
        raise InputError(f"{data} is {len(names)} tasks; to save a model name one of them, such as {names[0]}")


def save_best(comparison: Comparison, path: str | Path) -> Path:
    """Train the method with the best far accuracy on all domains, and save it with a card that says what it is.

    What was left out for testing is training data now, so nothing far is left to measure this very model on: the card
    carries the comparison's estimate, near and far. Settings and checkpoint are chosen as in the comparison (by
    validation data where it used the test domains).

    Returns the path of the weights; the card lies beside it with the suffix .json.

    Raises InputError where no method finished.
    """
    results = comparison.results
    settings, winner = results["settings"], results["leaderboard"][0]
    if winner["far"] is None:
        raise InputError("no method finished every task, so there is no winner to save")
    data = settings["data"]
    names = tasks.expand(data)
    whole = _whole(data) if len(names) > 1 else tasks.load(names[0])
    task = nn.prepare(settings["model"], whole)
    steps = settings["steps"]
    point = {
        "model": settings["model"],
        "method": winner["method"],
        "steps": steps if isinstance(steps, int) else max(steps.values()),
        "batch_size": settings["batch_size"],
        "selection": "iid" if settings["selection"] == "oracle" else settings["selection"],
        "trials": settings["trials"],
        "device": settings["device"],
    }
    result, model = fit_and_evaluate(task, point, seed=0)
    card = {
        "farfield": __version__,
        "method": winner["method"],
        "model": settings["model"],
        "task": whole.name,
        "inputs": {"kind": type(task.inputs).__name__, **dataclasses.asdict(task.inputs)},
        "raw_inputs": {"kind": type(whole.inputs).__name__, **dataclasses.asdict(whole.inputs)},
        "classes": list(task.outputs.names),
        "domains": list(task.domains),
        "encoding": dict(whole.encoding),
        "chosen": result["chosen"],
        "step": result["step"],
        "near_accuracy_of_this_model": result["accuracy"]["iid"],
        "estimate": {
            "near": winner["near"],
            "far": winner["far"],
            "worst": winner["worst"],
            "seeds": settings["seeds"],
        },
        "fingerprint": whole.fingerprint,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = Path(path)
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(path, save(weights, metadata={"farfield": __version__}))
    write_atomically(path.with_suffix(".json"), json.dumps(card, indent=1, ensure_ascii=False))
    return path


def load_saved(best: str | Path) -> tuple[torch_nn.Module, dict[str, Any]]:
    """Return the saved model, in evaluation mode, and its card.

    **Arguments:** ``best``: the path given to ``--save``, with or without its suffix.

    Raises InputError where the files are missing, unreadable or do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(best)
    path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
    card_path = path.with_suffix(".json")
    for file in (path, card_path):
        if not file.is_file():
            raise InputError(f"there is no file {file}; a saved model is best.safetensors with best.json beside it")
    try:
        card = json.loads(card_path.read_text())
        weights = load_file(path)
        inputs = _inputs(card["inputs"])
        classes = Classes(len(card["classes"]), tuple(card["classes"]))
        name, domains = card["model"], tuple(card["domains"])
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError, KeyError, TypeError) as error:
        raise InputError(f"{path} with {card_path.name} is not a saved model: {error!r}") from error
    task = dataclasses.replace(_empty_task(card.get("task", "saved"), inputs, classes), domains=domains)
    model = nn.load(name, task)
    method = methods.METHODS.get(card.get("method", ""))
    if method is not None and method.assemble is not None:
        model = method.assemble(model, task=task, **card.get("chosen", {}))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"the weights in {path} are not of the model {name} that {card_path.name} names") from error
    return model.eval(), card


def predict(best: str | Path, data: str) -> pandas.DataFrame:
    """Return a prediction for each new row: its columns (or file path), the class and the probability of each class.

    **Arguments:** ``best``: a saved model; ``data``: new rows in the form of the training data (labels are not needed).

    Raises InputError where the model or the rows cannot be read, or do not fit each other.
    """
    from farfield.train import predict as outputs

    model, card = load_saved(best)
    if not card["encoding"]:
        raise InputError(
            f"{best} was trained on the task {card['task']}, which does not say how new rows are to be read"
        )
    table, frame = tasks.read(card["encoding"], data)
    table = nn.prepare_inputs(card["model"], table, _inputs(card["raw_inputs"]))
    probabilities = outputs(model, table).softmax(1)
    confidence, index = probabilities.max(1)
    frame = frame.copy()
    frame["prediction"] = [card["classes"][i] for i in index.tolist()]
    frame["confidence"] = confidence.numpy()
    for i, name in enumerate(card["classes"]):
        frame[f"p({name})"] = probabilities[:, i].numpy()
    return frame


def _whole(data: str) -> Task:
    """Return the task that trains on every domain of this data."""
    name = parse(data)
    return tasks.load(str(type(name)(name.kind, name.path, {k: v for k, v in name.options.items() if k != "test"})))


def _inputs(fields: dict[str, Any]) -> Image | Vector | Text | Tokens:
    return INPUTS[fields["kind"]](**{k: v for k, v in fields.items() if k != "kind"})


def _empty_task(name: str, inputs: Image | Vector | Text | Tokens, classes: Classes) -> Task:
    """Return a task of one blank row: enough to build a model of the right shape, whose weights come from the file."""
    import torch

    blank = {
        Image: lambda: torch.zeros(1, inputs.channels, inputs.height, inputs.width),
        Vector: lambda: torch.zeros(1, inputs.size),
        Tokens: lambda: torch.zeros(1, inputs.length, dtype=torch.long),
        Text: lambda: [""],
    }[type(inputs)]()
    row = Table(x=blank, y=torch.zeros(1, dtype=torch.long), domain=torch.zeros(1, dtype=torch.long))
    return Task(name, row, row, {"iid": row}, inputs, classes, ("saved",))
