"""Models by name: ``nn.load("mlp?hidden=64", task)``."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

import torch
from torch import nn

from farfield.errors import InputError, unknown_name
from farfield.modules import load_object
from farfield.names import Name, parse
from farfield.nn import all_cnn, cnn, mlp, pretrained, resnet, tuning, vit
from farfield.nn.classifier import Classifier
from farfield.nn.language_model import language_model
from farfield.nn.options import Option, read_options
from farfield.nn.timm_backbone import timm_backbone
from farfield.tasks.task import Image, Task, Text, Tokens, Vector, column

Inputs = Image | Vector | Text | Tokens


@dataclass(frozen=True)
class Architecture:
    """A built-in model: how it is made, its options, and whether it takes vectors besides images.

    **Fields:** ``smallest``: the smallest side of an image, in pixels.
    """

    build: Callable[..., Classifier]
    options: Mapping[str, Option] = field(default_factory=dict)
    vectors: bool = False
    smallest: int = 1


BUILTIN = {
    "linear": Architecture(mlp.linear, vectors=True),
    "mlp": Architecture(mlp.mlp, mlp.MLP_OPTIONS, vectors=True),
    "cnn": Architecture(cnn.cnn, cnn.OPTIONS, smallest=4),
    "all-cnn-c": Architecture(all_cnn.all_cnn_c, all_cnn.OPTIONS, smallest=4),
    "resnet": Architecture(resnet.resnet, resnet.OPTIONS, smallest=4),
    "vit": Architecture(vit.vit, vit.OPTIONS, smallest=4),
}


def load(name: str, task: Task, *, seed: int = 0) -> nn.Module:
    """Return a new model for a task.

    - ``linear``, ``mlp``, ``cnn``, ``all-cnn-c``, ``resnet``, ``vit``, with options such as ``mlp?hidden=64&depth=3``.
    - ``hf:<folder or hub id>``, a language model where the task has a class at every position (see
      `farfield.nn.language_model`), and ``timm:<name>``: a pretrained backbone. ``?tune=probe`` trains its head only,
      ``?tune=lora&rank=8`` its head and low-rank additions (see `farfield.nn.tuning`).
    - ``module:function``: your own, called as ``f(task)``, or ``f(task, seed=seed)`` where it takes a seed.
    - a name that another package offers by an entry point of the group ``farfield.models``, called in the same way.

    Weights are drawn from ``seed``; the caller's random state is left as it was. A task of raw text must be prepared
    first, see `farfield.nn.prepare`.

    Raises InputError on an unknown name or option (with the nearest), an option out of its range, or a model that does
    not fit the task; MissingExtra where a package is absent.

    >>> from farfield import tasks
    >>> model = load("mlp?hidden=32", tasks.load("digits/rotation"))
    >>> model(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    parsed = parse(name)
    # Only the generator of the CPU: seeding with torch.manual_seed would also seed the caller's GPU.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if parsed.kind == "hf":
            return _pretrained(parsed, task)
        if parsed.kind == "timm":
            options = read_options(parsed, tuning.OPTIONS)
            return _tuned(timm_backbone(parsed.path, task), parsed, options)
        if parsed.kind == "module":
            options = read_options(parsed, tuning.OPTIONS)
            make = load_object(parsed.path, kind="model")
            return _tuned(_made(make, parsed.path, task, seed), parsed, options)
        if parsed.kind != "builtin":
            raise InputError(f"{name!r} is no model: {parsed.kind}: names data")
        if parsed.path not in BUILTIN:
            offered = {point.name: point for point in entry_points(group="farfield.models")}
            if parsed.path not in offered:
                raise unknown_name("model", parsed.path, [*BUILTIN, *offered, "hf:...", "timm:...", "module:function"])
            options = read_options(parsed, tuning.OPTIONS)
            return _tuned(_made(offered[parsed.path].load(), parsed.path, task, seed), parsed, options)
        architecture = BUILTIN[parsed.path]
        options = read_options(parsed, architecture.options)
        check_fit(parsed, task.inputs, f"the task {task.name}")
        if isinstance(task.inputs, Text):
            raise InputError(f"the task {task.name} has raw text: prepare it with farfield.nn.prepare({name!r}, task)")
        return architecture.build(task, **options)


def default(task: Task) -> str:
    """Return the name of the model to start with: ``cnn`` for images, ``mlp`` for vectors and for text.

    Raises InputError for sequences of tokens, for which there is no built-in model.

    >>> from farfield import tasks
    >>> default(tasks.load("digits/rotation"))
    'cnn'
    """
    if isinstance(task.inputs, Tokens):
        raise InputError(f"the task {task.name} has {task.inputs}: name a model for it, such as hf:<folder or hub id>")
    small = isinstance(task.inputs, Image) and min(task.inputs.height, task.inputs.width) < BUILTIN["cnn"].smallest
    return "cnn" if isinstance(task.inputs, Image) and not small else "mlp"


def check_fit(name: Name, inputs: Inputs, source: str) -> None:
    """Raise InputError where a built-in model cannot take these inputs; raw text counts as the vectors it can become.

    >>> check_fit(parse("cnn"), Vector(64), "the task mine")
    Traceback (most recent call last):
    farfield.errors.InputError: cnn takes images of at least 4x4; the task mine has vectors of 64 features: use linear or mlp
    """
    architecture, least = BUILTIN[name.path], BUILTIN[name.path].smallest
    takes = "images, vectors or text" if architecture.vectors else f"images of at least {least}x{least}"
    has = f"{name.path} takes {takes}; {source} has {inputs}"
    if isinstance(inputs, Tokens):
        raise InputError(f"{has}: use hf:<folder or hub id>")
    fits = min(inputs.height, inputs.width) >= least if isinstance(inputs, Image) else architecture.vectors
    if not fits:
        raise InputError(f"{has}: use linear or mlp")


def _pretrained(name: Name, task: Task) -> nn.Module:
    options = read_options(name, {**pretrained.OPTIONS, **tuning.OPTIONS})
    if column(task.train, "y").ndim == 2:
        if "pool" in name.options or "length" in name.options:
            raise InputError(f"{name}: pool and length are not for {task.name}, which has a class at every position")
        return _tuned(language_model(name.path, task), name, options)
    model = pretrained.pretrained(name.path, task, pool=options["pool"])
    if options["length"] and not isinstance(task.inputs, Tokens):
        raise InputError(f"length={options['length']} of {name} is for text; the task {task.name} has {task.inputs}")
    return _tuned(model, name, options)


def _tuned(model: nn.Module, name: Name, options: Mapping[str, Any]) -> nn.Module:
    if "rank" in name.options and options["tune"] != "lora":
        raise InputError(f"rank={options['rank']} of {name} needs tune=lora")
    if options["tune"] == "full":
        return model
    if not isinstance(model, Classifier):
        raise InputError(
            f"tune={options['tune']} of {name} needs to know the head: return farfield.nn.Classifier(encoder, head), "
            f"not {type(model).__name__}"
        )
    return tuning.tune(model, options["tune"], rank=options["rank"], name=str(name))


def _made(make: Any, label: str, task: Task, seed: int) -> nn.Module:
    """Call someone else's function, and check on two rows that what it returns is a model for the task."""
    if not callable(make):
        raise InputError(f"the model {label} is {type(make).__name__}, not a function that takes a task")
    parameters = inspect.signature(make).parameters
    takes_seed = "seed" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    model = make(task, seed=seed) if takes_seed else make(task)
    if not isinstance(model, nn.Module):
        raise InputError(f"the model {label} returned {type(model).__name__}, not a torch.nn.Module")
    rows = task.train[torch.arange(2) % len(task.train)]["x"]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model(rows)
    except Exception as error:
        # Whatever it is, it is the model that does not take these inputs.
        raise InputError(f"the model {label} fails on two rows of the task {task.name}: {error}") from error
    model.train(was_training)
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    wanted = (2, task.outputs.count)
    if shape != wanted:
        raise InputError(f"the model {label} gives {shape} on two rows of the task {task.name}; it must give {wanted}")
    return model
