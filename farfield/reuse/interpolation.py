"""Between a pretrained and a fine-tuned model: their weights interpolated, or their predictions averaged."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from farfield.errors import InputError
from farfield.reuse.logit_ensemble import LogitEnsemble


def wise_ft(theta_0: Mapping[str, Tensor], theta_1: Mapping[str, Tensor], alpha: float = 0.5) -> dict[str, Tensor]:
    """Return the weights ``(1 - alpha) theta_0 + alpha theta_1``: 0 is the pretrained model, 1 the fine-tuned one.

    Floating-point buffers, such as running statistics, are interpolated too; whole numbers, such as
    their counters, are those of theta_1. A head that pretraining lacks must be trained on the
    frozen features first, so that theta_0 is a model of the task (`lp_ft` does that).

    **Arguments:** state dicts of one architecture; ``alpha``: in [0, 1].

    Raises InputError on other names or shapes, and on an alpha outside [0, 1].

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.

    >>> import torch
    >>> wise_ft({"w": torch.tensor([0.0])}, {"w": torch.tensor([2.0])}, 0.25)
    {'w': tensor([0.5000])}
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}; it must be from 0 to 1")
    if theta_0.keys() != theta_1.keys():
        raise InputError(
            f"theta_0 and theta_1 differ in {sorted(theta_0.keys() ^ theta_1.keys())[0]!r}; expected one model"
        )
    mixed = {}
    for name, start in theta_0.items():
        end = theta_1[name]
        if start.shape != end.shape:
            raise InputError(f"{name!r} has shape {tuple(start.shape)} in theta_0 and {tuple(end.shape)} in theta_1")
        # Exact at both ends, which a + alpha (b - a) is not.
        mixed[name] = (1 - alpha) * start + alpha * end if end.is_floating_point() else end.clone()
    return mixed


def output_ensemble(
    models: Sequence[nn.Module], *, average: Literal["probabilities", "outputs"] = "probabilities"
) -> LogitEnsemble:
    """Return a model that averages the predictions of several, each of them shared and not copied.

    The ensemble of a fine-tuned model and a small one trained from scratch is the strongest simple
    rival of joining the two at several layers.

    **Arguments:**
    - ``models``: inputs -> (n, C), at least one; their training flags stay as they are: ``eval()``
      the result before it is judged.
    - ``average``: "probabilities" averages the softmax and returns its logarithm, which stands
      where logits do; "outputs" averages what the models return, as a regression needs.

    Raises InputError without models and on another average.

    >>> import torch
    >>> a, b = nn.Linear(1, 2, bias=False), nn.Linear(1, 2, bias=False)
    >>> both = output_ensemble([a, b])
    >>> x = torch.ones(1, 1)
    >>> torch.allclose(both(x).exp(), (a(x).softmax(1) + b(x).softmax(1)) / 2)
    True
    """
    if average not in ("probabilities", "outputs"):
        raise InputError(f"average is {average!r}; it must be 'probabilities' or 'outputs'")
    return LogitEnsemble(models, "softmax" if average == "probabilities" else "mean")
