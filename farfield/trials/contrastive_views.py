"""Features learned without labels from two augmented views of each image, and what linear probes read out of them: one trial."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional as F

from farfield import measure, nn, tasks
from farfield.augment import ContrastiveView, RandomFieldAffine
from farfield.errors import InputError
from farfield.losses import InfoNCE
from farfield.methods.random_fields import random_field_transforms
from farfield.modules import load_object
from farfield.nn.evaluating import evaluating
from farfield.tasks.sources import area_average
from farfield.tasks.task import Image, Table, Task, column
from farfield.train import predict, train

EPISODES = 5  # of a probe that draws some of many classes
CHUNK = 8192
EXAMPLES = 5


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train an encoder on views of unlabelled images, and fit linear classifiers to its features, there and on other data.

    **Arguments:**
    - ``point``: ``task`` (its training images are learned from), ``probe_tasks`` (names of image tasks, each with labels of its own; a list, or with + between them), ``size`` of
      all images in pixels, ``background`` (put grey images on smooth colours); ``model``: a name as `farfield.nn.load` takes it, or "small";
      ``objective``: "info-nce", or ``module:name`` of a function of two batches of projections; ``temperature``, ``projection`` (width);
      ``steps``, ``batch_size``, ``learning_rate`` of Adam, ``device``; of the view: ``crop``, ``flip``, ``jitter``, ``grayscale``, ``blur``; of the fields: ``strength``,
      ``fields`` ("spatial", "colour", "both" or "elastic": translation alone), ``gamma``, ``kernel``, ``length``, ``p``; ``labels`` of a probe at most,
      ``ways`` (classes of a probe at most, drawn five times over; None for all).
    - ``seed``: of splits, weights, batches and draws.

    **Returns:** accuracies (0 to 1): ``near`` (the probe of ``task``), ``far`` (mean over ``probe_tasks``), ``probes`` by name; ``excess`` = far - near; ``structure_loss``,
    ``displacement`` (mean, in pixels) and ``folded`` (share) of what the fields do to the images; ``loss`` (mean of the last tenth of the steps);
    ``examples``: the same images under these fields, rows of pixels, 0 to 1.
    """
    size, background = point["size"], point["background"]
    task = _resized(point["task"], size, background, seed)
    inner = transforms(point, task.inputs.channels, seed)
    # The base has a warp too, the identity: every arm samples its images equally often.
    inner = inner or [RandomFieldAffine()]
    pipeline = {key: point[key] for key in ("crop", "flip", "jitter", "grayscale", "blur")}
    view = ContrastiveView(**pipeline, inner=inner, seed=seed)
    encoder, project = networks(point, task, seed)
    learner = torch_nn.ModuleDict({"encoder": encoder, "project": project}).to(point["device"])
    objective = _objective(point)

    def loss(model: torch_nn.Module, batch: dict[str, Tensor]) -> Tensor:
        x = batch["x"]
        first, second = (model["project"](model["encoder"](view(x))) for _ in range(2))
        return objective(first, second)

    optimizer = torch.optim.Adam(learner.parameters(), lr=point["learning_rate"], fused=True)
    history = train(
        learner, task.train, loss, optimizer, steps=point["steps"], batch_size=point["batch_size"], seed=seed
    )
    near = probe(encoder, task, point, seed)
    names = point["probe_tasks"].split("+") if isinstance(point["probe_tasks"], str) else point["probe_tasks"]
    far = {name: probe(encoder, _resized(name, size, background, seed), point, seed) for name in names}
    last = history.loss[-max(1, len(history.loss) // 10) :]
    mean_far = sum(far.values()) / len(far)
    return {
        "near": near,
        "far": mean_far,
        "excess": mean_far - near,
        "probes": far,
        "loss": sum(last) / len(last),
        **_damage(point, task, seed),
    }


def transforms(point: Mapping[str, Any], channels: int, seed: int) -> list[torch_nn.Module]:
    """Return the random fields of an arm, none at strength 0.

    Raises InputError on another kind of ``fields``.
    """
    kind, settings = point["fields"], {key: point[key] for key in ("gamma", "kernel", "length", "p")}
    if kind not in ("spatial", "colour", "both", "elastic"):
        raise InputError(f"fields is {kind!r}; it must be 'spatial', 'colour', 'both' or 'elastic'")
    if point["strength"] == 0:
        return []
    if kind == "elastic":
        # A displacement alone, as much as that of the fields of this strength.
        settings["kernel"] = "rbf"
        return [RandomFieldAffine(translation=0.15 * point["strength"], seed=2 * seed, **settings)]
    spatial, colour = kind in ("spatial", "both"), kind in ("colour", "both")
    return random_field_transforms(
        point["strength"], channels=channels, seed=seed, spatial=spatial, color=colour, **settings
    )


def networks(point: Mapping[str, Any], task: Task, seed: int) -> tuple[torch_nn.Module, torch_nn.Module]:
    """Return an encoder, and the projection of its features that the objective reads.

    "small" is two 3x3 convolutions of 16 and 32 channels, each with ReLU and 2x2 max pooling, and a linear layer to 32.
    """
    image = task.inputs
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if point["model"] == "small":
            layers: list[torch_nn.Module] = []
            for before, after in ((image.channels, 16), (16, 32)):
                layers += [torch_nn.Conv2d(before, after, 3, padding=1), torch_nn.ReLU(), torch_nn.MaxPool2d(2)]
            pixels = (image.height // 4) * (image.width // 4)
            encoder: torch_nn.Module = torch_nn.Sequential(
                *layers, torch_nn.Flatten(), torch_nn.Linear(32 * pixels, 32)
            )
            width = 32
        else:
            encoder = _Features(nn.load(point["model"], task, seed=seed))
            with torch.no_grad(), evaluating(encoder):
                width = encoder(task.train[torch.arange(2)]["x"]).shape[1]
        out = point["projection"]
        project = torch_nn.Sequential(torch_nn.Linear(width, width), torch_nn.ReLU(), torch_nn.Linear(width, out))
    return encoder, project


def resnet50(task: Task) -> nn.Classifier:
    """Return ResNet-50 with random weights, as ``model`` takes it: ``farfield.trials.contrastive_views:resnet50``.

    Raises MissingExtra without the package transformers.
    """
    try:
        from transformers import ResNetConfig, ResNetModel
    except ImportError as error:
        from farfield.errors import MissingExtra

        raise MissingExtra("transformers", extra="hf", needed_by="ResNet-50") from error

    class Pooled(torch_nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = ResNetModel(ResNetConfig(num_channels=task.inputs.channels))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(pixel_values=x).pooler_output.flatten(1)

    body = torch_nn.Sequential(nn.Standardize.fit(task.train), Pooled())
    return nn.Classifier(body, torch_nn.Linear(2048, task.outputs.count))


def probe(encoder: torch_nn.Module, task: Task, point: Mapping[str, Any], seed: int) -> float:
    """Return the accuracy on a task's near test of a linear classifier of an encoder's features, fitted to its labels.

    Raises InputError where the labels, drawn by the seed, leave out a class of the test.
    """
    random = np.random.default_rng([seed, 0x9B])
    kept = torch.from_numpy(random.permutation(len(task.train))[: max(point["labels"], 1)])
    ways = point["ways"]
    many = ways is not None and task.outputs.count > ways
    # Of a task with many classes all rows are needed: a thousand would leave some with none.
    rows = torch.arange(len(task.train)) if many else kept
    train_part, test_part = Table(**task.train[rows]), task.tests["iid"]
    z, z_test = predict(encoder, train_part), predict(encoder, test_part)
    y, y_test = column(train_part, "y"), column(test_part, "y")
    if not many:
        return measure.transfer_probe(z, y, z_test, y_test, (1.0,))
    scores = []
    for _ in range(EPISODES):
        classes = torch.from_numpy(random.permutation(task.outputs.count)[:ways])
        a, b = torch.isin(y, classes).nonzero().flatten()[: point["labels"]], torch.isin(y_test, classes)
        scores.append(measure.transfer_probe(z[a], y[a], z_test[b], y_test[b], (1.0,)))
    return sum(scores) / len(scores)


def _damage(point: Mapping[str, Any], task: Task, seed: int) -> dict[str, Any]:
    """Return what the fields do to some images, drawn apart from the training's."""
    x = task.val[torch.arange(min(256, len(task.val)))]["x"]
    made = transforms(point, task.inputs.channels, seed + 10_000)
    changed = x
    for transform in made:
        changed = transform(changed)
    height, width = x.shape[2:]
    warps = [t for t in made if isinstance(t, RandomFieldAffine)]
    still = measure.WarpDistortion(0.0, 0.0)
    bent = measure.warp_distortion(warps[0].sources(256, height, width)) if warps else still
    examples = (changed[:EXAMPLES] * 100).round() / 100
    return {
        "structure_loss": measure.structure_loss(x, changed),
        "displacement": bent.displacement,
        "folded": bent.folded,
        # Channels last, as pictures are drawn.
        "examples": [[[[round(v, 2) for v in p] for p in r] for r in e] for e in examples.permute(0, 2, 3, 1).tolist()],
    }


@functools.lru_cache(maxsize=8)
def _resized(name: str, size: int, background: bool, seed: int) -> Task:
    """Return an image task with its images at the size of the study, on coloured backgrounds or not.

    Kept for a while: all arms of a seed see the same images.
    """
    task = tasks.load(name, seed=seed)
    if not isinstance(task.inputs, Image):
        raise InputError(f"the task {task.name} has {task.inputs}; expected images")
    if (task.inputs.height, task.inputs.width) == (size, size) and not background:
        return task
    if background and task.inputs.channels != 1:
        raise InputError(
            f"the task {task.name} has images of {task.inputs.channels} channels; backgrounds need grey ones"
        )

    def convert(split: Any, part: int) -> Table:
        pieces = []
        for i in range(0, len(split), CHUNK):
            x = split[torch.arange(i, min(i + CHUNK, len(split)))]["x"]
            small = min(x.shape[2:]) < size
            # Larger ones by the mean of the area, so that nothing is skipped.
            x = F.interpolate(x, (size, size), mode="bilinear") if small else area_average(x, size, size)
            x = x.clamp(0, 1)
            if background:
                x = tasks.field_backgrounds(x, seed=(seed * 100 + part) * 1000 + i // CHUNK)
            pieces.append(x.mul(255).round().to(torch.uint8))
        return Table(x=torch.cat(pieces), y=column(split, "y"), domain=torch.zeros(len(split), dtype=torch.long))

    return dataclasses.replace(
        task,
        train=convert(task.train, 0),
        val=convert(task.val, 1),
        tests={"iid": convert(task.tests["iid"], 2)},
        inputs=Image(3 if background else task.inputs.channels, size, size),
        domains=("all",),
        severity={},
    )


def _objective(point: Mapping[str, Any]) -> Callable[[Tensor, Tensor], Tensor]:
    if point["objective"] == "info-nce":
        return InfoNCE(point["temperature"])
    return load_object(point["objective"], kind="objective")


class _Features(torch_nn.Module):
    """A classifier up to its head."""

    def __init__(self, model: torch_nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return nn.features_and_logits(self.model, x)[0]
