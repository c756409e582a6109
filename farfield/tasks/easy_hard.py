"""Data sets of easy and of hard examples only, for asking what each kind is enough to learn."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.tasks.label_noise import check_classes


@dataclass(frozen=True)
class EasyHard:
    """Indices (int64) of easy and hard training and test examples: disjoint, all of one size, with the same number of each class.

    >>> EasyHard(*[torch.tensor([i]) for i in range(4)]).hard_test
    tensor([3])
    """

    easy_train: Int[Tensor, " k"]
    easy_test: Int[Tensor, " k"]
    hard_train: Int[Tensor, " k"]
    hard_test: Int[Tensor, " k"]


def easy_hard_split(
    difficulty: Float[np.ndarray | Tensor, " n"],
    y: Int[np.ndarray | Tensor, " n"],
    *,
    share: float = 0.2,
    seed: int = 0,
) -> EasyHard:
    """Return the easiest and the hardest examples of each class, each halved into training and test sets.

    For comparing what a model learns from easy examples about easy ones with what it learns from hard examples about hard ones
    (Chatterjee and Zielinski, 2022). The difficulty must come from other models than those that are then compared, trained on
    other examples: see `farfield.measure.example_difficulty`.

    **Arguments:**
    - ``difficulty``: larger is harder; equal ones are ordered at random.
    - ``y``: class indices.
    - ``share``: of each class that is easy, and that is hard: above 0, at most 0.5; rounded down to an even number of examples, at
      least 2.
    - ``seed``: of the order of equals, and of the halves.

    Raises InputError on arrays that do not fit, a difficulty that is not finite, a share out of range, and a class that is too
    small.

    >>> split = easy_hard_split(torch.arange(8.0), torch.zeros(8, dtype=torch.long), share=0.25)
    >>> sorted([*split.easy_train.tolist(), *split.easy_test.tolist()]), sorted([*split.hard_train.tolist(), *split.hard_test.tolist()])
    ([0, 1], [6, 7])
    """
    classes = check_classes(y, None)
    hard = torch.as_tensor(difficulty).detach().cpu().double()
    if hard.shape != classes.shape:
        raise InputError(f"difficulty has shape {tuple(hard.shape)}; expected ({len(classes)},), one for each label")
    if not torch.isfinite(hard).all():
        raise InputError("difficulty holds a value that is not finite")
    if not 0 < share <= 0.5:
        raise InputError(f"share is {share}; it must be above 0, at most 0.5")
    rng = np.random.default_rng([seed, 0xEA])
    parts: list[list[Tensor]] = [[], [], [], []]
    for label in classes.unique().tolist():
        rows = (classes == label).nonzero().flatten()
        half = int(len(rows) * share) // 2
        if half < 1:
            raise InputError(
                f"class {label} has {len(rows)} examples; a share of {share} needs {int(np.ceil(2 / share))}"
            )
        rows = rows[torch.from_numpy(rng.permutation(len(rows)))]
        rows = rows[hard[rows].argsort(stable=True)]
        for kind, chosen in enumerate((rows[: 2 * half], rows[-2 * half :])):
            chosen = chosen[torch.from_numpy(rng.permutation(2 * half))]
            parts[2 * kind].append(chosen[:half])
            parts[2 * kind + 1].append(chosen[half:])
    return EasyHard(*(torch.cat(part) for part in parts))
