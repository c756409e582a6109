"""Whether two classes have a subspace of a frozen representation in which they are alike and different from all others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor

SHARPNESS = 10.0  # of the logistic loss at first, in units of cosine


@dataclass(frozen=True)
class Separability:
    """How well pairs of classes are told from all other classes: balanced accuracy (0 to 1, chance 1/2) on held-out rows.

    **Fields:** means over pairs, ``gated``: with a learned gate, ``ungated``: with all features, ``random``: with a
    random half of them; ``by_pair`` (pairs, 3): these three for each; ``gates`` (pairs, d): the learned gates, in
    (0, 1).

    >>> Separability(0.9, 0.6, 0.6, np.array([[0.9, 0.6, 0.6]]), np.ones((1, 2))).gated
    0.9
    """

    gated: float
    ungated: float
    random: float
    by_pair: np.ndarray
    gates: np.ndarray


def subspace_separability(
    z: Float[Array, "n d"],
    y: Int[Array, " n"],
    pair: Sequence[int] | Int[Array, "pairs 2"],
    *,
    test: tuple[Float[Array, "m d"], Int[Array, " m"]] | None = None,
    held_out: float = 0.3,
    steps: int = 200,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> Separability:
    """Learn a gate for a pair of classes on frozen features, and tell the two together from all other classes with it.

    A row's score is its mean cosine similarity to the rows of the two classes, after both were multiplied by the
    gate. The gate ``sigmoid(w)`` is trained, from 1/2 everywhere, by a logistic loss in which both sides weigh the
    same (Adam, all rows at once); a training row is not compared with itself. Computed in the precision of ``z``. The
    score's threshold is the best on the training rows, for gated and ungated alike.

    **Arguments:**
    - ``y``: class indices; each class of a pair needs two rows to learn from, and one held out.
    - ``pair``: two different classes, or an array of pairs, which are learned side by side.
    - ``test``: held-out rows and their classes. Where not given, a share ``held_out`` of each class's rows, at least
      one, is drawn from ``seed``.
    - ``steps``, ``learning_rate``: of Adam; ``seed``: also of the random halves.

    Raises InputError where rows or widths do not match, a pair is not two classes of ``y`` with enough rows, there is
    no other class, or a number is out of range.

    Source: Wu et al., "Rethinking Positive Pairs in Contrastive Learning", 2024: the finding that motivates it; this
    form of the test is ours.

    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 4
    >>> z = np.eye(4)[y] + np.where(y < 2, 3, 0)[:, None] * np.eye(5)[4, :4] + 0.1 * rng.normal(size=(120, 4))
    >>> subspace_separability(z, y, (0, 1)).gated > 0.9
    True
    """
    rows, labels = tensor(z, "z", rows=4, dtype=None), _whole(y, "y")
    same_rows(z=rows, y=labels)
    labels = labels.to(rows.device)
    if steps < 1 or not learning_rate > 0 or not 0 < held_out < 1:
        raise InputError(
            f"steps is {steps}, learning_rate {learning_rate}, held_out {held_out}; expected at least 1, above 0, and between 0 and 1"
        )
    pairs = _pairs(pair).to(rows.device)
    if test is None:
        out = _drawn(labels, held_out, seed)
        fit, y_fit, query, y_query = rows[~out], labels[~out], rows[out], labels[out]
    else:
        fit, y_fit = rows, labels
        query, y_query = (
            tensor(test[0], "test", dtype=rows.dtype).to(rows.device),
            _whole(test[1], "the labels of test").to(rows.device),
        )
        same_rows(test=query, **{"its labels": y_query})
        if query.shape[1] != rows.shape[1]:
            raise InputError(f"z has {rows.shape[1]} columns but test has {query.shape[1]}; they must be the same")
    member, member_query = (((t[:, None] == pairs[:, 0]) | (t[:, None] == pairs[:, 1])) for t in (y_fit, y_query))
    _check_members(pairs, y_fit, y_query, member, member_query)
    generator = torch.Generator().manual_seed(seed)
    n, d = len(pairs), rows.shape[1]
    # Half of the features, at least one.
    half = torch.rand(n, d, generator=generator).argsort(1).argsort(1) < max(1, d // 2)
    ones = torch.ones(n, d, dtype=rows.dtype, device=rows.device)
    learned = _learned(fit, member, steps, learning_rate)
    accuracy = [
        _accuracy(fit, member, query, member_query, gates) for gates in (learned, ones, half.to(ones))
    ]  # (3, pairs)
    by_pair = torch.stack(accuracy, 1).cpu().numpy()
    return Separability(*(float(v) for v in by_pair.mean(0)), by_pair, learned.cpu().numpy())


def gate_overlap(g1: Float[Array, "n d"], g2: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Return how much of two gates is common, row by row: ``sum min(g1, g2) / sum max(g1, g2)``, from 0 to 1.

    1 where the gates are equal (also where both are 0 everywhere), 0 where no feature passes both. For gates of 0 and
    1 it is Jaccard's index of the two sets of features.

    **Arguments:** ``g1``, ``g2``: gates, 0 or more; as many rows and columns in both.

    Raises InputError on shapes that do not match, and on a gate below 0.

    >>> gate_overlap(np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 1.0]])).round(3)
    array([0.333])
    """
    a, b = tensor(g1, "g1"), tensor(g2, "g2")
    b = b.to(a.device)
    if a.shape != b.shape:
        raise InputError(f"g1 has shape {tuple(a.shape)} but g2 {tuple(b.shape)}; they must be equal")
    for name, gate in (("g1", a), ("g2", b)):
        if gate.min() < 0:
            raise InputError(f"{name} holds {float(gate.min()):g}; gates are 0 or more")
    common, either = torch.minimum(a, b).sum(1), torch.maximum(a, b).sum(1)
    return like(torch.where(either > 0, common / either.clamp_min(torch.finfo(a.dtype).tiny), 1.0), g1)


def _scorer(fit: Tensor, member: Tensor, gates: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """Return rows -> mean cosine similarity (rows, pairs) to each pair's rows in its subspace, and it for the rows of ``fit``.

    Only (rows, pairs) and (pairs, d) arrays are made.
    """
    squared, count = gates.square(), member.sum(0)

    def lengths(x: Tensor) -> Tensor:
        return (x.square() @ squared.T).clamp_min(1e-24).sqrt()

    mean = (member / (lengths(fit) * count)).T @ fit  # (pairs, d): of the pair's rows at length 1

    def score(x: Tensor) -> Tensor:
        return x @ (squared * mean).T / lengths(x)

    scores = score(fit)
    # A pair's row is at similarity 1 to itself: without it. A row of zeros is like nothing, itself included.
    itself = member * (fit.square() @ squared.T > 1e-24)
    return score, torch.where(member, (scores * count - itself.to(scores)) / (count - 1), scores)


def _learned(fit: Tensor, member: Tensor, steps: int, learning_rate: float) -> Tensor:
    with torch.enable_grad():
        shape = (member.shape[1], fit.shape[1])
        w = torch.zeros(shape, dtype=fit.dtype, device=fit.device, requires_grad=True)
        sharpness = torch.full(shape[:1], SHARPNESS, dtype=fit.dtype, device=fit.device).log_().requires_grad_()
        with torch.no_grad():
            _, scores = _scorer(fit, member, w.sigmoid())
            inside, outside = (_mean(scores, m) for m in (member, ~member))
        threshold = ((inside + outside) / 2).requires_grad_()
        optimizer = torch.optim.Adam([w, sharpness, threshold], lr=learning_rate)
        sign = torch.where(member, 1.0, -1.0).to(fit.dtype)
        # Both sides weigh a half.
        weight = torch.where(member, 0.5 / member.sum(0), 0.5 / (~member).sum(0))
        for _ in range(steps):
            optimizer.zero_grad()
            scores = _scorer(fit, member, w.sigmoid())[1]
            margins = sign * sharpness.exp() * (scores - threshold)
            # The pairs do not touch each other: the sum trains each as if alone.
            (weight * torch.nn.functional.softplus(-margins)).sum().backward()
            optimizer.step()
        return w.detach().sigmoid()


def _accuracy(fit: Tensor, member: Tensor, query: Tensor, member_query: Tensor, gates: Tensor) -> Tensor:
    """Return the balanced accuracy (pairs,) of query rows at the threshold that is best for the rows of ``fit``."""
    score, fit_scores = _scorer(fit, member, gates)
    ordered, at = fit_scores.sort(0, descending=True)
    inside = member.gather(0, at)
    balanced = inside.cumsum(0) / inside.sum(0) - (~inside).cumsum(0) / (~inside).sum(0)
    # Between equal scores there is no threshold.
    tied = torch.zeros_like(inside)
    tied[:-1] = ordered[:-1] == ordered[1:]
    best = balanced.masked_fill(tied, -torch.inf).argmax(0, keepdim=True)
    after = (best + 1).clamp_max(len(ordered) - 1)
    threshold = (ordered.gather(0, best) + ordered.gather(0, after)) / 2
    said = score(query) > threshold
    return (_mean(said.to(fit), member_query) + _mean((~said).to(fit), ~member_query)) / 2


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum(0) / where.sum(0)


def _whole(y: Array, name: str) -> Tensor:
    labels = tensor(y, name, dims=1)
    if (labels != labels.round()).any():
        raise InputError(f"{name} holds fractions; expected class indices")
    return labels.long()


def _pairs(pair: Sequence[int] | Array) -> Tensor:
    found = torch.atleast_2d(torch.as_tensor(np.asarray(pair.cpu() if isinstance(pair, Tensor) else pair)))
    if found.ndim != 2 or found.shape[1] != 2 or not len(found) or found.dtype.is_floating_point:
        raise InputError(
            f"pair has shape {tuple(found.shape)} of {found.dtype}; expected two classes, or whole numbers (pairs, 2)"
        )
    same = found[:, 0] == found[:, 1]
    if same.any():
        raise InputError(
            f"pair {int(same.int().argmax())} is the class {int(found[same][0, 0])} twice; expected two different ones"
        )
    return found.long()


def _drawn(labels: Tensor, share: float, seed: int) -> Tensor:
    """Return (n,) bool, the held-out rows: a share of each class, at least one row."""
    order = torch.rand(len(labels), generator=torch.Generator().manual_seed(seed)).argsort().to(labels.device)
    by_class = order[labels[order].argsort(stable=True)]
    _, inverse, counts = labels[by_class].unique(return_inverse=True, return_counts=True)
    rank = torch.arange(len(labels), device=labels.device) - (counts.cumsum(0) - counts)[inverse]
    out = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    out[by_class] = rank < (counts * share).round().clamp_min(1)[inverse]
    return out


def _check_members(pairs: Tensor, y_fit: Tensor, y_query: Tensor, member: Tensor, member_query: Tensor) -> None:
    for c in pairs.unique().tolist():
        have = int((y_fit == c).sum()), int((y_query == c).sum())
        if have[0] < 2 or have[1] < 1:
            raise InputError(
                f"the class {c} has {have[0]} rows to learn from and {have[1]} held out; expected 2 and 1 at least"
            )
    for name, inside in (("to learn from", member), ("held out", member_query)):
        if inside.all(0).any():
            raise InputError(f"a pair has no row of another class {name}; there is nothing to tell it from")
