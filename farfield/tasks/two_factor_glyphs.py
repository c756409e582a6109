"""Classes whose relations are known: each is a shape, a texture and a colour, and two classes share none, one or two of them."""

import hashlib

import torch
from jaxtyping import Int
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.names import Name
from farfield.tasks.shape_colour import ShapeColour
from farfield.tasks.task import Classes, Image, Table, Task

FACTORS = ("shape", "texture", "colour")
CLASSES = 64
TRAIN, VALIDATION, TEST = 12, 2, 6  # images of a class
NAMES: tuple[str, ...] = ("glyphs",)


def two_factor_glyphs(
    train: int = TRAIN, test: int = TEST, *, size: int = 16, noise: float = 0.05, seed: int = 0
) -> tuple[Table, Table]:
    """Return images to learn from and others to test on, of 64 classes: 4 shapes x 4 textures x 4 colours.

    The images are those of `ShapeColour`: one shape at a random place and size on noisy grey.

    **Arguments:** ``train``, ``test``: images of each class, at least 1; ``size``: side in pixels, at least 12;
    ``noise``: standard deviation, 0 or more; ``seed``: of all draws, and of the order in which the classes are
    numbered.

    Returns two tables with ``x`` (n, 3, size, size) float32 in [0, 1], ``y`` int64 from 0 to 63, and ``factors`` (n,
    3) int64 from 0 to 3: which shape, texture and colour. All rows of a class have the same factors.

    Raises InputError on a number out of range.

    Source: the question of Wu et al., "Rethinking Positive Pairs in Contrastive Learning", 2024, what two classes
    share, with the answer known; the drawing is ours.

    >>> train, test = two_factor_glyphs(2, 1)
    >>> train.columns["y"].bincount().unique().tolist(), len(test), train.columns["factors"].shape
    ([2], 64, torch.Size([128, 3]))
    """
    if train < 1 or test < 1:
        raise InputError(f"train is {train} and test {test}; expected at least one image of each class in both")
    number = torch.randperm(CLASSES, generator=torch.Generator().manual_seed(seed))
    tables = []
    # Seeds apart for every seed: images to test on are never those learned from.
    for part, per_class in enumerate((train, test)):
        data = ShapeColour(CLASSES * per_class, size, noise=noise, seed=2 * seed + part)
        factors = torch.stack([data.features()[name] for name in FACTORS], 1)
        cell = (factors * torch.tensor([16, 4, 1])).sum(1)
        tables.append(Table(x=data.x, y=number[cell], factors=factors))
    return tables[0], tables[1]


def shared_factors(factors: Int[Tensor, "classes factors"]) -> Int[Tensor, "classes classes"]:
    """Return how many factors every two classes share, on the diagonal all.

    >>> shared_factors(torch.tensor([[0, 1, 2], [0, 3, 2], [1, 1, 1]])).tolist()
    [[3, 2, 1], [2, 3, 0], [1, 0, 3]]
    """
    if factors.ndim != 2:
        raise InputError(f"factors has shape {tuple(factors.shape)}; expected (classes, factors)")
    return (factors[:, None] == factors).sum(2)


def expand(name: Name) -> list[Name]:
    """Return the name itself. Raises InputError on an unknown one.

    >>> from farfield.names import parse
    >>> expand(parse("glyphs/far"))
    Traceback (most recent call last):
    farfield.errors.InputError: unknown task 'glyphs/far'; nearest: glyphs
    """
    if name.path not in NAMES:
        raise unknown_name("task", name.path, NAMES)
    return [name]


def load(name: Name, seed: int) -> Task:
    """Return `two_factor_glyphs` as a task without a shift: of each class 12 images to learn from, 2 for validation, 6 as test.

    Raises InputError on an unknown name or option.
    """
    expand(name)
    name.check_options([])
    learned, test = two_factor_glyphs(TRAIN + VALIDATION, TEST, seed=seed)
    learned, test = (t.replace(domain=torch.zeros(len(t), dtype=torch.long)) for t in (learned, test))
    # Of each class the first rows, which come in random order, are for validation.
    by_class = learned.columns["y"].argsort(stable=True).reshape(CLASSES, -1)
    digest = hashlib.sha256()
    for part in (learned, test):
        for column in ("x", "y"):
            digest.update(part.columns[column].numpy().tobytes())
    return Task(
        str(name),
        learned.take(by_class[:, VALIDATION:].flatten()),
        learned.take(by_class[:, :VALIDATION].flatten()),
        {"iid": test},
        Image(*test.columns["x"].shape[1:]),
        Classes(CLASSES),
        domains=("generated",),
        fingerprint=digest.hexdigest(),
    )
