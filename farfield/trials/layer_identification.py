"""Whether the layers of a network can be told from those of networks with other seeds: one trial of a study of dissimilarities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from farfield import measure, methods, nn, tasks
from farfield.errors import InputError
from farfield.measure.dissimilarity.windows import CLASSES
from farfield.study.stage import stage
from farfield.tasks.task import Split, column

# Of a point: what the networks and their stimuli are made of, and the sizes of the analysis.
NETWORKS = (
    "task", "model", "method", "steps", "batch_size", "learning_rate", "weight_decay", "layers", "stimuli", "device",
)  # fmt: skip
SIZES = ("systems", "windows", "draws", "step", "bootstraps")
STATISTICS = ("rdm", "rank", *CLASSES, "geodesic", "chosen")


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Tell the layers of one network from those of the others by one statistic of their dissimilarities.

    The networks differ in their seed only and see the same stimuli. A dissimilarity matrix (correlation distance) is told to be
    of a layer by the nearest centroid of the other networks, see `farfield.measure.identification`.

    **Arguments:**
    - ``point``: ``statistic``: "rdm" (as it is), "rank", a class of windows of the geo-topological transform, "geodesic" (in
      two steps, with local windows), or "chosen": the best window of a grid. ``noise``: standard deviation of Gaussian noise, as a
      share of that of what it is added to, ``noise_on``: "rdms" (all entries; negative ones become 0) or "activations" (each
      layer of each network). ``task``, ``model``, ``method``, ``steps``, ``batch_size``, ``learning_rate``, ``weight_decay``, ``device``
      of the networks; ``layers`` as for `farfield.measure.activations`; ``stimuli``: how many near test images, as evenly over the
      classes as they come. ``systems``: how many networks; ``windows`` of a class, ``draws`` of the noise, ``step`` of the grid,
      ``bootstraps``.
    - ``seed``: the network that is left out.

    **Returns:** ``accuracy``: of this network's layers, mean over windows and draws. For "rank" and "chosen" ``half_accuracy``: the
    networks are halved, a window is chosen on the half that this network is not in and scored in its own ("rank" takes (0, 1)).
    ``accuracy_lost``, ``half_accuracy_lost``: that without noise minus this. Without noise ``bootstrap_sd``: standard
    deviation of the accuracy of all networks over resampled matrices and stimuli; for "chosen" ``points`` (layer, 4): where
    this network's raw and best transformed matrices lie in the plane, and for seed 0 ``grid``: l, u and accuracy of each cell.

    Raises InputError on an unknown statistic or place of the noise, negative noise, fewer systems than the seed needs (4 for
    "rank" and "chosen", else 2).
    """
    if point["statistic"] not in STATISTICS or point["noise_on"] not in ("rdms", "activations"):
        raise InputError(
            f"statistic is {point['statistic']!r} and noise_on {point['noise_on']!r}; expected one of {', '.join(STATISTICS)}, and "
            "rdms or activations"
        )
    if point["noise"] < 0:
        raise InputError(f"noise is {point['noise']}; it must be at least 0")
    least = max(seed + 1, 4 if point["statistic"] in ("rank", "chosen") else 2)
    if point["systems"] < least:
        raise InputError(f"systems is {point['systems']}; {point['statistic']} and seed {seed} need at least {least}")
    asked = {"statistic": point["statistic"], "networks": {name: point[name] for name in NETWORKS}}
    asked |= {name: point[name] for name in SIZES}
    clean = identified(noise=0.0, noise_on="rdms", **asked)
    found = identified(noise=point["noise"], noise_on=point["noise_on"], **asked) if point["noise"] else clean
    result: dict[str, Any] = {}
    for name in ("accuracy", "half_accuracy"):
        if name in found:
            result[name] = float(found[name][seed])
            result[f"{name}_lost"] = float(clean[name][seed]) - result[name]
    if "bootstrap_sd" in found:
        result["bootstrap_sd"] = float(found["bootstrap_sd"])
    if "points" in found:
        result["points"] = found["points"].reshape(point["systems"], -1, 4)[seed].tolist()
        if seed == 0:
            result["grid"] = found["grid"].tolist()
    return result


@stage
def responses(
    *,
    seed: int,
    task: str,
    model: str,
    method: str,
    layers: str | Sequence[str] | None,
    stimuli: int,
    device: str,
    **training,
) -> dict[str, Tensor]:
    """Return what each layer of the network of this seed gives on the stimuli, (stimuli, features) by its number."""
    # One split for all networks: they must see the same stimuli.
    data = nn.prepare(model, tasks.load(task, seed=0))
    network = methods.load(method)(nn.load(model, data, seed=seed).to(device), data, seed=seed, **training).model
    test = data.tests["iid"]
    shown = test[chosen_stimuli(test, stimuli)]["x"]
    found = measure.activations(network, shown, layers, pool="flatten", progress=False)
    return {f"{i:03d}": rows for i, rows in enumerate(found.values())}


def chosen_stimuli(test: Split, count: int) -> Tensor:
    """Return the indices of the first examples of each class, ``count`` in all, in the order of the split.

    >>> from farfield.tasks import Table
    >>> chosen_stimuli(Table(y=torch.tensor([0, 0, 0, 1, 1, 2])), 4).tolist()
    [0, 1, 3, 5]
    """
    y = column(test, "y")
    if not 3 <= count <= len(y):
        raise InputError(f"stimuli is {count}; the near test has {len(y)} examples, and 3 are needed")
    # The first of every class come first, then the second ones, ...
    turn = torch.nn.functional.one_hot(y).cumsum(0).gather(1, y[:, None])[:, 0]
    return turn.argsort(stable=True)[:count].sort().values


@stage
def identified(
    *,
    statistic: str,
    noise: float,
    noise_on: str,
    systems: int,
    windows: int,
    draws: int,
    step: float,
    bootstraps: int,
    networks: Mapping[str, Any],
) -> dict[str, Tensor]:
    """Return how well each network's layers are told, for all networks at once: what the trials of all seeds share."""
    acts = [list(responses(seed=seed, **networks).values()) for seed in range(systems)]
    subject = np.repeat(np.arange(systems), len(acts[0]))
    label = np.tile(np.arange(len(acts[0])), systems)
    found: dict[str, list[list[float]]] = {"accuracy": [], "half_accuracy": []}
    rdms = np.empty(0)
    for draw in range(draws if noise else 1):
        rdms = noisy_rdms(acts, noise, noise_on, torch.Generator().manual_seed(draw))
        if statistic in ("rank", "chosen"):
            found["half_accuracy"].append(_halves(rdms, subject, label, step if statistic == "chosen" else None))
        for seen in transformed(statistic, rdms, windows) if statistic != "chosen" else ():
            found["accuracy"].append(list(measure.identification(seen, subject, label).by_subject.values()))
    result = {name: torch.tensor(values, dtype=torch.float64).mean(0) for name, values in found.items() if values}
    if statistic == "chosen" and not noise:
        grid = measure.trsa_grid(rdms, subject, label, step)
        best = measure.geotopological(rdms, *_best(grid))
        result |= {"grid": torch.tensor(grid.to_numpy()), "points": torch.cat([plane(rdms), plane(best)], 1)}
    elif not noise:
        result["bootstrap_sd"] = _bootstrap_sd(list(transformed(statistic, rdms, windows)), subject, label, bootstraps)
    return result


def noisy_rdms(acts: Sequence[Sequence[Tensor]], noise: float, noise_on: str, generator: torch.Generator) -> np.ndarray:
    """Return the correlation distances of every layer of every network (rows, pairs), with noise on them or on what they are of.

    >>> acts = [[torch.eye(3), torch.eye(3)]]
    >>> noisy_rdms(acts, 0.0, "rdms", torch.Generator()).round(3).tolist()
    [[1.5, 1.5, 1.5], [1.5, 1.5, 1.5]]
    """

    def noised(x: Tensor) -> Tensor:
        return x + noise * x.std(correction=0) * torch.randn(x.shape, generator=generator, dtype=x.dtype)

    on_activations = noise > 0 and noise_on == "activations"
    rows = [measure.rdm(noised(x) if on_activations else x, "correlation") for layers in acts for x in layers]
    rdms = torch.stack(rows)
    return (noised(rdms).clamp(min=0) if noise and not on_activations else rdms).numpy()


def transformed(statistic: str, rdms: np.ndarray, windows: int) -> Iterator[np.ndarray]:
    """Yield the dissimilarities under a statistic, once for each of its windows, which are the same in every call."""
    if statistic in ("rdm", "rank"):
        yield rdms if statistic == "rdm" else measure.rank_minmax(rdms)
        return
    cls = "local" if statistic == "geodesic" else statistic
    for low, high in measure.sample_lu(cls, windows, torch.Generator().manual_seed(0)):
        if statistic == "geodesic":
            yield measure.geodesic_rdm(rdms, l=low, u=high)
        else:
            yield measure.geotopological(rdms, low, high)


def plane(rows: np.ndarray) -> Tensor:
    """Return the two coordinates that keep most of the Euclidean distances of rows: classical scaling, which for them is PCA.

    >>> plane(np.array([[0.0, 0.0], [3.0, 4.0]])).abs().round(decimals=3)[:, 0].tolist()
    [2.5, 2.5]
    """
    left, values, _ = torch.linalg.svd(torch.from_numpy(rows - rows.mean(0)), full_matrices=False)
    return left[:, :2] * values[:2]


def _halves(rdms: np.ndarray, subject: np.ndarray, label: np.ndarray, step: float | None) -> list[float]:
    """Return the accuracy of each network within its half, under the window that is best in the other half (None: (0, 1))."""
    late = subject >= (subject.max() + 1) // 2
    found: dict[int, float] = {}
    for choose, score in ((late, ~late), (~late, late)):
        grid = None if step is None else measure.trsa_grid(rdms[choose], subject[choose], label[choose], step)
        seen = measure.geotopological(rdms[score], *((0.0, 1.0) if grid is None else _best(grid)))
        found |= measure.identification(seen, subject[score], label[score]).by_subject
    return [found[s] for s in sorted(found)]


def _best(grid: Any) -> tuple[float, float]:
    low, high = grid.loc[grid["accuracy"].idxmax(), ["l", "u"]]
    return float(low), float(high)


def _bootstrap_sd(shown: list[np.ndarray], subject: np.ndarray, label: np.ndarray, bootstraps: int) -> Tensor:
    """Return the standard deviation of the windows' mean accuracy; a bootstrap draws the same rows and stimuli for all of them."""
    means = []
    for number in range(bootstraps):
        accuracies = []
        for rows in shown:
            drawn = measure.bootstrap_rdms(rows, subject, label, generator=torch.Generator().manual_seed(number))
            accuracies.append(measure.identification_accuracy(drawn.rdms, drawn.subject, drawn.label))
        means.append(sum(accuracies) / len(accuracies))
    return torch.tensor(means, dtype=torch.float64).std()
