"""A small classifier on top of frozen latents, made to be moved from one encoder to another."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.batches import uniform
from farfield.errors import InputError, unknown_name
from farfield.tasks.task import Table
from farfield.train import train

ACTIVATIONS = {"silu": nn.SiLU, "tanh": nn.Tanh}


class BatchStandardize(nn.Module):
    """Standardise every feature over the rows of the batch at hand, in training and in evaluation.

    That is instance normalisation over the transposed batch. It is transductive: what comes out for a row depends on the other
    rows of the call, so all test rows must come in one call, and a single row cannot be standardised.

    Raises InputError on a batch of one row.

    >>> BatchStandardize()(torch.tensor([[0.0], [2.0]])).round()
    tensor([[-1.], [ 1.]])
    """

    def forward(self, x: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        if len(x) < 2:
            raise InputError("a single row cannot be standardised over its batch; give all rows in one call")
        return nn.functional.instance_norm(x.T[None])[0].T  # (n, k)


class StitchingHead(nn.Sequential):
    """Layer norm over the features, hidden layers of the same width, and a linear layer to the classes.

    **Arguments:**
    - ``width``: of the features, at least 2; ``classes``: outputs.
    - ``hidden``: number of hidden layers, 0 by default: a linear head. The official heads have 2.
    - ``activation``: "silu" (official for text) or "tanh" (for images).
    - ``transductive``: after each hidden layer, standardise over the batch as the official heads do (`BatchStandardize`). Off by
      default, as its accuracy depends on which other rows are in the call.

    Raises InputError on a width below 2, or where ``transductive`` has no hidden layer to act on.

    Source: heads of the released code of Moschella et al., ICLR 2023 (with hidden=2, transductive=True; its heads for text end
    in a ReLU too, which ours do not).

    >>> StitchingHead(8, 3)(torch.zeros(5, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        hidden: int = 0,
        activation: Literal["silu", "tanh"] = "silu",
        transductive: bool = False,
    ):
        if width < 2 or classes < 1 or hidden < 0:
            raise InputError(
                f"width is {width}, classes {classes}, hidden {hidden}; expected at least 2, at least 1 and at least 0"
            )
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        if transductive and not hidden:
            raise InputError("transductive standardises after hidden layers; there are none (hidden=0)")
        layers: list[nn.Module] = [nn.LayerNorm(width)]
        for _ in range(hidden):
            layers += [nn.Linear(width, width), ACTIVATIONS[activation]()]
            layers += [BatchStandardize()] if transductive else []
        super().__init__(*layers, nn.Linear(width, classes))


def train_head(
    features: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    *,
    classes: int | None = None,
    epochs: int = 40,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    seed: int = 0,
    hidden: int = 0,
    activation: Literal["silu", "tanh"] = "silu",
    transductive: bool = False,
) -> StitchingHead:
    """Return a `StitchingHead` trained on latents with Adam and cross-entropy, in evaluation mode.

    **Arguments:** ``features`` (n, k) float; ``labels`` (n,) from 0 to classes - 1; ``classes``: the greatest label + 1 where it
    is not given; the others as in `StitchingHead`. ``seed``: of the weights and the batches. It computes in the features' type
    and on their device.

    Raises InputError on shapes that do not fit, labels out of range or values that are not finite.

    >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(20, 1)
    >>> head = train_head(x, torch.tensor([0, 1]).repeat(20), epochs=60, learning_rate=0.1)
    >>> head(x[:2]).argmax(1).tolist()
    [0, 1]
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise InputError(
            f"features has shape {tuple(features.shape)} and labels {tuple(labels.shape)}; expected (n, k), (n,)"
        )
    if not torch.isfinite(features).all():
        raise InputError("features holds a value that is not finite")
    if epochs < 1 or batch_size < 1:
        raise InputError(f"epochs is {epochs} and batch_size {batch_size}; both must be at least 1")
    if labels.is_floating_point():
        raise InputError(f"labels is {labels.dtype}; expected whole numbers")
    classes = int(labels.max()) + 1 if classes is None else classes
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise InputError(f"labels go from {int(labels.min())} to {int(labels.max())}; expected 0 to {classes - 1}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = StitchingHead(
            features.shape[1], classes, hidden=hidden, activation=activation, transductive=transductive
        )
    head = head.to(features)
    # The last batch of an epoch must not be a single row; batches of one size run across its end.
    size = min(batch_size, len(features))
    train(
        head,
        Table(x=features, y=labels.long()),
        lambda model, batch: nn.functional.cross_entropy(model(batch["x"]), batch["y"]),
        torch.optim.Adam(head.parameters(), lr=learning_rate),
        steps=-(-epochs * len(features) // size),
        batches=uniform(len(features), size, seed=seed),
        seed=seed,
    )
    return head.eval()
