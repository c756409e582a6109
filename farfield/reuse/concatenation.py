"""The features of several networks side by side: what one training run drops, another may have kept."""

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.nn.tuning import Frozen


class Cat(nn.Module):
    """Encoders side by side: ``Phi(x) = [phi_1(x); ...; phi_n(x)]``, features (rows, sum of the widths).

    **Arguments:**
    - ``encoders``: at least one module inputs -> features (rows, width); widths may differ. Usually the same training run with n
      seeds (`train_many`), or n moments of one run (`snapshots`).
    - ``freeze``: in place, their parameters get no gradient and they stay in evaluation mode, also after ``train()``, so that
      statistics of batch normalisation stay. False trains them all together.

    Raises InputError without an encoder, and where features are not of one number of rows.

    Source: Zhang & Bottou, ICML 2023, section 3 (Cat_n).

    >>> cat = Cat([nn.Linear(4, 3), nn.Linear(4, 2)])
    >>> cat(torch.zeros(5, 4)).shape, any(p.requires_grad for p in cat.parameters())
    (torch.Size([5, 5]), False)
    """

    def __init__(self, encoders: Sequence[nn.Module], freeze: bool = True):
        super().__init__()
        if not len(encoders):
            raise InputError("encoders is empty; expected at least one module")
        self.encoders = nn.ModuleList(Frozen(e) if freeze else e for e in encoders)

    def forward(self, x: Tensor) -> Float[Tensor, "n ... d"]:
        features = [encoder(x) for encoder in self.encoders]
        for i, found in enumerate(features):
            if found.ndim < 2 or found.shape[:-1] != features[0].shape[:-1]:
                raise InputError(
                    f"encoder {i} gives features of shape {tuple(found.shape)} and encoder 0 {tuple(features[0].shape)}; "
                    "expected (rows, width) with the same rows"
                )
        return torch.cat(features, dim=-1)

    def head_from(self, heads: Sequence[nn.Linear]) -> nn.Linear:
        """Return the head on the concatenation whose logits are the mean of the networks' own: ``[W_1 ... W_n] / n``, mean bias.

        No training goes into it; the official code calls it ``cat_weights``. The heads are copied.

        **Arguments:** ``heads``: one linear layer per encoder, in their order, with the same outputs.

        Raises InputError on another number of heads, or heads of different outputs.

        >>> cat, heads = Cat([nn.Linear(4, 3), nn.Linear(4, 2)]), [nn.Linear(3, 2), nn.Linear(2, 2)]
        >>> cat.head_from(heads)
        Linear(in_features=5, out_features=2, bias=True)
        """
        if len(heads) != len(self.encoders):
            raise InputError(f"{len(heads)} heads came for {len(self.encoders)} encoders; expected one for each")
        _check_heads(heads)
        return _linear(torch.cat([h.weight for h in heads], 1) / len(heads), [h.bias for h in heads])


def mean_head(heads: Sequence[nn.Linear]) -> nn.Linear:
    """Return the linear layer whose outputs are the mean of those of several on the same features.

    Raises InputError where there is none, or they differ in inputs, outputs, or whether they have a bias.

    >>> mean_head([nn.Linear(3, 2), nn.Linear(3, 2)])
    Linear(in_features=3, out_features=2, bias=True)
    """
    _check_heads(heads)
    if len({h.in_features for h in heads}) > 1:
        raise InputError(f"the heads read {[h.in_features for h in heads]} features; expected the same number")
    return _linear(torch.stack([h.weight for h in heads]).mean(0), [h.bias for h in heads])


def train_many(train_fn: Callable[[int], nn.Module], seeds: Iterable[int]) -> list[nn.Module]:
    """Return one trained encoder per seed, in evaluation mode: the same run again, where only the seed differs.

    **Arguments:** ``train_fn(seed)`` makes, trains and returns an encoder; ``seeds``: at least one, all different.

    Raises InputError on a repeated seed or none, where what it returns is no module, and where two runs return one object
    (it was trained twice, so the first is lost).

    Source: Zhang & Bottou, ICML 2023, section 3.

    >>> def run(seed):
    ...     return nn.utils.skip_init(nn.Linear, 2, 3).requires_grad_(False).apply(lambda m: m.weight.fill_(seed))
    >>> [float(encoder.weight[0, 0]) for encoder in train_many(run, range(3))]
    [0.0, 1.0, 2.0]
    """
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds is {seeds}; expected at least one, and no seed twice")
    encoders: list[nn.Module] = []
    for seed in seeds:
        encoder = train_fn(seed)
        if not isinstance(encoder, nn.Module):
            raise InputError(f"train_fn({seed}) returned {type(encoder).__name__}; expected a trained torch.nn.Module")
        if any(encoder is other for other in encoders):
            raise InputError(f"train_fn({seed}) returned the module of an earlier seed; expected a new one for each")
        encoders.append(encoder.eval())
    return encoders


def snapshots(train_fn: Callable[[Callable], object], k: int, *, steps: int, start: int = 0) -> list[nn.Module]:
    """Return k copies of a model at equal distances along one training run, in evaluation mode; the last is the run's end.

    The paper takes them from a run with a large constant step size, so that they differ.

    **Arguments:**
    - ``train_fn(hook)``: runs the training and calls ``hook(step, model, loss)`` after each step, counted from 1, as
      `farfield.train` does with its ``hooks``.
    - ``k``: at least 1; ``steps``: of the run; ``start``: no snapshot is from this step or before.

    Raises InputError where there are fewer than k steps after ``start``, or the run ended early.

    Source: Zhang & Bottou, ICML 2023 (Cat_n-S).

    >>> from farfield.tasks import Table
    >>> from farfield.train import train
    >>> model, data = nn.Linear(1, 1), Table(x=torch.ones(4, 1))
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> run = lambda hook: train(model, data, lambda m, b: m(b["x"]).square().mean(), sgd, steps=6, hooks=[hook])
    >>> len(snapshots(run, 3, steps=6))
    3
    """
    if k < 1 or start < 0 or steps - start < k:
        raise InputError(f"{k} snapshots cannot be taken after step {start} of {steps}; expected 1 to {steps - start}")
    at = {start + round((steps - start) * (i + 1) / k) for i in range(k)}
    kept: list[nn.Module] = []

    def hook(step: int, model: nn.Module, _loss: float) -> None:
        if step in at:
            kept.append(copy.deepcopy(model).eval())

    train_fn(hook)
    if len(kept) < k:
        raise InputError(
            f"train_fn came to {len(kept)} of {k} snapshots; expected {steps} steps with a hook after each"
        )
    return kept


def _check_heads(heads: Sequence[nn.Linear]) -> None:
    kinds = [type(h).__name__ for h in heads if not isinstance(h, nn.Linear)]
    if not len(heads) or kinds:
        raise InputError(f"heads is {kinds or 'empty'}; expected linear layers, at least one")
    if len({h.out_features for h in heads}) > 1 or len({h.bias is None for h in heads}) > 1:
        raise InputError(
            f"the heads have {[h.out_features for h in heads]} outputs, biases {[h.bias is not None for h in heads]}; "
            "expected the same"
        )


def _linear(weight: Tensor, biases: Sequence[Tensor | None]) -> nn.Linear:
    head = nn.utils.skip_init(
        nn.Linear,
        weight.shape[1],
        weight.shape[0],
        bias=biases[0] is not None,
        device=weight.device,
        dtype=weight.dtype,
    )
    with torch.no_grad():
        head.weight.copy_(weight)
        if head.bias is not None:
            head.bias.copy_(torch.stack(list(biases)).mean(0))
    return head
