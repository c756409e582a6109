"""Accuracy where classes differ in size: each class counts alike, and common, medium and rare classes apart."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, same_rows, tensor

GROUPS = ("many", "medium", "few")


def balanced_accuracy(predicted: Int[Array, "n"], y: Int[Array, "n"]) -> float:
    """Return the mean over the classes in ``y`` of the share of their rows that are predicted right, in [0, 1].

    **Arguments:** both class indices, or any integers.

    Raises InputError where rows do not match.

    >>> balanced_accuracy(torch.tensor([0, 0, 0, 0]), torch.tensor([0, 0, 0, 1]))
    0.5
    """
    return float(_recalls(predicted, y)[1].mean())


def group_accuracy(
    predicted: Int[Array, "n"], y: Int[Array, "n"], groups: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    """Return the balanced accuracy over each group of classes, in [0, 1].

    **Arguments:** ``groups``: name -> classes, such as those of `class_groups`. Classes without a row in ``y`` do not count; a group
    without any is left out.

    Raises InputError where rows do not match.

    >>> predicted, y = torch.tensor([0, 0, 1, 0]), torch.tensor([0, 0, 1, 1])
    >>> group_accuracy(predicted, y, {"many": [0], "few": [1, 2], "none": [3]})
    {'many': 1.0, 'few': 0.5}
    """
    classes, recalls = _recalls(predicted, y)
    found = {}
    for name, members in groups.items():
        inside = torch.isin(classes, torch.as_tensor(list(members), device=classes.device, dtype=classes.dtype))
        if inside.any():
            found[name] = float(recalls[inside].mean())
    return found


def class_groups(
    counts: Int[Array, "k"], *, many: int | None = None, few: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Return the classes in groups "many", "medium" and "few" by how many training rows they have.

    **Arguments:**
    - ``counts`` (K,): training rows of each class.
    - ``many``, ``few``: a class of more than ``many`` rows is common and one of fewer than ``few`` is rare (100 and 20 in Liu et al.,
      CVPR 2019). Where neither is given the classes are cut into three parts by size, as equal as can be, the larger parts first.

    A group may be empty. Raises InputError where one limit is given without the other, or ``few`` is above ``many``.

    >>> class_groups(torch.tensor([5, 300, 40]), many=100, few=20)
    {'many': (1,), 'medium': (2,), 'few': (0,)}
    >>> class_groups(torch.tensor([5, 300, 40, 4]))
    {'many': (1, 2), 'medium': (0,), 'few': (3,)}
    """
    sizes = tensor(counts, "counts", dims=1)
    if (many is None) != (few is None):
        raise InputError(f"many is {many} and few {few}; give both limits, or neither")
    if many is not None and few is not None:
        if few > many:
            raise InputError(f"few is {few} and many {many}; few must not be above many")
        masks = (sizes > many, (sizes <= many) & (sizes >= few), sizes < few)
        return {name: tuple(m.nonzero().flatten().tolist()) for name, m in zip(GROUPS, masks)}
    parts = sizes.argsort(descending=True, stable=True).tensor_split(3)
    return {name: tuple(sorted(part.tolist())) for name, part in zip(GROUPS, parts)}


def _recalls(predicted: Array, y: Array) -> tuple[Tensor, Tensor]:
    """Return the classes in y and the share of each that is right."""
    guesses, labels = tensor(predicted, "predicted", dims=1), tensor(y, "y", dims=1)
    same_rows(predicted=guesses, y=labels)
    classes, index, counts = labels.unique(return_inverse=True, return_counts=True)
    right = (guesses.to(labels.device) == labels).double()
    return classes, torch.zeros_like(classes).index_add(0, index, right) / counts
