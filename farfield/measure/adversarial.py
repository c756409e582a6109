"""How much a small step against the label costs a classifier."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.measure._feeding import batches, on_device
from farfield.nn.evaluating import evaluating

Clip = tuple[float, float] | None
Norm = Literal["l2", "linf"]


@dataclass(frozen=True)
class AdversarialDrop:
    """A classifier on a data set as it is (clean) and after an attack: accuracies from 0 to 1, mean losses in nats, n examples.

    >>> AdversarialDrop(clean=0.75, attacked=0.25, clean_loss=0.6, attacked_loss=2.0, n=100).penalty
    0.5
    """

    clean: float
    attacked: float
    clean_loss: float
    attacked_loss: float
    n: int

    @property
    def penalty(self) -> float:
        """Accuracy that the attack costs: clean minus attacked."""
        return self.clean - self.attacked


def fgsm(
    model: nn.Module, x: Float[Tensor, "n ..."], y: Int[Tensor, "n"], eps: float, clip: Clip = (0.0, 1.0)
) -> Float[Tensor, "n ..."]:
    """Return inputs moved by the fast gradient sign method: ``clip(x + eps * sign(grad_x CE(model(x), y)))``.

    The model is asked in evaluation mode; its parameters' gradients are left as they were.

    **Arguments:**
    - ``x``, ``y``: inputs of real numbers and class indices, on the model's device.
    - ``eps``: largest change of an input, at least 0, in the units of x: 2 of 255 grey levels are 2 / 255 on [0, 1].
    - ``clip``: the range of valid inputs, None for no range. Inputs outside of it are refused.

    Raises InputError on inputs that are no real numbers or lie outside ``clip``, on another number of labels, or ``eps`` below 0.

    Source: Goodfellow et al., ICLR 2015, equation 3; Konz & Mazurowski, ICLR 2024, section 4.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0], [-1.0]]))  # class 0 to the right
    >>> fgsm(model, torch.tensor([[0.25], [0.5]]), torch.tensor([0, 1]), eps=0.125).tolist()
    [[0.125], [0.625]]
    """
    check_attack(x, y, eps, clip)
    moved = x.detach().clone().requires_grad_()
    with evaluating(model), torch.enable_grad():
        # The sum: the gradient at one example does not depend on how many come with it.
        loss = cross_entropy(model(moved), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
    attacked = x.detach() + eps * gradient.sign()
    return attacked if clip is None else attacked.clamp_(*clip)


def pgd(
    model: nn.Module,
    x: Float[Tensor, "n ..."],
    y: Int[Tensor, "n"],
    eps: float,
    step: float,
    iters: int,
    *,
    norm: Norm = "l2",
    clip: Clip = None,
    batch_size: int = 1024,
) -> Float[Tensor, "n ..."]:
    """Return inputs moved against their labels by projected gradient descent: steepest steps within a ball around each.

    From the input itself, ``iters`` steps of length ``step`` in the norm that raise the loss most (L2: the gradient brought to
    length 1 for each example; Linf: its sign), each followed by the projection to the ball of radius ``eps`` and the cut to
    ``clip``. The model is asked in evaluation mode; its parameters' gradients are left as they were. It is deterministic: there
    is no random start. An input at which the gradient is 0 stays.

    **Arguments:**
    - ``x``, ``y``: inputs of real numbers and class indices, on the model's device.
    - ``eps``: radius, at least 0; ``step``: above 0, both in the units of x; ``iters``: at least 1.
    - ``clip``: the range of valid inputs, None for no range. Inputs outside of it are refused.
    - ``batch_size``: inputs that are moved at once; it changes no result.

    Raises InputError as `fgsm` does, and on a step, number of iterations, batch_size or norm out of range.

    Source: Madry et al., ICLR 2018, section 2.1; Shah et al., NeurIPS 2020, section 4 and its released code, which starts from a
    random point at a distance of 1e-3.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[-3.0, -4.0], [0.0, 0.0]]))  # class 1 along (3, 4)
    >>> pgd(model, torch.zeros(1, 2), torch.tensor([1]), eps=1.0, step=0.5, iters=4)
    tensor([[-0.6000, -0.8000]])
    """
    check_attack(x, y, eps, clip, step=step, iters=iters, norm=norm)
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; it must be at least 1")
    start = x.detach()
    moved = start.clone()
    with evaluating(model):
        for at in torch.arange(len(x), device=x.device).split(batch_size):
            here = start[at]
            for _ in range(iters):
                inputs = moved[at].requires_grad_()
                with torch.enable_grad():
                    (gradient,) = torch.autograd.grad(margin(model(inputs), y[at]).sum(), inputs)
                delta = projected(inputs.detach() + step * steepest(gradient, norm) - here, eps, norm)
                moved[at] = here + delta if clip is None else (here + delta).clamp_(*clip)
    return moved


def margin(logits: Float[Tensor, "n classes"], y: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return the log odds of the other classes together against the right one, of which cross-entropy is the softplus.

    Its gradient has the direction of the loss's, for each example, and does not vanish where the model is sure.

    >>> margin(torch.tensor([[0.0, 2.0]]), torch.tensor([1])).tolist()
    [-2.0]
    """
    own = logits.gather(1, y[:, None])
    return logits.scatter(1, y[:, None], -torch.inf).logsumexp(1) - own[:, 0]


def steepest(gradient: Float[Tensor, "n ..."], norm: Norm) -> Float[Tensor, "n ..."]:
    """Return for each example the step of length 1 in the norm that goes up most; none where the gradient is 0.

    >>> steepest(torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]), "l2")
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    if norm == "linf":
        return gradient.sign()
    flat = gradient.flatten(1)
    # Brought to a largest entry of 1 first: squares of tiny ones would vanish.
    largest = flat.abs().amax(1, keepdim=True)
    flat = flat / torch.where(largest > 0, largest, 1.0)
    length = flat.norm(dim=1, keepdim=True)
    return (flat / torch.where(length > 0, length, 1.0)).reshape(gradient.shape)


def projected(delta: Float[Tensor, "n ..."], eps: float, norm: Norm) -> Float[Tensor, "n ..."]:
    """Return perturbations brought into the ball of radius ``eps``, each at its nearest point.

    >>> projected(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 1.0, "l2")
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if norm == "linf":
        return delta.clamp(-eps, eps)
    length = delta.flatten(1).norm(dim=1).reshape(-1, *[1] * (delta.ndim - 1))
    return delta * torch.where(length > eps, eps / length, 1.0)


def adversarial_drop(
    model: nn.Module, loader: Any, eps: float, clip: Clip = (0.0, 1.0), *, batch_size: int = 256
) -> AdversarialDrop:
    """Return accuracy and loss of a classifier before and after `fgsm`.

    **Arguments:**
    - ``loader``: a split with columns ``x`` and ``y``, read ``batch_size`` rows at a time; or an iterable of batches, each a
      mapping with ``x`` and ``y``, or a pair (x, y).
    - ``eps``, ``clip``: see `fgsm`.

    Raises InputError as `fgsm` does, and where there is no example.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0], [-1.0]]))
    >>> found = adversarial_drop(model, [(torch.tensor([[0.1], [0.9]]), torch.tensor([0, 0]))], eps=0.2, clip=None)
    >>> found.clean, found.attacked, found.penalty
    (1.0, 0.5, 0.5)
    """
    device = next(model.parameters()).device
    sums = torch.zeros(4, dtype=torch.float64)
    n = 0
    read: Iterable[Any] = batches(loader, batch_size)[0]
    for batch in read:
        x, y = _pair(on_device(batch, device))
        attacked = fgsm(model, x, y, eps, clip)
        with evaluating(model), torch.no_grad():
            for i, inputs in enumerate((x, attacked)):
                logits = model(inputs).double()
                sums[i] += float((logits.argmax(1) == y).sum())
                sums[2 + i] += float(cross_entropy(logits, y, reduction="sum"))
        n += len(y)
    if not n:
        raise InputError("loader has no example to attack")
    return AdversarialDrop(*(sums / n).tolist(), n)


def _pair(batch: Any) -> tuple[Tensor, Tensor]:
    if isinstance(batch, Mapping) and {"x", "y"} <= set(batch):
        return batch["x"], batch["y"]
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return batch[0], batch[1]
    what = f"the columns {', '.join(map(str, batch))}" if isinstance(batch, Mapping) else f"a {type(batch).__name__}"
    raise InputError(f"a batch of loader is {what}; expected columns x and y, or a pair (x, y)")


def check_attack(
    x: Tensor, y: Tensor, eps: float, clip: Clip, *, step: float = 1.0, iters: int = 1, norm: str = "linf"
) -> None:
    """Raise InputError where an attack's inputs, labels or settings do not fit; see `fgsm` and `pgd`.

    >>> check_attack(torch.zeros(1, 1), torch.tensor([0]), 0.1, (0, 1), norm="l3")
    Traceback (most recent call last):
    farfield.errors.InputError: norm is 'l3'; it must be 'l2' or 'linf'
    """
    if norm not in ("l2", "linf"):
        raise InputError(f"norm is {norm!r}; it must be 'l2' or 'linf'")
    if not (step > 0 and math.isfinite(step)) or iters < 1:
        raise InputError(f"step is {step} and iters {iters}; expected a step above 0 and at least one iteration")
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise InputError(f"x is {getattr(x, 'dtype', type(x).__name__)}; expected a tensor of real numbers")
    if len(y) != len(x):
        raise InputError(f"x has {len(x)} examples but y has {len(y)}")
    if not (eps >= 0 and math.isfinite(eps)):
        raise InputError(f"eps is {eps}; it must be at least 0 and finite")
    if clip is None or not len(x):
        return
    low, high = clip
    if not low < high:
        raise InputError(f"clip is {clip}; expected (lowest, highest)")
    if float(x.min()) < low or float(x.max()) > high:
        raise InputError(
            f"x goes from {float(x.min()):g} to {float(x.max()):g}, outside clip {clip}; give the range of your inputs, or None"
        )
