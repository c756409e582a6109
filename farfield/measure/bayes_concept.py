"""Which things belong to a concept, given a few examples of it: Bayes' rule over hypotheses that are sets of things."""

from itertools import combinations
from math import comb
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.measure._arrays import Array, like, tensor
from farfield.measure.representativeness import concept_numbers

SAMPLING = ("strong", "weak")
MODES = ("map", "average")


def bayes_concept(
    hypotheses: Bool[Array, "n h"],
    examples: Array,
    prior: Float[Array, " h"] | None = None,
    sampling: Literal["strong", "weak"] = "strong",
    mode: Literal["map", "average"] = "average",
) -> Float[Array, " n"]:
    """Return for each thing of a world how likely it belongs to the concept that some examples show, 0 to 1.

    A hypothesis is a set of things, a column. One that lacks an example is impossible. "strong" sampling: examples are drawn from
    the concept, so a small set is more likely, ``|h|^-m`` for m examples (the size principle); "weak": all sets that hold the
    examples are alike. "average": the posterior mean over all hypotheses; "map": 0 or 1, membership in the most probable one (the
    first of equals), which is generalization by a rule.

    **Arguments:**
    - ``hypotheses``: (n, h) bool, or 0 and 1: thing i is in hypothesis j. The size of a hypothesis is its number of things here.
    - ``examples``: row numbers, at least one; the same one may come twice.
    - ``prior``: (h,) at least 0, in any scale; uniform where it is not given.

    Raises InputError on other numbers, and where no hypothesis with a prior above 0 holds all examples; one that holds everything
    prevents that.

    Source: Tenenbaum, NIPS 1999, as used by Shi et al., ICML 2023.

    >>> import numpy as np
    >>> world = np.zeros((100, 2), dtype=bool)
    >>> world[:10, 0] = world[:, 1] = True  # sets of 10 and of 100
    >>> scores = bayes_concept(world, [0, 1, 2])
    >>> round(float(scores[50]), 6)  # the odds of the small one are 1000 : 1
    0.000999
    """
    sets = _sets(hypotheses, "hypotheses")
    n, count = sets.shape
    rows = concept_numbers(examples, n, name="examples").to(sets.device)
    weights = torch.ones(count, dtype=torch.float64) if prior is None else tensor(prior, "prior", dims=1)
    if len(weights) != count or float(weights.min()) < 0:
        raise InputError(
            f"prior has {len(weights)} numbers from {weights.min():g}; expected {count}, one per hypothesis, of at least 0"
        )
    if sampling not in SAMPLING:
        raise unknown_name("sampling", sampling, SAMPLING)
    if mode not in MODES:
        raise unknown_name("mode", mode, MODES)
    log = weights.to(sets.device).log()
    if sampling == "strong":
        log = log - len(rows) * sets.sum(0).double().log()
    log = torch.where(sets[rows].all(0), log, -torch.inf)
    if not torch.isfinite(log).any():
        raise InputError("examples lie together in no hypothesis with a prior above 0; add one that holds everything")
    if mode == "map":
        return like(sets[:, log.argmax()].double(), hypotheses)
    return like((sets.double() @ torch.softmax(log, 0)).clamp(max=1), hypotheses)


def conjunctions(
    attributes: Bool[Array, "n d"], size: int = 2, *, prior: Float[Array, " d"] | None = None
) -> tuple[Bool[Array, "n h"], Float[Array, " h"], tuple[tuple[int, ...], ...]]:
    """Return all conjunctions of up to ``size`` attributes as hypotheses, their prior, and which attributes each is made of.

    **Arguments:** ``attributes``: (n, d) bool; ``size``: 1 to d; ``prior``: (d,) of each attribute, uniform where not given. That of a
    conjunction is the product, all normalised to sum to 1: longer rules are less likely.

    Raises InputError on other numbers, and on more than a million conjunctions.

    >>> import numpy as np
    >>> sets, prior, members = conjunctions(np.array([[True, True], [True, False]]), prior=np.array([0.6, 0.4]))
    >>> sets.tolist(), prior.round(3).tolist(), members
    ([[True, True, True], [True, False, False]], [0.484, 0.323, 0.194], ((0,), (1,), (0, 1)))
    """
    x = _sets(attributes, "attributes")
    d = x.shape[1]
    if not 1 <= size <= d:
        raise InputError(f"size is {size}; it must be from 1 to the number of attributes, {d}")
    if sum(comb(d, k) for k in range(1, size + 1)) > 1_000_000:
        raise InputError(f"{d} attributes have more than a million conjunctions of up to {size}; take fewer attributes")
    weights = torch.full((d,), 1 / d, dtype=torch.float64) if prior is None else tensor(prior, "prior", dims=1)
    if len(weights) != d or float(weights.min()) < 0 or not float(weights.sum()) > 0:
        raise InputError(
            f"prior has {len(weights)} numbers from {weights.min():g}; expected {d} of at least 0, not all 0"
        )
    weights = (weights / weights.sum()).to(x.device)
    members = tuple(m for k in range(1, size + 1) for m in combinations(range(d), k))
    # Shorter ones are filled up with their own first attribute, which changes no conjunction.
    filled = torch.tensor([m + (m[0],) * (size - len(m)) for m in members], device=x.device)
    sets = x[:, filled[:, 0]]
    for place in range(1, size):
        sets = sets & x[:, filled[:, place]]
    chance = torch.stack([weights[list(m)].prod() for m in members])
    return like(sets, attributes), like(chance / chance.sum(), attributes), members


def _sets(values: Array, name: str) -> Tensor:
    found = tensor(values, name)
    if not ((found == 0) | (found == 1)).all():
        raise InputError(
            f"{name} has values from {found.min():g} to {found.max():g}; expected true and false, or 0 and 1"
        )
    return found.bool()
