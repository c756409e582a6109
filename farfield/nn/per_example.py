"""The gradient of each example of a batch, not only their mean."""

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from farfield.errors import InputError

ExampleLoss = Callable[[Tensor, Tensor], Tensor]


def per_example_gradients(
    model: nn.Module, loss_fn: ExampleLoss, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "n ..."]
) -> tuple[Float[Tensor, " n"], dict[str, Tensor]]:
    """Return the loss of each example, and by name of parameter its gradient of each example, (n, ...), the trainable ones only.

    They are computed by ``torch.func.vmap``. A model that vmap cannot take, such as one whose forward looks at the values of its
    input (the text models of transformers do), is passed one example at a time instead: the same numbers, slower.
    Memory is n times that of the trainable parameters. Gradients that the parameters hold are left alone.

    **Arguments:**
    - ``model``: in the mode that it is to run in. In training mode dropout draws a mask for each example, from the global state.
    - ``loss_fn``: ``loss_fn(model(x), y)`` -> (n,), a loss for each example (``reduction="none"``).
    - ``x`` (n, ...), ``y`` (n, ...): on the device of the model, n at least 1.

    Raises InputError on a loss of another shape, no trainable parameter, x and y of different lengths, and batch normalisation in
    training mode: it ties the examples of a batch together, so that none has a gradient of its own.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> losses, gradients = per_example_gradients(model, lambda out, y: (out[:, 0] - y), torch.tensor([[2.0], [3.0]]), torch.zeros(2))
    >>> gradients["weight"].flatten()
    tensor([2., 3.])
    """
    params = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    check_separable(model)
    if not params:
        raise InputError(f"{type(model).__name__} has no trainable parameter, so there is no gradient")
    if len(x) != len(y) or not len(x):
        raise InputError(f"x has {len(x)} rows and y has {len(y)}; they must be the same examples, at least one")

    def loss(params: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        value = one_loss_each(loss_fn, functional_call(model, params, (x[None],)), y[None])[0]
        return value, value

    each = grad(loss, has_aux=True)
    try:
        # Of the kernels of attention only the plain one has a rule for vmap.
        with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")
            gradients, losses = vmap(each, in_dims=(None, 0, 0), randomness="different")(params, x, y)
    except RuntimeError:
        # Either vmap cannot take the model, and this can; or the model is at fault, and this says how.
        found = [each(params, row, label) for row, label in zip(x, y)]
        gradients = {name: torch.stack([g[name] for g, _ in found]) for name in params}
        losses = torch.stack([value for _, value in found])
    return losses.detach(), {name: g.detach() for name, g in gradients.items()}


def one_loss_each(loss_fn: ExampleLoss, outputs: Tensor, y: Tensor) -> Tensor:
    """Return ``loss_fn(outputs, y)``. Raises InputError where that is not one loss for each example.

    >>> one_loss_each(nn.functional.cross_entropy, torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    Traceback (most recent call last):
    farfield.errors.InputError: loss_fn returned shape () for 2 examples; expected (2,), such as by reduction="none"
    """
    losses = loss_fn(outputs, y)
    if losses.shape != (len(y),):
        raise InputError(
            f"loss_fn returned shape {tuple(losses.shape)} for {len(y)} example{'s' * (len(y) != 1)}; "
            f'expected ({len(y)},), such as by reduction="none"'
        )
    return losses


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """Return the layers of batch normalisation of a model.

    >>> batch_norms(nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2)))
    [BatchNorm1d(2, ...)]
    """
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def check_separable(model: nn.Module) -> None:
    """Raise InputError where batch normalisation in training mode ties the examples of a batch together.

    >>> check_separable(nn.BatchNorm1d(2).eval())
    """
    if any(m.training or m.running_mean is None for m in batch_norms(model)):
        raise InputError(
            f"{type(model).__name__} has batch normalisation in training mode, where an example has no gradient of its own; "
            "put it in evaluation mode (model.eval()), or use GroupNorm"
        )
