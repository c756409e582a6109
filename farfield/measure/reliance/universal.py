"""Where adversarial perturbations go, and one perturbation for all inputs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor
from farfield.measure.adversarial import Clip, Norm, check_attack, margin, projected, steepest
from farfield.measure.reliance._features import Coordinates, checked_rotation, group_places
from farfield.nn.evaluating import evaluating


@dataclass(frozen=True)
class UniversalPerturbation:
    """One perturbation for all inputs: ``delta`` (...) of an input's shape, and the accuracy of the model with it, from 0 to 1.

    Where ``signed``, it is added to inputs of class 1 and subtracted from those of class 0.

    >>> UniversalPerturbation(torch.ones(2), accuracy=0.5, signed=True).add(torch.zeros(2, 2), torch.tensor([0, 1])).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    delta: Tensor
    accuracy: float
    signed: bool

    def add(self, x: Tensor, y: Tensor, clip: Clip = None) -> Tensor:
        """Return inputs (n, ...) of these classes with the perturbation, cut to the range ``clip``."""
        moved = x + _signs(y, x.ndim, self.signed).to(x) * self.delta.to(x)
        return moved if clip is None else moved.clamp(*clip)


def perturbation_budget(
    delta: Float[Array, "n ..."],
    groups: Mapping[str, Coordinates],
    *,
    rotation: Float[Array, "d d"] | None = None,
) -> dict[str, float]:
    """Return group -> the part of perturbations that lies in it: the mean over rows of ``|delta_group| / |delta|``, from 0 to 1.

    Parts are lengths, so their squares add up to 1, not they. Rows without a perturbation are left out.

    **Arguments:** ``delta``: (n, ...); ``groups``, ``rotation``: as in `farfield.measure.randomized_auc`.

    Raises InputError where all of delta is 0, and as `farfield.measure.randomized_auc` does on groups and rotation.

    Source: Shah et al., NeurIPS 2020, section 4 and its released code.

    >>> found = perturbation_budget(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), {"first": [0], "both": [0, 1]})
    >>> {name: round(part, 6) for name, part in found.items()}
    {'first': 0.6, 'both': 1.0}
    """
    values = tensor(delta, "delta", dims=None)
    if values.ndim < 2:
        raise InputError(f"delta has shape {tuple(values.shape)}; expected (n, ...), a perturbation for each row")
    where = group_places(values, groups)
    flat = values.reshape(len(values), -1)
    w = checked_rotation(rotation, flat.shape[1])
    # Brought to a largest entry of 1: squares of tiny ones would vanish.
    largest = flat.abs().amax(1)
    flat = flat[largest > 0] / largest[largest > 0, None]
    if not len(flat):
        raise InputError("delta is 0 everywhere; there is no perturbation to divide")
    flat = flat if w is None else flat @ w.to(flat).T
    whole = flat.norm(dim=1)
    return {name: float((flat[:, at].norm(dim=1) / whole).mean()) for name, at in where.items()}


def svd_uap(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, "n"],
    delta: Float[Tensor, "n ..."],
    eps: float,
    *,
    clip: Clip = None,
    signed: bool = True,
) -> UniversalPerturbation:
    """Return the direction that perturbations of single inputs share, as one perturbation of L2 norm ``eps`` for all of them.

    It is the first right singular vector of the stacked perturbations; of its two signs, the one with the lower accuracy.

    **Arguments:**
    - ``x``, ``y``: inputs and class indices, on the model's device; ``delta``: their perturbations, such as ``pgd(...) - x``.
    - ``eps``: L2 norm, at least 0; ``clip``: the range of valid inputs, None for no range.
    - ``signed``: add it to class 1 and subtract it from class 0, as the released code does where there are two classes: it is then
      universal within a class only. A perturbation that is the same for both can fool but one of two classes that a line
      divides.

    Raises InputError on shapes that do not match, ``eps`` below 0, inputs outside ``clip``, delta of zeros, or ``signed`` with labels
    other than 0 and 1.

    Source: Deshpande et al., arXiv 2005.08632; Shah et al., NeurIPS 2020, section 4.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))  # class 1 to the right
    >>> x, y = torch.tensor([[1.0, 5.0], [-1.0, 3.0]]), torch.tensor([1, 0])
    >>> found = svd_uap(model, x, y, torch.tensor([[-2.0, 0.0], [2.0, 0.0]]), eps=1.5)
    >>> found.delta[0].item(), found.accuracy
    (-1.5, 0.0)
    """
    check_attack(x, y, eps, clip)
    if delta.shape != x.shape:
        raise InputError(f"delta has shape {tuple(delta.shape)} and x {tuple(x.shape)}; they must be the same")
    _check_signed(y, signed)
    flat = tensor(delta, "delta", dims=None).reshape(len(x), -1)
    if not flat.any():
        raise InputError("delta is 0 everywhere; perturbations of single inputs are needed")
    direction = _first_right_singular_vector(flat).to(x).reshape(x.shape[1:])
    found = [_judged(model, x, y, sign * eps * direction, clip, signed) for sign in (1, -1)]
    return min(found, key=lambda u: u.accuracy)


def ascent_uap(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, "n"],
    eps: float,
    step: float,
    iters: int,
    *,
    norm: Norm = "l2",
    clip: Clip = None,
    signed: bool = True,
) -> UniversalPerturbation:
    """Return one perturbation for all inputs, found by gradient ascent on their mean loss, projected to the ball after each step.

    It starts at 0; each step is the steepest one of length ``step`` in the norm, on all inputs.

    **Arguments:** ``eps``: radius of the ball, at least 0; ``step``: above 0; ``iters``: at least 1; ``norm``: "l2" or "linf"; the others as in
    `svd_uap`.

    Raises InputError as `svd_uap` does, and on a step, number of iterations or norm out of range.

    Source: Shafahi et al., arXiv 1811.11304, algorithm 2, in its unclipped form; Shah et al., NeurIPS 2020, section 4.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))  # class 1 to the right
    >>> x, y = torch.tensor([[1.0, 5.0], [-1.0, 3.0]]), torch.tensor([1, 0])
    >>> ascent_uap(model, x, y, eps=1.5, step=0.5, iters=5).delta.tolist()
    [-1.5, 0.0]
    """
    check_attack(x, y, eps, clip, step=step, iters=iters, norm=norm)
    _check_signed(y, signed)
    delta = torch.zeros_like(x[:1])
    signs = _signs(y, x.ndim, signed).to(x)
    with evaluating(model):
        for _ in range(iters):
            delta.requires_grad_()
            moved = x + signs * delta
            with torch.enable_grad():
                # The loss, not the margin: in a mean, examples that are fooled long since must not count as much.
                loss = nn.functional.softplus(margin(model(moved if clip is None else moved.clamp(*clip)), y)).mean()
                (gradient,) = torch.autograd.grad(loss, delta)
            delta = projected(delta.detach() + step * steepest(gradient, norm), eps, norm)
    return _judged(model, x, y, delta[0], clip, signed)


def _first_right_singular_vector(rows: Tensor) -> Tensor:
    """Return (d,), from the smaller of the two Gram matrices, so that neither many rows nor large images cost much."""
    n, d = rows.shape
    if d <= n:
        return torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -1]
    vector = torch.linalg.eigh(rows @ rows.T).eigenvectors[:, -1] @ rows
    return vector / vector.norm()


def _judged(model: nn.Module, x: Tensor, y: Tensor, delta: Tensor, clip: Clip, signed: bool) -> UniversalPerturbation:
    found = UniversalPerturbation(delta, 0.0, signed)
    with evaluating(model), torch.no_grad():
        right = torch.cat(
            [model(found.add(x[i], y[i], clip)).argmax(1) == y[i] for i in torch.arange(len(x)).split(1024)]
        )
    return UniversalPerturbation(delta, float(right.float().mean()), signed)


def _signs(y: Tensor, ndim: int, signed: bool) -> Tensor:
    signs = 2 * y - 1 if signed else torch.ones_like(y)
    return signs.reshape(-1, *[1] * (ndim - 1))


def _check_signed(y: Tensor, signed: bool) -> None:
    if signed and not set(y.unique().tolist()) <= {0, 1}:
        raise InputError(f"signed is for labels 0 and 1; y has {y.unique().tolist()[:5]}: give signed=False")
