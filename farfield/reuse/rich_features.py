"""Rounds of training that each look for what the rounds before did not use, and one network that holds what all found."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses.group_max import GroupMax
from farfield.reuse.concatenation import mean_head
from farfield.tasks.task import Split, column
from farfield.train import History, Hook, predict, train

Optimize = Callable[[nn.Module], torch.optim.Optimizer]
Batches = Callable[[int], Iterable[Tensor]]


@dataclass
class RichFeatures:
    """What the rounds found.

    **Fields:** ``model``: the synthesis, whose head is the mean of the ``heads``, one for each round; ``rounds``: the network of
    each round; ``pseudo_labels`` (n, rounds) int64: what each predicts on the training data; ``correct`` (n, rounds) bool;
    ``history``: of the synthesis.
    """

    model: nn.Module
    heads: list[nn.Linear]
    rounds: list[nn.Module]
    pseudo_labels: Int[Tensor, "n rounds"]
    correct: Bool[Tensor, "n rounds"]
    history: History


def rich_features(
    make: Callable[[int], nn.Module],
    data: Split,
    *,
    steps: Sequence[int] = (51, 501),
    synthesis_steps: int = 501,
    optimize: Optimize | None = None,
    batches: Batches | None = None,
    l2: float = 0.0,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
) -> RichFeatures:
    """Train rounds on ever other features, then one network that predicts what each round did (Bonsai, or RFC).

    Round 0 minimises the mean loss. It splits the training examples into those that it gets right and those that it gets wrong.
    Each later round minimises the largest mean loss over the two groups of every earlier round (`farfield.losses.GroupMax`), so
    that it cannot rely on what they relied on. Then a network with a head for each round is trained on the rounds' predictions,
    half of its examples drawn from those on which all rounds agree in being right or wrong, half from the others
    (`synthesis_batches`). Its features are the result; for a prediction its heads are averaged.

    **Arguments:**
    - ``make(seed)``: a new model with ``features(x)`` and a linear ``head``, such as `farfield.nn.Classifier`.
    - ``data``: columns x and y (class indices).
    - ``steps``: of each round; as many rounds as numbers, at least 2. ``synthesis_steps``: of the last network.
    - ``optimize(model)``: an optimizer; None takes the paper's Adam at 5e-4.
    - ``batches(seed)``: a stream of index batches; None takes all rows in every step, as the paper does.
    - ``l2``: weight of the sum of squared parameters in each loss; the paper's is 0.0011 for its perceptron.
    - ``seed``: of weights and draws; round r has weights from ``make(seed + r)``, the synthesis from ``make(seed + rounds)``.
    - ``hooks``: called in the synthesis, with the heads' mean in place.

    Raises InputError on fewer than two rounds, or a model without features and a linear head.

    Source: Zhang, Lopez-Paz, Bottou, "Rich feature construction for the optimization-generalization dilemma", ICML 2022,
    algorithms 1 and 2; "Bonsai" in Zhang & Bottou, ICML 2023. Classes have an output each and cross-entropy, where the released
    code for two classes has one logit.

    >>> from farfield import tasks
    >>> from farfield.nn import Classifier
    >>> x = torch.eye(4)
    >>> data = tasks.Table(x=x, y=torch.tensor([0, 1, 0, 1]))
    >>> found = rich_features(lambda seed: Classifier(nn.Flatten(), nn.Linear(4, 2)), data, steps=(5, 5), synthesis_steps=5)
    >>> found.pseudo_labels.shape, len(found.heads), found.model(x).shape
    (torch.Size([4, 2]), 2, torch.Size([4, 2]))
    """
    if len(steps) < 2:
        raise InputError(f"steps is {list(steps)}; it must name the steps of at least two rounds")
    optimize = optimize or (lambda model: torch.optim.Adam(model.parameters(), lr=5e-4))
    n, y = len(data), column(data, "y")
    everything = batches is None
    batches = batches or (lambda seed: _always(torch.arange(n)))
    networks: list[nn.Module] = []
    predicted, correct = torch.empty(n, 0, dtype=torch.long), torch.empty(n, 0, dtype=torch.bool)
    for r, count in enumerate(steps):
        model = make(seed + r)
        _check(model)
        rows = _Joined(data, members=torch.cat([correct, ~correct], 1)) if r else data
        loss = _with_l2(_worst_group if r else _mean_loss, l2)
        train(model, rows, loss, optimize(model), steps=count, batches=batches(seed + r), seed=seed + r)
        own = predict(model, data).argmax(1)
        networks.append(model.eval())
        predicted = torch.cat([predicted, own[:, None]], 1)
        correct = torch.cat([correct, (own == y.cpu())[:, None]], 1)
    last = seed + len(steps)
    model = make(last)
    size = n if everything else len(next(iter(batches(last))))
    heads, history = _synthesise(
        model,
        data,
        predicted,
        correct,
        steps=synthesis_steps,
        size=size,
        optimize=optimize,
        l2=l2,
        seed=last,
        hooks=hooks,
    )
    return RichFeatures(model, heads, networks, predicted, correct, history)


def synthesis_batches(correct: Bool[Tensor, "n rounds"], size: int, *, seed: int) -> Iterator[Tensor]:
    """Yield index batches without end, drawn with replacement: half from the examples on which all rounds are right, or all are
    wrong, and half from the others. Where one kind is absent all come from the other.

    Raises InputError on a size below 1.

    >>> rows = next(synthesis_batches(torch.tensor([[True, True], [True, False], [False, False]]), 6, seed=0))
    >>> int((rows == 1).sum())
    3
    """
    if size < 1:
        raise InputError(f"size is {size}; it must be at least 1")
    agree = (correct == correct[:, :1]).all(1)
    kinds = [rows for rows in (torch.nonzero(agree).flatten(), torch.nonzero(~agree).flatten()) if len(rows)]
    shares = [size] if len(kinds) == 1 else [size - size // 2, size // 2]
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.cat([k[torch.randint(len(k), (s,), generator=generator)] for k, s in zip(kinds, shares)])


def _synthesise(
    model: nn.Module,
    data: Split,
    predicted: Tensor,
    correct: Tensor,
    *,
    steps: int,
    size: int,
    optimize: Optimize,
    l2: float,
    seed: int,
    hooks: Iterable[Hook],
) -> tuple[list[nn.Linear], History]:
    """Train a model with one head for each round on the rounds' predictions; its own head becomes their mean."""
    own = model.head
    several = _SeveralHeads(model, predicted.shape[1], seed=seed)

    def take_mean() -> None:
        mean = mean_head(list(several.heads))
        with torch.no_grad():
            own.weight.copy_(mean.weight)
            if own.bias is not None:
                own.bias.copy_(mean.bias)

    def loss(several: nn.Module, batch: dict[str, Any]) -> Tensor:
        logits = several(batch["x"])  # rounds x (n, classes)
        found = [nn.functional.cross_entropy(z, batch["predicted"][:, i]) for i, z in enumerate(logits)]
        return torch.stack(found).mean()

    def watch(step: int, _several: nn.Module, value: float) -> None:
        take_mean()
        for hook in hooks:
            hook(step, model, value)

    hooks = tuple(hooks)
    history = train(
        several,
        _Joined(data, predicted=predicted),
        _with_l2(loss, l2),
        optimize(several),
        steps=steps,
        batches=synthesis_batches(correct, size, seed=seed),
        seed=seed,
        hooks=[watch] if hooks else [],
    )
    take_mean()
    return list(several.heads), history


class _SeveralHeads(nn.Module):
    """The features of a model, read by several new heads in place of its own."""

    def __init__(self, model: nn.Module, count: int, *, seed: int):
        super().__init__()
        # Not registered: its own head is set to the mean of the others, not trained.
        self._model = [model]
        self.parts = nn.ModuleList(m for m in model.children() if m is not model.head)
        out, width, bias = model.head.out_features, model.head.in_features, model.head.bias is not None
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            heads = [nn.Linear(width, out, bias=bias) for _ in range(count)]
        self.heads = nn.ModuleList(heads).to(model.head.weight)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = self._model[0].features(x)
        return [head(features) for head in self.heads]


class _Joined:
    """A split with further columns that go by row number."""

    def __init__(self, data: Split, **columns: Tensor):
        self.data, self.columns = data, columns

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, rows: Tensor) -> dict[str, Any]:
        return {**self.data[rows], **{name: values[rows] for name, values in self.columns.items()}}


def _mean_loss(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    return nn.functional.cross_entropy(model(batch["x"]), batch["y"])


def _worst_group(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    losses = nn.functional.cross_entropy(model(batch["x"]), batch["y"], reduction="none")
    return GroupMax()(losses, batch["members"])


def _with_l2(loss: Callable[[nn.Module, dict[str, Any]], Tensor], l2: float) -> Callable:
    if not l2:
        return loss
    return lambda model, batch: loss(model, batch) + l2 * sum(p.square().sum() for p in model.parameters())


def _check(model: nn.Module) -> None:
    if not callable(getattr(model, "features", None)) or not isinstance(getattr(model, "head", None), nn.Linear):
        raise InputError(
            f"make returned {type(model).__name__}; expected a model with a method features(x) and a linear head, "
            "such as farfield.nn.Classifier"
        )


def _always(rows: Tensor) -> Iterator[Tensor]:
    while True:
        yield rows
