"""Any task, trained on wrong labels and rare classes: ``mnist/rotation?noise=0.4&imbalance=10``.

What is spoilt is what a user with such data has: the training and the validation split. All tests stay as they are, so that
accuracy is that on right labels.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.label_noise import KINDS, with_label_noise
from farfield.tasks.long_tail import long_tailed
from farfield.tasks.task import Split, Table, Task

OPTIONS = ("noise", "noise_kind", "imbalance", "spoil")


def separate(name: Name) -> tuple[Name, dict[str, str]]:
    """Return a task's name without the options that this module reads, and those options.

    >>> from farfield.names import parse
    >>> name, options = separate(parse("mnist/rotation?train=0&noise=0.4"))
    >>> str(name), options
    ('mnist/rotation?train=0', {'noise': '0.4'})
    """
    own = {k: v for k, v in name.options.items() if k in OPTIONS}
    return Name(name.kind, name.path, {k: v for k, v in name.options.items() if k not in OPTIONS}), own


def check_options(name: Name, options: Mapping[str, str]) -> None:
    """Raise InputError where one of the options has a value that it cannot have, without loading anything.

    >>> from farfield.names import parse
    >>> check_options(parse("digits"), {"noise": "1.5"})
    Traceback (most recent call last):
    farfield.errors.InputError: the option noise of digits is '1.5'; it must be a number from 0 to 1
    """
    _number(name, options, "noise", 0.0, low=0, high=1)
    _number(name, options, "imbalance", 1.0, low=1, high=1e6)
    if options.get("noise_kind", KINDS[0]) not in KINDS:
        raise unknown_name(f"noise_kind of {name}", options["noise_kind"], KINDS)
    if options.get("spoil", "all") not in ("all", "train"):
        raise InputError(f"the option spoil of {name} is {options['spoil']!r}; it must be all or train")


def spoil(task: Task, name: Name, options: Mapping[str, str], seed: int) -> Task:
    """Return the task with rare classes first and wrong labels then in its training and validation split.

    **Options:**
    - ``imbalance``: the largest class over the smallest, at least 1; see `farfield.tasks.long_tailed`. Which class is large follows
      the seed; it is the same in both splits.
    - ``noise``: the probability that a label is replaced, 0 to 1; ``noise_kind``: by which class, see
      `farfield.tasks.noise_matrix` ("symmetric" where it is not given).
    - ``spoil``: "all" for both splits, as when nobody has right labels; "train" leaves the validation split as it is, so that
      models are chosen by right labels and by all classes alike.

    **Arguments:** ``name``: of the whole task, with these options; ``seed``: of the draws.

    Raises InputError on labels at several positions of an example, on a value that an option cannot have, and where a class has
    too few rows for the imbalance.

    >>> from farfield import tasks
    >>> sizes = tasks.load("digits/rotation?imbalance=10").train.columns["y"].bincount()
    >>> (sizes.max() / sizes.min()).round().item()
    10.0
    """
    check_options(name, options)
    noise, imbalance = (
        _number(name, options, "noise", 0.0, low=0, high=1),
        _number(name, options, "imbalance", 1.0, low=1, high=1e6),
    )
    kind = options.get("noise_kind", KINDS[0])
    classes = task.outputs.count
    changed, notes = {}, []
    for label in ("train", "val") if options.get("spoil", "all") == "all" else ("train",):
        rows = _table(getattr(task, label))
        if rows.columns["y"].ndim != 1:
            raise InputError(
                f"{name} has a label at every position; noise and imbalance need one label for each example"
            )
        try:
            if imbalance > 1:
                rows, _ = long_tailed(rows, imbalance, seed=seed, classes=classes)
            if noise > 0:
                # Splits have draws of their own.
                own = int.from_bytes(hashlib.sha256(f"{seed} {label}".encode()).digest()[:4], "big")
                before = rows.columns["y"]
                rows, _ = with_label_noise(rows, noise, classes, own, kind=kind)
                wrong = (rows.columns["y"] != before).float().mean().item()
                notes.append(f"{wrong:.0%} of the labels of the split {label!r} were made wrong ({kind}).")
        except InputError as error:
            raise InputError(f"the split {label!r} of {name}: {error}") from error
        lost = set(range(len(task.domains))) - set(rows.columns["domain"].unique().tolist())
        if lost:
            raise InputError(
                f"the split {label!r} of {name}: with so few rows the training domain {task.domains[min(lost)]!r} has none"
            )
        if imbalance > 1:
            notes.append(
                f"The split {label!r} has {len(rows)} rows, its largest class {imbalance:g} times the smallest."
            )
        changed[label] = rows
    return replace(
        task,
        name=str(name),
        notes=(*task.notes, *notes),
        fingerprint=hashlib.sha256(f"{task.fingerprint} {sorted(options.items())}".encode()).hexdigest(),
        **changed,
    )


def _table(split: Split) -> Table:
    return split if isinstance(split, Table) else Table(**split[slice(0, len(split))])


def _number(name: Name, options: Mapping[str, str], key: str, otherwise: float, *, low: float, high: float) -> float:
    text = options.get(key)
    try:
        value = otherwise if text is None else float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise InputError(f"the option {key} of {name} is {text!r}; it must be a number from {low:g} to {high:g}")
    return value
