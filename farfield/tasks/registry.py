"""Task names become tasks: built-in ones, the user's files and modules, and what other packages offer."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from farfield.errors import InputError, nearest_names, unknown_name
from farfield.names import KINDS, Name, parse
from farfield.tasks import spoilt
from farfield.tasks.check import check
from farfield.tasks.task import Table, Task

# The first part of a built-in name, or the kind of another, to the module with its `expand` and `load`.
FAMILIES: Mapping[str, str] = {
    "digits": "farfield.tasks.images",
    "mnist": "farfield.tasks.images",
    "mnist-full": "farfield.tasks.images",
    "cifar10": "farfield.tasks.images",
    "omniglot": "farfield.tasks.images",
    "amazon": "farfield.tasks.amazon",
    "digits-mnist": "farfield.tasks.digits_mnist",
    "transfer": "farfield.tasks.transfer",
    "xnli": "farfield.tasks.xnli",
    "m2d2": "farfield.tasks.m2d2",
    "cora": "farfield.tasks.citation_graphs",
    "citeseer": "farfield.tasks.citation_graphs",
    "hub": "farfield.tasks.hub_sets",
    "medmnist": "farfield.tasks.medmnist",
    "digit-pairs": "farfield.tasks.many_classes",
    "characters": "farfield.tasks.many_classes",
    "gaussian-classes": "farfield.tasks.gaussian_classes",
    "glyphs": "farfield.tasks.two_factor_glyphs",
    "two-cue-digits": "farfield.tasks.two_cue_digits",
    "imagenet-shifts": "farfield.tasks.imagenet_shifts",
    "amazon-ratings": "farfield.tasks.amazon_ratings",
    "hatecheck": "farfield.tasks.hatecheck",
    "platform-text": "farfield.tasks.platform_text",
    "hate-platforms": "farfield.tasks.hate_platforms",
}
FILE_KINDS: Mapping[str, str] = {
    "csv": "farfield.tasks.tabular",
    "parquet": "farfield.tasks.tabular",
    "images": "farfield.tasks.folder",
    "hf": "farfield.tasks.huggingface",
}
SUFFIXES: Mapping[str, str] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}


class Family(Protocol):
    """What a module of tasks, built-in or of another package, offers."""

    def expand(self, name: Name) -> list[Name]: ...

    def load(self, name: Name, seed: int) -> Task: ...


def load(name: str, seed: int = 0) -> Task:
    """Load one task.

    **Arguments:**
    - ``name``: a built-in (``"digits/rotation"``, see `names`), the user's file or folder
      (``"csv:shops.csv?target=y&domain=site&test=berlin"``, or the path alone as `resolve` reads it), ``"hf:..."``, or
      ``"module:function"``, a function that returns a `Task` and may take a ``seed``. Every name takes the options ``noise``,
      ``noise_kind``, ``imbalance`` and ``spoil`` too (wrong labels and rare classes, see `farfield.tasks.spoilt`).
    - ``seed``: which examples go to which split.

    Other packages add families by entry points of the group ``farfield.tasks``, each named by the first part of its
    tasks' names and resolving to a module (or object) with `expand` and `load`.

    Raises InputError on an unknown name, with the nearest known ones, and on data that do not make a task.

    >>> load("digits/rotation").outputs.count
    10
    """
    whole = parse(resolve(name))
    parsed, spoiling = spoilt.separate(whole)
    spoilt.check_options(whole, spoiling)
    task = _load_from_module(parsed, seed) if parsed.kind == "module" else _family(parsed).load(parsed, seed)
    return spoilt.spoil(task, whole, spoiling, seed) if spoiling else task


def expand(name: str) -> list[str]:
    """Return the names of the tasks that a comparison runs over: the name itself, or one name per held-out domain.

    Raises InputError as `load` does.

    >>> expand("digits/rotation")
    ['digits/rotation']
    """
    whole = parse(resolve(name))
    parsed, spoiling = spoilt.separate(whole)
    spoilt.check_options(whole, spoiling)
    if parsed.kind == "module":
        _function(parsed)
        return [str(whole)]
    return [str(n.with_options(**spoiling)) for n in _family(parsed).expand(parsed)]


def resolve(text: str) -> str:
    """Return the full name behind a path: ``shops.csv?target=y`` is ``csv:shops.csv?target=y``, a folder ``images:...``.

    A folder that ``datasets`` saved becomes ``hf:...``. Other names come back as they are.

    Raises InputError where a text looks like a path, but there is no such file, or it is of no known kind.

    >>> resolve("digits/rotation")
    'digits/rotation'
    >>> resolve("shops.csv?target=y")
    Traceback (most recent call last):
    farfield.errors.InputError: file not found: shops.csv
    """
    head, mark, options = text.partition("?")
    known = {*FAMILIES, *_offered()}
    if not head or head.partition(":")[0] in KINDS or head.partition("/")[0] in known:
        return text
    path = Path(head).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        from farfield.tasks.huggingface import is_saved

        return f"{'hf' if is_saved(path) else 'images'}:{head}{mark}{options}"
    if path.exists():
        if suffix not in SUFFIXES:
            raise InputError(f"{head} is of no known kind; {', '.join(SUFFIXES)} files and folders of images are read")
        return f"{SUFFIXES[suffix]}:{head}{mark}{options}"
    if suffix in SUFFIXES or head.startswith((".", "/", "~")) or head.endswith(("/", "\\")):
        raise InputError(f"file not found: {head}")
    return text


def hub_ids(name: str) -> tuple[str, ...]:
    """Return the data sets of the Hugging Face hub that a task is read from; none for most.

    >>> hub_ids("xnli"), hub_ids("digits/rotation")
    (('nyu-mll/multi_nli', 'facebook/xnli'), ())
    """
    parsed = parse(name)
    found = getattr(_family(parsed), "HUB", ()) if parsed.kind == "builtin" else ()
    # A family of several data sets has them by name.
    return found.get(parsed.path, ()) if isinstance(found, Mapping) else found


def names() -> tuple[str, ...]:
    """Return the names of the built-in tasks, and the first parts of those that other packages offer.

    >>> "digits/rotation" in names()
    True
    """
    built_in = [n for module in dict.fromkeys(FAMILIES.values()) for n in import_module(module).NAMES]
    return (*built_in, *_offered())


def _family(name: Name) -> Family:
    if name.kind in FILE_KINDS:
        return import_module(FILE_KINDS[name.kind])
    first = name.path.partition("/")[0]
    if name.kind == "builtin" and first in FAMILIES:
        return import_module(FAMILIES[first])
    offered = _offered()
    if name.kind == "builtin" and first in offered:
        return offered[first].load()
    # Without a near one, the first parts of all names are enough to read.
    known = names() if nearest_names(str(name), names()) else [*FAMILIES, *offered]
    raise InputError(f"{unknown_name('task', str(name), known)} (there is no such file or folder either)")


def _offered() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group="farfield.tasks")}


def _function(name: Name) -> Callable[..., Any]:
    from farfield.modules import load_object

    name.check_options([])
    found = load_object(name.path, kind="task")
    if not callable(found):
        raise InputError(f"the task {name} is a {type(found).__name__}; it must be a function that returns a Task")
    return found


def _load_from_module(name: Name, seed: int) -> Task:
    make = _function(name)
    parameters = inspect.signature(make).parameters.values()
    takes_seed = any(p.name == "seed" or p.kind is p.VAR_KEYWORD for p in parameters)
    try:
        task = make(seed=seed) if takes_seed else make()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"the task {name}: calling it failed: {error!r}") from error
    if not isinstance(task, Task):
        raise InputError(f"the task {name} returned a {type(task).__name__}; it must return a farfield.tasks.Task")
    # A saved result must lead back to the task, whatever name its author gave it.
    task = replace(task, name=str(name), fingerprint=task.fingerprint or _fingerprint(task, name))
    check(task)
    return task


def _fingerprint(task: Task, name: Name) -> str:
    """Return the SHA-256 of a task's columns; of its module's source where a split is not in memory."""
    from farfield.modules import source_hash

    digest = hashlib.sha256()
    for label, split in {"train": task.train, "val": task.val, **task.tests}.items():
        if not isinstance(split, Table):
            return source_hash(name.path)
        for key, values in sorted(split.columns.items()):
            digest.update(f"\0{label}\0{key}\0".encode())
            if isinstance(values, Tensor):
                digest.update(np.ascontiguousarray(values.cpu().numpy()).tobytes())
            else:
                digest.update("\0".join(map(str, values)).encode())
    return digest.hexdigest()
