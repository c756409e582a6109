"""Inputs and class numbers of a data set by name, unsplit, for those who measure data instead of training on it."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.names import Name, parse
from farfield.tasks.classic_control import cartpole_observations
from farfield.tasks.manifold_classes import sphere_classes, torus_classes
from farfield.tasks.registry import load
from farfield.tasks.sources import area_average, load_source
from farfield.tasks.task import Split, Table, column

IMAGES = ("digits", "mnist", "omniglot")
TABLES = ("iris", "wine", "breast-cancer")


def labelled_arrays(name: str, *, seed: int = 0) -> tuple[Float[Tensor, "n ..."], Int[Tensor, " n"]]:
    """Return all inputs and class numbers of a data set.

    **Arguments:** ``name`` is one of
    - ``digits``, ``mnist``, ``omniglot``: images in [0, 1]; ``?classes=3,8`` keeps these classes, ``?size=4`` reduces to 4x4 by
      area, ``?noise=0.1`` adds Gaussian noise of this standard deviation;
    - ``iris``, ``wine``, ``breast-cancer``: scikit-learn's tables, each column standardised;
    - ``sphere?m=3&resolution=0.3``, ``torus?...``: see `farfield.tasks.sphere_classes`, with ``n`` (2000);
    - ``cartpole?velocities=no&horizon=2``: see `farfield.tasks.cartpole_observations`, with ``n`` (2000);
    - any name of a task (``cifar10``, ``csv:...``, ``my_module:make_task``): the rows of its training domains.

    ``seed``: of noise, of what is generated, and of a task's split.

    Raises InputError on an unknown name or option, on text inputs, and where the data cannot be had.

    >>> x, y = labelled_arrays("digits?classes=3,8&size=4")
    >>> x.shape, y.unique().tolist()
    (torch.Size([357, 1, 4, 4]), [3, 8])
    """
    parsed = parse(name)
    if parsed.kind == "builtin" and parsed.path in IMAGES:
        return _images(parsed, seed)
    if parsed.kind == "builtin" and parsed.path in TABLES:
        parsed.check_options([])
        return _table(parsed.path)
    if parsed.kind == "builtin" and parsed.path in GENERATED:
        made = GENERATED[parsed.path](parsed, seed)
        return column(made, "x"), column(made, "y")
    task = load(name, seed)
    parts = (task.train, task.val, task.tests["iid"])
    return torch.cat([_inputs(part, name) for part in parts]), torch.cat([column(part, "y") for part in parts])


def _images(name: Name, seed: int) -> tuple[Tensor, Tensor]:
    name.check_options(["classes", "size", "noise"])
    source = load_source(name.path)
    y = torch.from_numpy(source.labels)
    x = source.images.float() / 255 if source.images.dtype == torch.uint8 else source.images
    if "classes" in name.options:
        wanted = [_read(name, "classes", int, part) for part in name.options["classes"].split(",")]
        kept = torch.isin(y, torch.tensor(wanted))
        x, y = x[kept], y[kept]
        if len(y.unique()) < len(wanted):
            raise InputError(
                f"{name} has no image of some of the classes {wanted}; it has {len(source.classes)} classes"
            )
    if "size" in name.options:
        size = _number(name, "size", int)
        if not 1 <= size <= x.shape[2]:
            raise InputError(f"size={size} of {name} must be from 1 to {x.shape[2]} pixels")
        x = area_average(x, size, size)
    if "noise" in name.options:
        x = x + _number(name, "noise", float) * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return x, y


def _table(name: str) -> tuple[Tensor, Tensor]:
    from sklearn import datasets

    data = getattr(datasets, f"load_{name.replace('-', '_')}")()
    x = torch.from_numpy(data.data)
    return ((x - x.mean(0)) / x.std(0, correction=0)).float(), torch.from_numpy(data.target).long()


def _manifold(make: Callable[..., Table]) -> Callable[[Name, int], Table]:
    def made(name: Name, seed: int) -> Table:
        name.check_options(["m", "resolution", "n"])
        m, resolution = _number(name, "m", int), _number(name, "resolution", float)
        return make(_number(name, "n", int, "2000"), m, resolution, seed=seed)

    return made


def _cartpole(name: Name, seed: int) -> Table:
    name.check_options(["velocities", "horizon", "n"])
    velocities = name.options.get("velocities", "yes")
    if velocities not in ("yes", "no"):
        raise InputError(f"velocities={velocities} of {name} must be yes or no")
    n, horizon = _number(name, "n", int, "2000"), _number(name, "horizon", int, "1")
    return cartpole_observations(n, velocities=velocities == "yes", horizon=horizon, seed=seed)


def _number(name: Name, option: str, kind: type, default: str | None = None) -> Any:
    """Return the number that an option has, or ``default`` where it is not given."""
    text = name.options.get(option, default)
    if text is None:
        raise InputError(f"{name} needs the option {option}")
    return _read(name, option, kind, text)


def _read(name: Name, option: str, kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{option}={text} of {name} must be a number") from None


def _inputs(split: Split, name: str) -> Tensor:
    x = column(split, "x")
    if not isinstance(x, Tensor):
        raise InputError(
            f"the inputs of {name} are no numbers; give a task of vectors or images, such as embeddings of them"
        )
    return x.float() / 255 if x.dtype == torch.uint8 else x


GENERATED: Mapping[str, Callable[[Name, int], Table]] = {
    "sphere": _manifold(sphere_classes),
    "torus": _manifold(torus_classes),
    "cartpole": _cartpole,
}
