"""The features behind the logits, from any classifier."""

import inspect

from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError


def features_and_logits(model: nn.Module, x: Tensor) -> tuple[Float[Tensor, "n ... d"], Float[Tensor, "n ... classes"]]:
    """Return the features that the last layer reads, and the logits ``model(x)``, in one forward pass.

    A model with a method ``features`` and a ``head`` (such as `Classifier`) is asked for both. Of any other, the input of
    the last ``nn.Linear`` that ran is taken. Gradients flow through both.

    Raises InputError where no linear layer ran, or its input is not one vector per example.

    >>> import torch
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> features, logits = features_and_logits(model, torch.zeros(2, 1, 2, 2))
    >>> features.shape, logits.shape
    (torch.Size([2, 8]), torch.Size([2, 3]))
    """
    # A submodule called features (as in many vision models) says nothing about what lies between it and a head.
    if inspect.ismethod(getattr(model, "features", None)) and isinstance(getattr(model, "head", None), nn.Module):
        features = model.features(x)
        return features, model.head(features)

    ran: list[Tensor] = []

    def remember(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        ran[:] = inputs[:1]

    hooks = [m.register_forward_pre_hook(remember) for m in model.modules() if isinstance(m, nn.Linear)]
    try:
        logits = model(x)
    finally:
        for hook in hooks:
            hook.remove()
    what = f"the features of {type(model).__name__} cannot be found:"
    wanted = "give it a method features(x) and a module head with forward(x) = head(features(x))"
    if not ran:
        raise InputError(f"{what} no nn.Linear ran; {wanted}")
    if ran[0].ndim != 2 or len(ran[0]) != len(logits):
        raise InputError(
            f"{what} its last nn.Linear reads {tuple(ran[0].shape)}, not one vector for each of {len(logits)} examples; {wanted}"
        )
    return ran[0], logits
