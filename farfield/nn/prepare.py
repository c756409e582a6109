"""What a model needs done to raw inputs before training: the same for a task and for new rows."""

import dataclasses
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points

from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.names import parse
from farfield.nn import pretrained, tuning
from farfield.nn.load import BUILTIN, Inputs, check_fit
from farfield.nn.options import read_options
from farfield.nn.text import WORDS, hash_words, tokenizer
from farfield.tasks.task import Split, Table, Task, Text, Tokens, Vector


def prepare(name: str, task: Task) -> Task:
    """Return the task with its inputs as the named model takes them; the same task where nothing is needed.

    Raw text becomes hashed words for a built-in model, and token ids of its own tokenizer for an ``hf:`` one. Labels are
    not looked at and nothing is fitted. One's own model gets the strings as they are. Images are never changed here:
    models resize and normalise within ``forward``.

    Raises InputError where the model is unknown or does not take text.

    >>> import torch
    >>> from farfield.tasks.task import Classes
    >>> rows = Table(x=["good", "bad"], y=torch.tensor([0, 1]), domain=torch.tensor([0, 1]))
    >>> task = Task("reviews", rows, rows, {"iid": rows}, Text(), Classes(2), ("a", "b"))
    >>> prepare("mlp", task).inputs
    Vector(size=4096)
    """
    found = _preparation(name, task.inputs, f"the task {task.name}")
    if found is None:
        return task
    convert, inputs = found
    train = _converted(task.train, convert)
    notes = task.notes
    if isinstance(inputs, Tokens):
        full = int((train.columns["x"][:, -1] != inputs.padding).sum())
        if full:
            notes = (
                *notes,
                f"{full} of {len(train)} training texts fill all {inputs.length} tokens that {name} reads, so they may be "
                f"cut; add length=... to the model's name to change that.",
            )
    return dataclasses.replace(
        task,
        train=train,
        val=_converted(task.val, convert),
        tests={label: _converted(split, convert) for label, split in task.tests.items()},
        inputs=inputs,
        notes=notes,
    )


def prepare_inputs(name: str, table: Table, inputs: Inputs) -> Table:
    """Return new rows with their column ``x`` as the named model takes it, in the way of `prepare`.

    **Arguments:** ``table``: new rows, raw; ``inputs``: those of the task before it was prepared.

    >>> prepare_inputs("mlp", Table(x=["a new one"]), Text())
    Table(x=(1, 4096) float32)
    """
    found = _preparation(name, inputs, "this data")
    return table if found is None else _converted(table, found[0])


def _preparation(
    name: str, inputs: Inputs, source: str
) -> tuple[Callable[[Sequence[str]], Tensor], Vector | Tokens] | None:
    """Return how raw text becomes tensors and what they are, or None where the model takes the inputs as they are."""
    if not isinstance(inputs, Text):
        return None
    parsed = parse(name)
    if parsed.kind == "hf":
        options = read_options(parsed, {**pretrained.OPTIONS, **tuning.OPTIONS})
        return tokenizer(parsed.path, options["length"])
    if parsed.kind == "timm":
        raise InputError(f"{name} takes images; {source} has {inputs}: use linear or mlp")
    if parsed.kind == "builtin":
        if parsed.path in BUILTIN:
            check_fit(parsed, inputs, source)
            return hash_words, Vector(WORDS)
        offered = [point.name for point in entry_points(group="farfield.models")]
        if parsed.path not in offered:
            raise unknown_name("model", parsed.path, [*BUILTIN, *offered])
    return None


def _converted(split: Split, convert: Callable[[Sequence[str]], Tensor]) -> Table:
    table = split if isinstance(split, Table) else Table(**split[slice(0, len(split))])
    return table.replace(x=convert(table.columns["x"].tolist()))
