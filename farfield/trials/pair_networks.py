"""What arbitrary pairs are learned with: an encoder, what the loss reads, and gates that are learned, random or all open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import nn
from farfield.nn.evaluating import evaluating
from farfield.tasks.task import Task

GATED = ("hydra", "hydra-binary")


def small(task: Task) -> nn.Classifier:
    """Return an encoder of one hidden layer: 256 features, BatchNorm, ReLU, then 64. ``farfield.trials.pair_networks:small`` is its name."""
    size = task.train[torch.arange(1)]["x"].numel()
    layers = torch_nn.Linear(size, 256), torch_nn.BatchNorm1d(256), torch_nn.ReLU(), torch_nn.Linear(256, 64)
    return nn.Classifier(torch_nn.Sequential(torch_nn.Flatten(), *layers), torch_nn.Linear(64, task.outputs.count))


def build(point: Mapping[str, Any], task: Task, seed: int) -> torch_nn.ModuleDict:
    """Return what is trained: "encoder", "project" (identity where ``projection`` is 0), "head" of the classes, and "gate".

    A gate is a module from two batches of labels to gates; of a way without gates it is all ones. Without a
    projection, ``dims`` is not looked at.
    """
    way = point["way"]
    name = point["frozen_models"][0] if way == "pretrained" else point["model"]
    model = nn.load(name, nn.prepare(name, task), seed=seed)
    encoder = _Features(model)
    with torch.no_grad(), evaluating(encoder):
        width = encoder(task.train[torch.arange(2)]["x"]).shape[1]
    count = task.outputs.count
    layers = 0 if way == "pretrained" else point["projection"]
    dims = point["dims"] if layers else width
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        project: list[torch_nn.Module] = []
        for i in range(layers):
            last = i == layers - 1
            project.append(torch_nn.Linear(width, dims if last else width))
            project += [] if last else [torch_nn.BatchNorm1d(width), torch_nn.ReLU()]
        head = torch_nn.Linear(width, count)
        if way in GATED:
            gate: torch_nn.Module = nn.PairGate(count, dims, combine=point["combine"])
        else:
            gate = _RandomGate(count, dims, seed) if way == "random-gates" else _Open(dims)
    parts = {"encoder": encoder, "project": torch_nn.Sequential(*project), "head": head, "gate": gate}
    return torch_nn.ModuleDict(parts)


class _Features(torch_nn.Module):
    """A model up to its head."""

    def __init__(self, model: torch_nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return nn.features_and_logits(self.model, x)[0]


class _Open(torch_nn.Module):
    """No gate: all features for every pair."""

    def __init__(self, dims: int):
        super().__init__()
        self.dims = dims

    def forward(self, y1: Tensor, y2: Tensor) -> Tensor:
        return torch.ones(len(y1), self.dims, device=y1.device)


class _RandomGate(torch_nn.Module):
    """For every unordered pair of classes a random half of the features, which stays."""

    def __init__(self, count: int, dims: int, seed: int):
        super().__init__()
        self.count = count
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(count * (count + 1) // 2, dims, generator=generator)
        self.register_buffer("kept", drawn <= drawn.median(1, keepdim=True).values)

    def forward(self, y1: Tensor, y2: Tensor) -> Tensor:
        low, high = torch.minimum(y1, y2), torch.maximum(y1, y2)
        return self.kept[low * (2 * self.count - low + 1) // 2 + high - low].float()
