"""Classes that are Gaussians of one covariance, with a known distance of their means: ``gaussian-classes?delta=2``."""

import hashlib

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.task import Classes, Table, Task, Vector

NAMES: tuple[str, ...] = ("gaussian-classes",)
ROWS = {"train": 500, "val": 100, "iid": 400}  # of each class
OPTIONS = ["delta", "classes", "dimension"]


def gaussian_classes(
    rows: int, *, classes: int = 10, dimension: int = 16, delta: float = 4.0, seed: int = 0, means_seed: int = 0
) -> tuple[Table, Float[Tensor, "k d"]]:
    """Return points of K Gaussians with the identity as covariance, and their means.

    The means are drawn from a Gaussian whose scale makes ``delta`` the root mean square distance of two of them.

    **Arguments:** ``rows`` of each class, at least 1; ``classes`` at least 2; ``dimension`` at least 1; ``delta``: in standard deviations of a
    class, at least 0; ``means_seed``: of the means, ``seed``: of the points.

    **Returns:** `Table` with ``x`` (rows * classes, dimension) float32 and ``y``, class by class, and the means (classes, dimension) float32.

    Raises InputError on an argument out of range.

    >>> table, means = gaussian_classes(3, classes=2, dimension=5)
    >>> table.columns["x"].shape, means.shape
    (torch.Size([6, 5]), torch.Size([2, 5]))
    """
    if rows < 1 or classes < 2 or dimension < 1 or not delta >= 0:
        raise InputError(
            f"rows is {rows}, classes {classes}, dimension {dimension} and delta {delta}; expected at least 1, 2, 1 and 0"
        )
    drawn = np.random.default_rng([means_seed, 0x6743]).normal(size=(classes, dimension))
    means = torch.from_numpy(drawn * delta / np.sqrt(2 * dimension))
    points = torch.from_numpy(np.random.default_rng([seed, 0x6743, 1]).normal(size=(classes * rows, dimension)))
    y = torch.arange(classes).repeat_interleave(rows)
    return Table(x=(means[y] + points).float(), y=y), means.float()


def expand(name: Name) -> list[Name]:
    """Return the name itself. Raises InputError on an unknown one.

    >>> from farfield.names import parse
    >>> len(expand(parse("gaussian-classes?delta=2")))
    1
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return Gaussian classes as a task of one domain: 500, 100 and 400 rows of each for training, validation and the near test.

    **Arguments:** ``name`` with the options ``delta`` (4), ``classes`` (10) and ``dimension`` (16), see `gaussian_classes`; ``seed``: of means
    and points.

    Raises InputError on an unknown option, and on values out of range.

    >>> from farfield.names import parse
    >>> str(load(parse("gaussian-classes?classes=3&dimension=2"), seed=0).inputs)
    'vectors of 2 features'
    """
    expand(name)
    name.check_options(OPTIONS)
    try:
        delta = float(name.options.get("delta", "4"))
        k, d = (int(name.options.get(key, value)) for key, value in (("classes", "10"), ("dimension", "16")))
    except ValueError:
        raise InputError(f"the options of {name} must be numbers, classes and dimension whole ones") from None
    splits = {}
    for i, (split, rows) in enumerate(ROWS.items()):
        own = seed * len(ROWS) + i
        table, _ = gaussian_classes(rows, classes=k, dimension=d, delta=delta, seed=own, means_seed=seed)
        splits[split] = table.replace(domain=torch.zeros(len(table), dtype=torch.long))
    return Task(
        str(name),
        splits["train"],
        splits["val"],
        {"iid": splits["iid"]},
        Vector(d),
        Classes(k),
        domains=("gaussians",),
        fingerprint=hashlib.sha256(f"{name} {seed}".encode()).hexdigest(),
    )
