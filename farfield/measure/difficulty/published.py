"""The tasks that the paper measured, to compare one's own with."""

from typing import Any

from farfield.errors import unknown_name
from farfield.measure.difficulty.complexity import Difficulty, inductive_bias_complexity

# As the released code has measured them; error is the paper's choice for each.
PUBLISHED = {
    "MNIST": {"error": 0.001, "n": 60_000, "m": 14, "radius": 17.179, "n_discrete": 10, "delta": 2.39871},
    "SVHN": {"error": 0.01, "n": 73_257, "m": 19, "radius": 53.8693, "n_discrete": 10, "delta": 1.57670},
    "CIFAR-10": {"error": 0.01, "n": 50_000, "m": 27, "radius": 54.9157, "n_discrete": 10, "delta": 2.75064},
    "ImageNet": {"error": 0.1, "n": 1_280_901, "m": 48, "radius": 943.592, "n_discrete": 1000, "delta": 65.0},
}


def published_difficulty(name: str, **changed: Any) -> Difficulty:
    """Return the difficulty of a task from the numbers that the paper measured, some of them changed.

    **Arguments:** ``name``: "MNIST", "SVHN", "CIFAR-10" or "ImageNet"; ``changed``: arguments of `inductive_bias_complexity`. The
    output dimension is the number of classes - 1. Each has an error of its own, as in the paper (0.001 to 0.1).

    Raises InputError on an unknown name.

    Source: Boopathy et al., ICML 2023, and the released code.

    >>> f"{published_difficulty('ImageNet').bits:.3g}", f"{published_difficulty('ImageNet', n=1e19).bits:.3g}"
    ('3.58e+41', '3.46e+41')
    """
    if name not in PUBLISHED:
        raise unknown_name("published task", name, PUBLISHED)
    arguments = PUBLISHED[name] | changed
    return inductive_bias_complexity(**{"out_dim": arguments["n_discrete"] - 1} | arguments)
