"""How much a small step against the label costs a classifier."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.measure._feeding import batches, on_device
from farfield.nn.evaluating import evaluating

Clip = tuple[float, float] | None


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
    _check(x, y, eps, clip)
    moved = x.detach().clone().requires_grad_()
    with evaluating(model), torch.enable_grad():
        # The sum: the gradient at one example does not depend on how many come with it.
        loss = cross_entropy(model(moved), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
    attacked = x.detach() + eps * gradient.sign()
    return attacked if clip is None else attacked.clamp_(*clip)


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


def _check(x: Tensor, y: Tensor, eps: float, clip: Clip) -> None:
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
