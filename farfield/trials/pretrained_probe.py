"""Pretrained encoders side by side on a data set of its own: linear probing as in the paper. One trial of a full study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import nn, tasks
from farfield.errors import InputError, unknown_name
from farfield.study.stage import stage
from farfield.tasks.task import Table, column
from farfield.train import predict, train


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Probe the frozen features of the first encoders, or of a wide one, with the best of several weight decays.

    **Arguments:**
    - ``point``: ``representation``: "single", "cat-k" (the first k of ``encoder_models``) or "wide" (``wide_models``); ``encoder_models``: names as
      `farfield.nn.load` takes them, trained alike but for the seed; ``task``: the target task; ``probe_epochs``, ``probe_batch``, ``decays``;
      ``device``.
    - ``seed``: of the split and the probe.

    **Returns:** ``far``: accuracy (0 to 1) on the target's test, with the weight decay that does best on its validation rows;
    ``features``, ``family``, ``size_factor``. The encoders' accuracy on their source is not measured.

    Raises InputError on a method that needs more encoders than are named, or another method.
    """
    method, encoders = point["representation"], list(point["encoder_models"])
    if method == "wide":
        names, k = [point["wide_models"][0]], len(encoders)
    elif method == "single" or (method.startswith("cat-") and method.removeprefix("cat-").isdigit()):
        k = 1 if method == "single" else int(method.removeprefix("cat-"))
        if not 1 <= k <= len(encoders):
            raise InputError(f"{method} needs {k} encoders; {len(encoders)} are named")
        names = encoders[:k]
    else:
        raise unknown_name("representation of pretrained encoders", method, ("single", "cat-2", "wide"))
    fingerprint = tasks.load(point["task"], seed=seed).fingerprint
    found = [
        features(data=point["task"], fingerprint=fingerprint, encoder=name, device=point["device"], seed=seed, draw=i)
        for i, name in enumerate(names)
    ]
    z = {part: torch.cat([f[part] for f in found], 1) for part in ("train", "val", "test")}
    y = {part: found[0][f"{part}/y"] for part in ("train", "val", "test")}
    best = (-1.0, 0.0)
    for decay in point["decays"]:
        probe = fit_probe(z["train"], y["train"], point, decay, seed)
        best = max(best, (_right(probe, z["val"], y["val"]), _right(probe, z["test"], y["test"])), key=lambda b: b[0])
    return {
        "far": best[1],
        "features": z["train"].shape[1],
        "family": "wide" if method == "wide" else "cat",
        "size_factor": k,
    }


@stage
def features(*, data: str, fingerprint: str, encoder: str, device: str, seed: int, draw: int) -> dict[str, Tensor]:
    """Return the frozen features of an encoder on a task, and the labels: train, val and test, and train/y, val/y and test/y.

    **Arguments:** ``draw``: seed of the weights, where the name does not bring them.
    """
    task = nn.prepare(encoder, tasks.load(data, seed=seed))
    model = _Features(nn.load(encoder, task, seed=draw)).to(device)
    found = {}
    for part, split in (("train", task.train), ("val", task.val), ("test", task.tests["iid"])):
        found[part] = predict(model, split, batch_size=128)
        found[f"{part}/y"] = column(split, "y")
    return found


def fit_probe(z: Tensor, y: Tensor, point: Mapping[str, Any], decay: float, seed: int) -> nn.BNLinearProbe:
    """Return a probe trained by the paper's recipe: SGD with Nesterov momentum at 0.01, a tenth at epochs 8, 16 and 24 of 28.

    The epochs of the drops go with ``probe_epochs``.
    """
    probe = nn.BNLinearProbe(z.shape[1], int(y.max()) + 1, seed=seed).to(point["device"])
    optimizer = torch.optim.SGD(probe.parameter_groups(decay), lr=0.01, momentum=0.9, nesterov=True)
    size = min(point["probe_batch"], len(z))
    steps = -(-point["probe_epochs"] * len(z) // size)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [round(steps * e / 28) for e in (8, 16, 24)])
    train(
        probe,
        Table(x=z, y=y),
        lambda model, batch: torch_nn.functional.cross_entropy(model(batch["x"]), batch["y"]),
        optimizer,
        steps=steps,
        batch_size=size,
        seed=seed,
        hooks=[lambda *_: schedule.step()],
    )
    return probe


def _right(probe: nn.BNLinearProbe, z: Tensor, y: Tensor) -> float:
    return float((predict(probe, Table(x=z)).argmax(1) == y).double().mean())


class _Features(torch_nn.Module):
    """A model up to its head, with the parameters of the whole."""

    def __init__(self, model: torch_nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return nn.features_and_logits(self.model, x)[0]
