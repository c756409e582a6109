"""A classifier from wrong labels and rare classes, by representation calibration or one of its rivals: one trial of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn.functional import avg_pool2d, cross_entropy

from farfield import losses, measure, nn, reuse, tasks
from farfield.augment import Mixup, RandomView
from farfield.batches import uniform
from farfield.errors import InputError, unknown_name
from farfield.methods.method import adamw
from farfield.methods.method import cross_entropy as mean_cross_entropy
from farfield.names import parse
from farfield.study.stage import stage
from farfield.tasks import spoilt
from farfield.tasks.task import Image, Table, Task
from farfield.train import predict, train

RIVALS = ("ce", "frozen", "contrastive", "balanced", "logit-adjusted", "ldam-drw", "mixup", "small-loss")
# What each variant changes; of all these the first is the method.
VARIANTS: dict[str, dict[str, Any]] = {
    "rcal": {},
    "no outlier removal": {"outlier": None},
    "no tail step": {"tail": False},
    "no sampling": {"sampled": None},
    "no anchor": {"anchor_weight": 0.0},
    "no mixup": {"mixup_alpha": 0.0},
}
METHODS = (*RIVALS, *VARIANTS)


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train on the noisy, long-tailed labels of a task and measure on right labels, each class alike.

    **Arguments:**
    - ``point``: ``task``: a name with the options of `farfield.tasks.spoilt`; ``model``; ``variant``: one of `METHODS`; all but "ce" start from
      the same contrastive encoder, whose head alone "frozen" trains; ``pool``: images are averaged over so many pixels each way; ``steps``,
      ``batch_size``; ``contrast_steps``, ``contrast_batch``; ``rcal``: settings of `farfield.reuse.rcal_fit`, ``shrinkage``; ``device``.
    - ``seed``: of the split, the noise, which class is rare, the initial weights and the batches. All methods of a seed share them.

    **Returns:** ``balanced`` accuracy, and ``many``, ``medium``, ``few`` (thirds of the classes by size); ``at``: the balanced accuracy under the
    setting's short name; ``noise`` and ``imbalance``. Of the variants with Gaussians: ``precision`` and ``recall`` of the dropped rows on the wrong
    labels (None where none was dropped or is wrong), ``error_raw``, ``error_kept``, ``error_calibrated``: the distance of the class means
    before and after outliers were dropped, and after the tail step, to those of the test rows, mean over the rarer half, ``nearer``: what the tail
    step takes off; ``errors_...``: by class, the largest first, and ``rank``, its place in that order. Of "rcal": ``gain``, its balanced accuracy less that of "ce".
    """
    name = point["variant"]
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    task, right = prepare(task=point["task"], pool=point["pool"], seed=seed)
    shared = {key: point[key] for key in ("task", "model", "pool", "steps", "batch_size", "device")}
    groups = measure.class_groups(torch.bincount(right, minlength=task.outputs.count))
    truth = task.tests["iid"].columns["y"]
    more: dict[str, Any] = {}
    if name == "ce":
        predicted = from_scratch(**shared, seed=seed)["predicted"]
    else:
        model = nn.load(point["model"], task, seed=seed).to(point["device"])
        size = {"steps": point["contrast_steps"], "batch_size": point["contrast_batch"]}
        model.load_state_dict(contrastive(**{**shared, **size}, seed=seed))
        if name in VARIANTS:
            model, more = calibrate(model, task, right, point, VARIANTS[name], seed)
        else:
            model = fit(name, model, task, steps=point["steps"], batch_size=point["batch_size"], seed=seed)
        predicted = predict(model, task.tests["iid"]).argmax(1)
    balanced = measure.balanced_accuracy(predicted, truth)
    if name == "rcal":
        scratch = from_scratch(**shared, seed=seed)["predicted"]
        more["gain"] = balanced - measure.balanced_accuracy(scratch, truth)
    options = parse(point["task"]).options
    return {
        "balanced": balanced,
        **measure.group_accuracy(predicted, truth, groups),
        "at": {short(point["task"]): balanced},
        "noise": float(options.get("noise", 0)),
        "imbalance": float(options.get("imbalance", 1)),
        **more,
    }


def small_cnn(task: Task) -> nn.Classifier:
    """Return a network of two convolutions with 32 features that may be negative: ReLU behind them would leave them far from Gaussian.

    >>> small_cnn(tasks.load("digits/rotation")).head
    Linear(in_features=32, out_features=10, bias=True)
    """
    image = task.inputs
    layers = [
        nn.Standardize.fit(task.train),
        torch_nn.Conv2d(image.channels, 16, 3, padding=1),
        torch_nn.ReLU(),
        torch_nn.MaxPool2d(2),
        torch_nn.Conv2d(16, 32, 3, padding=1),
        torch_nn.ReLU(),
        torch_nn.MaxPool2d(2),
        torch_nn.Flatten(),
        torch_nn.Linear(32 * (image.height // 4) * (image.width // 4), 32),
    ]
    return nn.Classifier(torch_nn.Sequential(*layers), torch_nn.Linear(32, task.outputs.count))


def short(name: str) -> str:
    """Return a setting's name for people.

    >>> short("gaussian-classes?delta=2&imbalance=50&noise=0.2&noise_kind=symmetric")
    'gaussian-classes delta=2, 50:1, 20 % wrong'
    """
    parsed, own = spoilt.separate(parse(name))
    first = " ".join([parsed.path, *(f"{k}={v}" for k, v in parsed.options.items())])
    return f"{first}, {float(own.get('imbalance', 1)):g}:1, {float(own.get('noise', 0)):.0%} wrong".replace("%", " %")


@lru_cache(maxsize=8)
def prepare(*, task: str, pool: int, seed: int) -> tuple[Task, Tensor]:
    """Return the task with its images averaged over ``pool`` x ``pool`` pixels, and the right labels of its training rows.

    Raises InputError where ``pool`` is above 1 and the task is not of images.
    """
    loaded = tasks.load(task, seed=seed)
    parsed, options = spoilt.separate(parse(task))
    # The same rows: no draw of theirs depends on the noise.
    clean = parsed.with_options(**{k: v for k, v in options.items() if k not in ("noise", "noise_kind")})
    right = tasks.load(str(clean), seed=seed).train.columns["y"]
    if pool > 1:
        if not isinstance(loaded.inputs, Image):
            raise InputError(f"pool is {pool}; the task {task} has {loaded.inputs}, which only 1 suits")

        def small(split: Any) -> Table:
            return split.replace(x=avg_pool2d(split[slice(0, len(split))]["x"], pool))

        splits = {k: small(v) for k, v in {"train": loaded.train, "val": loaded.val}.items()}
        tests = {k: small(v) for k, v in loaded.tests.items()}
        shape = Image(*tests["iid"].columns["x"].shape[1:])
        loaded = replace(loaded, **splits, tests=tests, inputs=shape)
    return loaded, right


@stage
def contrastive(
    *, task: str, model: str, pool: int, steps: int, batch_size: int, device: str, seed: int
) -> dict[str, Tensor]:
    """Return a model's weights after momentum contrast on the training inputs; of one without an encoder to learn, its first ones."""
    prepared, _ = prepare(task=task, pool=pool, seed=seed)
    fresh = nn.load(model, prepared, seed=seed).to(device)
    head = {id(p) for p in fresh.head.parameters()}
    if steps and any(id(p) not in head for p in fresh.parameters()):
        reuse.contrast(
            reuse.Encoder(fresh), prepared.train, RandomView(seed=seed), steps=steps, batch_size=batch_size, seed=seed
        )
    return fresh.state_dict()


@stage
def from_scratch(
    *, task: str, model: str, pool: int, steps: int, batch_size: int, device: str, seed: int
) -> dict[str, Tensor]:
    """Return the classes ``predicted`` on the near test after training on the noisy labels from random weights."""
    prepared, _ = prepare(task=task, pool=pool, seed=seed)
    fresh = nn.load(model, prepared, seed=seed).to(device)
    fitted = fit("ce", fresh, prepared, steps=steps, batch_size=batch_size, seed=seed)
    return {"predicted": predict(fitted, prepared.tests["iid"]).argmax(1)}


def fit(name: str, model: Any, task: Task, *, steps: int, batch_size: int, seed: int) -> torch_nn.Module:
    """Train a model in place by one of `RIVALS`, with AdamW, and return it.

    - "ce", "contrastive" and "frozen" minimise the cross-entropy, the last of the head alone, for three times the steps at 1e-2.
    - "balanced": batches hold all classes alike. "logit-adjusted", "ldam-drw" (cosines as logits, re-weighted in the last third):
      see `farfield.losses`. "mixup": with alpha 1.
    - "small-loss": after a third of the steps the rows whose losses fall into the lower of two Gaussians are kept, and the others left out
      (as DivideMix tells them; Li et al., ICLR 2020).
    """
    data, k = task.train, task.outputs.count
    y = data.columns["y"]
    counts = torch.bincount(y, minlength=k).clamp(min=1)
    device = next(model.parameters()).device
    loss: Any = mean_cross_entropy
    batches: Iterator[Tensor] | None = None
    if name == "frozen":
        # The encoder runs once, so that the head can be trained for as long as it takes.
        rows, head = Table(x=reuse.anchors(model, data).to(device), y=y.to(device)), model.head
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
        train(head, rows, loss, optimizer, steps=3 * steps, batch_size=batch_size, seed=seed)
        return model
    if name == "balanced":
        batches = _balanced(y, counts, batch_size, seed)
    elif name == "logit-adjusted":
        adjusted = losses.LogitAdjustedLoss(counts).to(device)
        loss = lambda model, batch: adjusted(model(batch["x"]), batch["y"])  # noqa: E731
    elif name == "ldam-drw":
        model.head = nn.CosineClassifier(model.head.in_features, k, 1.0, seed=seed).to(device)
        loss = _Deferred(
            losses.LDAMLoss(counts).to(device), losses.effective_weights(counts).to(device), 2 * steps // 3
        )
    elif name == "mixup":
        mix = Mixup(k, alpha=1.0, seed=seed)
        loss = lambda model, batch: mean_cross_entropy(model, mix(batch))  # noqa: E731

    def run(data: Table, n: int, seed: int, batches: Iterator[Tensor] | None = None) -> None:
        train(model, data, loss, adamw(model, None, 1e-4), steps=n, batch_size=batch_size, seed=seed, batches=batches)

    if name == "small-loss":
        run(data, max(1, steps // 3), seed)
        each = cross_entropy(predict(model, data), y, reduction="none")
        run(data.take(small_losses(each, seed=seed).nonzero().flatten()), max(1, steps - steps // 3), seed + 1)
    else:
        run(data, steps, seed, batches)
    return model


def small_losses(each: Tensor, *, seed: int) -> Tensor:
    """Return which losses (n,) are more likely of the lower of two Gaussians fitted to them; bool.

    >>> small_losses(torch.tensor([0.1, 0.2, 0.15, 3.0, 3.1]), seed=0).tolist()
    [True, True, True, False, False]
    """
    from sklearn.mixture import GaussianMixture

    values = each.double().numpy()[:, None]
    mixture = GaussianMixture(2, reg_covar=5e-4, random_state=seed).fit(values)
    return torch.from_numpy(mixture.predict(values) == int(np.argmin(mixture.means_[:, 0])))


def calibrate(
    model: torch_nn.Module, task: Task, right: Tensor, point: Mapping[str, Any], changes: Mapping[str, Any], seed: int
) -> tuple[torch_nn.Module, dict[str, Any]]:
    """Return the model trained by a variant of RCAL, and how well it recovered the classes of its anchors."""
    settings = {"outlier": "lof", **point["rcal"], **changes}
    outlier, shrinkage = settings.pop("outlier"), settings.pop("shrinkage")
    data, test = task.train, task.tests["iid"]
    z, clean = reuse.anchors(model, data), reuse.anchors(model, test)
    given = data.columns["y"]
    gaussians = reuse.ClassGaussians(outlier=outlier, shrinkage=shrinkage)
    fitted = reuse.rcal_fit(
        model,
        z,
        data,
        steps=point["steps"],
        classes=task.outputs.count,
        optimizer=adamw(model, None, 1e-4),
        batch_size=point["batch_size"],
        batches=uniform(len(data), point["batch_size"], seed=seed),
        seed=seed,
        gaussians=gaussians,
        **settings,
    )
    dropped, wrong = ~gaussians.kept_, given != right
    both = int((dropped & wrong).sum())
    raw = reuse.ClassGaussians(outlier=None).fit(z, given, classes=task.outputs.count)
    found: dict[str, Any] = {
        "precision": both / int(dropped.sum()) if dropped.any() else None,
        "recall": both / int(wrong.sum()) if wrong.any() else None,
    }
    truth = torch.stack([clean[test.columns["y"] == c].double().mean(0) for c in range(task.outputs.count)])
    order = raw.counts_.argsort(descending=True, stable=True)
    for label, these in (("raw", raw), ("kept", gaussians), ("calibrated", fitted.gaussians)):
        errors = (these.means_ - truth).norm(dim=1)[order]
        found[f"errors_{label}"] = errors.tolist()
        found[f"error_{label}"] = float(errors[-(len(errors) // 2) :].mean())
    found["nearer"] = found["error_kept"] - found["error_calibrated"]
    return fitted.model, {**found, "rank": list(range(1, len(order) + 1))}


class _Deferred:
    """LDAM's loss on a model, with class weights from a step on."""

    def __init__(self, loss: losses.LDAMLoss, weights: Tensor, start: int):
        self.loss, self.weights, self.start, self.step = loss, weights, start, 0

    def __call__(self, model: torch_nn.Module, batch: Mapping[str, Any]) -> Tensor:
        self.step += 1
        return self.loss(model(batch["x"]), batch["y"], self.weights if self.step > self.start else None)


def _balanced(y: Tensor, counts: Tensor, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Yield batches of rows drawn so that every class is as likely as another."""
    generator = torch.Generator().manual_seed(seed)
    weights = (1 / counts)[y]
    while True:
        yield torch.multinomial(weights, batch_size, replacement=True, generator=generator)
