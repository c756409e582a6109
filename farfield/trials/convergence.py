"""Two networks trained from different seeds, compared unit by unit at one layer: one trial of a study of convergence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure, nn, tasks
from farfield.compare.evaluate import score
from farfield.errors import unknown_name
from farfield.measure import UnitCorrelation, UnitStatistics
from farfield.methods.method import cross_entropy
from farfield.modules import source_hash
from farfield.names import parse
from farfield.study.stage import stage
from farfield.tasks.task import Split, Task
from farfield.train import train

NETS = ("trained", "untrained", "shuffled")
CHUNK = 512


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Compare the units of one layer of two networks that differ in their initial weights and the order of their batches.

    **Arguments:**
    - ``point``: ``task``, ``model`` (names), ``layer`` (a name in ``model.named_modules()``), ``nets``: "trained",
      "untrained" (the same initial weights, never trained) or "shuffled" (trained, the second sees the images in another
      order: no shared input, so what is left is chance); ``epochs``, ``batch_size``, ``learning_rate`` of Adam,
      ``penalties`` of sparse maps (ascending, from 0), ``clusters`` (numbers of them), ``images`` to measure on at most,
      ``positions`` of each for mutual information at most, ``device``.
    - ``seed``: of the split; the networks have the seeds 2 x seed and 2 x seed + 1, so that no pair shares one.

    **Returns:** the fields of `measure.match_summary`; ``some_not_all`` = min(best - 0.8, 0.5 - worst); curves over units,
    from the best match to the worst, ``greedy_curve`` and ``matching_curve`` (0 for a unit without a partner); ``excess``, by how much a unit's one-to-one
    correlation exceeds that with its best partner, at most; ``information``, the mean over units of the
    best partner's mutual information in bits, and ``information_agreement``, the share of the 8 best units whose partner
    by information is that by correlation; losses of linear maps on other images than they are fitted on: ``map_loss``
    and ``map_weights`` (mean non-zero weights per unit) by penalty, ``dense_loss`` (penalty 0), ``one_to_one_loss``,
    ``few_loss`` (at most 10 weights per unit) and ``few_gain`` over one-to-one, ``fifth_loss`` (at most a fifth of the
    weights) and ``fifth_margin`` = 1.05 dense_loss - fifth_loss; means over joint clusters with two units or more of each
    network ``canonical``, ``cluster_one_to_one`` and ``shared_subspace``, their difference (None where there is no such
    cluster); ``dead``, the share of dead units; ``accuracy``, the mean of both networks.
    """
    if point["nets"] not in NETS:
        raise unknown_name("kind of nets", point["nets"], NETS)
    task = nn.prepare(point["model"], tasks.load(point["task"], seed=seed))
    networks = [network(point, task, split=seed, seed=2 * seed + i).to(point["device"]) for i in (0, 1)]
    # Maps are fitted on one of these and scored on the other; correlations are over both.
    halves = [_first(split, point["images"] // 2) for split in (task.val, task.tests["iid"])]
    fit, held_out, both, samples = _observe(networks, halves, point, seed)
    alive = both.drop_dead()
    samples = [rows[:, torch.as_tensor(keep).cpu()] for rows, keep in zip(samples, (both.alive_a, both.alive_b))]
    return {
        **_matching(alive.between),
        **_information(samples, alive.between),
        **_maps(fit, held_out, point["penalties"]),
        **_clusters(alive, point["clusters"]),
        "dead": 1 - float(torch.cat([both.alive_a, both.alive_b]).double().mean()),
        "accuracy": sum(score(net, task.tests["iid"]).accuracy for net in networks) / 2,
    }


def network(point: Mapping[str, Any], task: Task, *, split: int, seed: int) -> torch_nn.Module:
    """Return a network with the initial weights of a seed, trained unless ``point["nets"]`` says otherwise.

    **Arguments:** ``point``: as `trial`; ``split``: the seed of the task's split, so that training sees the same rows.
    """
    model = nn.load(point["model"], task, seed=seed)
    if point["nets"] != "untrained":
        names = (point["task"], point["model"])
        settings = {name: point[name] for name in ("task", "model", "epochs", "batch_size", "learning_rate", "device")}
        sources = [source_hash(name) for name in names if parse(name).kind == "module"]
        model.load_state_dict(trained(**settings, split=split, seed=seed, sources=[task.fingerprint, *sources]))
    return model


@stage
def trained(
    *,
    task: str,
    model: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    device: str,
    split: int,
    seed: int,
    sources: list[str],
) -> dict[str, Tensor]:
    """Return the weights of a network trained with Adam on cross-entropy, as a state dict.

    **Arguments:** ``split``, ``seed``: of the task, and of the initial weights and batches; ``sources``: hashes of the data and of
    the user's modules, so that changed ones are trained anew.
    """
    prepared = nn.prepare(model, tasks.load(task, seed=split))
    fresh = nn.load(model, prepared, seed=seed).to(device)
    train(
        fresh,
        prepared.train,
        cross_entropy,
        torch.optim.Adam(fresh.parameters(), lr=learning_rate),
        steps=epochs * math.ceil(len(prepared.train) / batch_size),
        batch_size=batch_size,
        seed=seed,
    )
    return fresh.state_dict()


def _first(split: Split, n: int) -> tuple[Split, Tensor]:
    """Return a split and up to n of its rows, evenly over it: tests are often sorted by class."""
    return split, torch.linspace(0, len(split) - 1, min(n, len(split))).round().long()


def _observe(
    networks: Sequence[torch_nn.Module], halves: Sequence[tuple[Split, Tensor]], point: Mapping[str, Any], seed: int
) -> tuple[UnitStatistics, UnitStatistics, UnitStatistics, list[Tensor]]:
    """Return statistics on each half and on both, and some samples of both networks for mutual information."""
    generator = torch.Generator().manual_seed(seed)
    made: list[UnitCorrelation] = []
    kept: list[list[Tensor]] = [[], []]
    for half, (split, rows) in enumerate(halves):
        others = rows[torch.randperm(len(rows), generator=generator)] if point["nets"] == "shuffled" else rows
        for pair in zip(rows.split(CHUNK), others.split(CHUNK)):
            a, b = (
                measure.activations(net, split[at], point["layer"], pool="space", progress=False)[point["layer"]]
                for net, at in zip(networks, pair)
            )
            made = made or [UnitCorrelation(a.shape[1], b.shape[1]) for _ in range(3)]
            for which in (half, 2):
                made[which].update(a.to(point["device"]), b.to(point["device"]))
            most = point["positions"] * len(pair[0])
            some = torch.randperm(len(a), generator=generator)[:most].sort().values if most < len(a) else slice(None)
            kept[0].append(a[some])
            kept[1].append(b[some])
    fit, held_out, both = (m.result() for m in made)
    return fit, held_out, both, [torch.cat(rows) for rows in kept]


def _matching(between: Tensor) -> dict[str, Any]:
    summary = measure.match_summary(between)
    best, (partner, matched) = measure.semi_match(between)[1], measure.bipartite_match(between)
    order = best.argsort(descending=True)
    return {
        **{name: getattr(summary, name) for name in ("greedy", "matching", "overlap", "best", "worst")},
        # Over units that have a partner: where the second network has fewer living units, those of the first that match worst
        # go without, and the mean over all of their best correlations can be lower than the mean over the pairs.
        "excess": float((matched - best)[partner >= 0].max()),
        "some_not_all": min(summary.best - 0.8, 0.5 - summary.worst),
        "greedy_curve": _twentieths(best[order]),
        "matching_curve": _twentieths(matched[order]),
    }


def _twentieths(values: Tensor) -> list[float]:
    """Return a curve over units at 20 places, so that layers with different numbers of living units can be averaged."""
    units = (np.arange(len(values)) + 0.5) / len(values)
    return np.interp((np.arange(20) + 0.5) / 20, units, values.cpu().numpy()).tolist()


def _information(samples: Sequence[Tensor], between: Tensor) -> dict[str, Any]:
    partner, bits = measure.semi_match(measure.unit_mutual_information(*samples, units="bits"))
    index, value = measure.semi_match(between.cpu())
    best = value.argsort(descending=True)[:8]
    return {
        "information": float(bits.mean()),
        "information_agreement": float((partner == index)[best].double().mean()),
    }


def _maps(fit: UnitStatistics, held_out: UnitStatistics, penalties: Sequence[float]) -> dict[str, Any]:
    found = [measure.sparse_map_from_statistics(fit, lam, tolerance=1e-6) for lam in penalties]
    losses, weights = [m.loss_on(held_out) for m in found], [m.mean_nnz for m in found]

    def at_most(limit: float) -> float | None:
        return next((loss for loss, n in zip(losses, weights) if n <= limit), None)

    single, few = measure.one_to_one_map(fit).loss_on(held_out), at_most(10)
    fifth = at_most(0.2 * len(fit.mean_a))
    return {
        "map_loss": losses,
        "map_weights": weights,
        "dense_loss": losses[0],
        "one_to_one_loss": single,
        "few_loss": few,
        "few_gain": None if few is None else single - few,
        "fifth_loss": fifth,
        "fifth_margin": None if fifth is None else 1.05 * losses[0] - fifth,
    }


def _clusters(alive: UnitStatistics, numbers: Sequence[int]) -> dict[str, Any]:
    units = sum(alive.between.shape)
    means = []
    for k in numbers:
        if k > units:
            continue
        found = measure.joint_spectral_clusters(alive.between, k=k)
        similar = measure.cluster_subspace_similarity(alive, found.labels_a, found.labels_b)
        large = [(s.canonical, s.one_to_one) for s in similar if min(s.size_a, s.size_b) >= 2]
        if large:
            means.append(np.mean(large, axis=0))
    if not means:
        return {"canonical": None, "cluster_one_to_one": None, "shared_subspace": None}
    canonical, single = np.mean(means, axis=0).tolist()
    return {"canonical": canonical, "cluster_one_to_one": single, "shared_subspace": canonical - single}
