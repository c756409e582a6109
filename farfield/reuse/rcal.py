"""Representation calibration: a classifier from wrong labels and rare classes, held to a representation that never saw labels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.augment.mixup import Mixup
from farfield.batches import uniform
from farfield.errors import InputError
from farfield.losses.anchor_penalty import AnchorPenalty
from farfield.nn.evaluating import evaluating
from farfield.nn.features import features_and_logits
from farfield.reuse.class_gaussians import ClassGaussians
from farfield.tasks.task import Split, Table, column
from farfield.train import History, Hook, to_device, train


@dataclass(frozen=True)
class Calibrated:
    """What `rcal_fit` leaves behind: the trained ``model``, the class ``gaussians`` that points were drawn from, the ``history``.

    >>> data, model = Table(x=torch.eye(4), y=torch.tensor([0, 0, 1, 1])), nn.Linear(4, 2)
    >>> rcal_fit(model, anchors(model, data), data, steps=2).gaussians.means_.shape
    torch.Size([2, 4])
    """

    model: nn.Module
    gaussians: ClassGaussians
    history: History


class Encoder(nn.Module):
    """The features that a classifier's last layer reads, as a module of its own; the weights are the classifier's.

    **Arguments:** ``model``: as in `farfield.nn.features_and_logits`.

    >>> Encoder(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))(torch.zeros(2, 4)).shape
    torch.Size([2, 8])
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Float[Tensor, "n d"]:
        return features_and_logits(self.model, x)[0]


@torch.no_grad()
def anchors(model: nn.Module, data: Split, *, batch_size: int = 512) -> Float[Tensor, "n d"]:
    """Return the features of every row as they are now, in evaluation mode, on the CPU: what `rcal_fit` holds the features to.

    >>> anchors(nn.Linear(2, 3), Table(x=torch.ones(4, 2))).tolist()[0]
    [1.0, 1.0]
    """
    device = next(model.parameters()).device
    with evaluating(model):
        parts = [to_device(data[rows], device)["x"] for rows in torch.arange(len(data)).split(batch_size)]
        return torch.cat([features_and_logits(model, x)[0].float().cpu() for x in parts])


def rcal_fit(
    model: nn.Module,
    z: Float[Tensor, "n d"],
    data: Split,
    *,
    steps: int,
    classes: int | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    batch_size: int = 64,
    batches: Iterable[Tensor] | None = None,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    gaussians: ClassGaussians | None = None,
    tail: bool = True,
    q: int = 3,
    gamma_mean: float = 0.1,
    gamma_cov: float = 0.5,
    alpha: float = 0.0,
    sampled: float | None = 0.1,
    head_steps: int = 300,
    anchor_weight: float = 1.0,
    mixup_alpha: float = 1.0,
) -> Calibrated:
    """Train a classifier on noisy, long-tailed labels with representation calibration (steps 2 to 5 of RCAL), in place.

    The class Gaussians of the anchors z are recovered from the noisy labels and calibrated; from them points are drawn until all classes
    are of one size. A step's loss is the cross-entropy of a mixed batch and that of the head on drawn features, each
    weighted by how many there are in all, plus ``anchor_weight / v * mean |f(x_i) - z_i|^2`` with v the variance of the anchors, summed over
    dimensions. Normalisation layers that keep running statistics stay in evaluation mode, as when the anchors were taken.

    **Arguments:**
    - ``model``: a classifier, see `farfield.nn.features_and_logits`; its features start from the representation of the anchors.
    - ``z``: the anchor of each row of ``data``, from `anchors` of the same model, or any frozen features of its width.
    - ``data``: a split with ``x`` and ``y`` (n,); ``classes``: the greatest label + 1 where not given.
    - ``optimizer``: AdamW at 1e-3 where not given; ``batch_size``, ``batches``, ``seed``, ``hooks``: as in `farfield.train.train`.
    - ``gaussians``: how they are estimated; `ClassGaussians` with its defaults and a shrinkage of 0.1 where not given.
    - ``tail``: whether rare classes borrow; ``q``, ``gamma_mean``, ``gamma_cov``, ``alpha`` as in `ClassGaussians.calibrate_tail`.
    - ``sampled``: points drawn of every class beyond those that balance, as a share of the largest class, at least 0; None draws none at
      all.
    - ``head_steps``: of the head alone before that, on the anchors and the drawn points, with AdamW at 1e-2; at least 0. They take no pass
      through the encoder. Without them a fresh head pulls the features away from the anchors before it can read them.
    - ``anchor_weight``: at least 0. ``mixup_alpha``: at least 0, where nothing is mixed. Inputs that are no floating-point numbers (tokens) are
      mixed in their features.

    A step costs about as much as one of plain training. Raises InputError on anchors that do not fit, on labels at several positions of an
    example, and as `ClassGaussians`, `farfield.augment.Mixup` and `farfield.train.train` do.

    Source: Zhang et al., ICCV 2023, sections 3.2 and 3.3. Differs from it in: numbers of drawn points, weights of the parts and
    the unit of the penalty are ours, as the paper's could not be read; the steps of the head alone stand for its long training.

    >>> x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)) + torch.arange(60)[:, None] % 2 * 4
    >>> data, model = Table(x=x, y=torch.arange(60) % 2), nn.Linear(2, 2)
    >>> fitted = rcal_fit(model, anchors(model, data), data, steps=100, optimizer=torch.optim.Adam(model.parameters(), lr=0.1))
    >>> (fitted.model(x).argmax(1) == data.columns["y"]).float().mean().item() > 0.9
    True
    """
    y = column(data, "y")
    if y.ndim != 1:
        raise InputError(f"y has shape {tuple(y.shape)}; representation calibration needs one label for each example")
    if z.ndim != 2 or len(z) != len(data):
        raise InputError(f"z has shape {tuple(z.shape)} for {len(data)} rows of data; expected ({len(data)}, d)")
    if head_steps < 0:
        raise InputError(f"head_steps is {head_steps}; it must be at least 0")
    if sampled is not None and not sampled >= 0:
        raise InputError(f"sampled is {sampled}; it must be at least 0, or None")
    k = int(y.max()) + 1 if classes is None else classes
    found = (gaussians or ClassGaussians(shrinkage=0.1)).fit(z, y.cpu(), classes=k)
    if tail and k > 1:
        found = found.calibrate_tail(q=q, gamma_mean=gamma_mean, gamma_cov=gamma_cov, alpha=alpha)
    device = next(model.parameters()).device
    head = _head(model, to_device(data[torch.arange(1)], device)["x"], z.shape[1])
    counts = torch.zeros(k, dtype=torch.long) if sampled is None else _balancing(found.counts_.cpu(), sampled)
    drawn, labels = (part.to(device) for part in found.sample(counts, seed=seed))
    share = len(labels) / (len(labels) + len(y))
    points: Iterator[Tensor] = iter(())
    if len(labels):
        # As many per step as there are for each row of the data.
        points = uniform(len(labels), max(1, round(min(batch_size, len(y)) * share / (1 - share))), seed=seed + 1)
    variance = float(z.var(0, correction=0).sum())
    penalty = AnchorPenalty(anchor_weight / variance if variance > 0 else anchor_weight)
    mix = Mixup(k, alpha=mixup_alpha, seed=seed, also=("anchor",))
    keeping = [m for m in model.modules() if getattr(m, "running_mean", None) is not None]

    def loss(model: nn.Module, batch: dict) -> Tensor:
        for module in keeping:
            module.eval()
        if batch["x"].is_floating_point():
            batch = mix(batch)
            features, logits = features_and_logits(model, batch["x"])
        else:
            batch = mix({**batch, "x": features_and_logits(model, batch["x"])[0]})
            features, logits = batch["x"], head(batch["x"])
        value = nn.functional.cross_entropy(logits, batch["y"])
        if len(labels):
            rows = next(points)
            value = (1 - share) * value + share * nn.functional.cross_entropy(head(drawn[rows]), labels[rows])
        return value + penalty(features, batch["anchor"]) if anchor_weight > 0 else value

    if head_steps:
        _warm_up(head, z.to(device), y.to(device), drawn, labels, steps=head_steps, seed=seed)
    anchored = data if isinstance(data, Table) else Table(**data[slice(0, len(data))])
    if optimizer is None:
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    history = train(
        model,
        anchored.replace(anchor=z),
        loss,
        optimizer,
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        batches=batches,
        hooks=hooks,
    )
    return Calibrated(model, found, history)


def _warm_up(head: nn.Module, z: Tensor, y: Tensor, drawn: Tensor, labels: Tensor, *, steps: int, seed: int) -> None:
    """Train the head alone on the anchors and the drawn points."""
    rows = Table(x=torch.cat([z, drawn.to(z)]), y=torch.cat([y, labels]))
    train(
        head,
        rows,
        lambda model, batch: nn.functional.cross_entropy(model(batch["x"]), batch["y"]),
        torch.optim.AdamW(head.parameters(), lr=1e-2),
        steps=steps,
        batch_size=256,
        seed=seed,
    )


def _balancing(counts: Tensor, extra: float) -> Tensor:
    """Return how many points to draw of each class: those missing to the largest, and a share of the largest."""
    return counts.max() - counts + round(extra * int(counts.max()))


def _head(model: nn.Module, x: Tensor, width: int) -> nn.Module:
    """Return the module that makes logits of features: the model's ``head``, else the last linear layer that runs."""
    with torch.no_grad(), evaluating(model):
        features, logits = features_and_logits(model, x)
        if features.shape[1] != width:
            raise InputError(f"the anchors have {width} dimensions; the features of the model have {features.shape[1]}")
        if isinstance(getattr(model, "head", None), nn.Module):
            return model.head
        linear = [m for m in model.modules() if isinstance(m, nn.Linear) and m.in_features == width]
        for layer in reversed(linear):
            if layer(features).shape == logits.shape and torch.allclose(layer(features), logits):
                return layer
    raise InputError(
        f"{type(model).__name__} does more after its last linear layer; give it a method features(x) and a module head"
    )
