"""Whether concepts that need long descriptions generalize by rules, and those with short ones by similarity: one trial.

The paper's experiment is not public. This is our way to do it: all classes of all sets make one world of concepts, a network learns
most of them, and the others are novel, shown by three examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional as F

from farfield import measure
from farfield.errors import InputError
from farfield.study.stage import stage
from farfield.tasks.task import Classes, Table, Task, column
from farfield.train import train
from farfield.trials.description import TRAINING, accuracy_of, fit, load_set, pooled_maps, set_names, sources

WORLD_SETTINGS = (*TRAINING, "novel", "world_images", "world_concepts")
# So little that it counts only where nothing else holds the examples.
ANYTHING = 1e-12


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Judge membership in novel concepts by a rule and by similarity, and relate both to the length of the concepts' descriptions.

    **Arguments:** ``point``: as in `farfield.trials.description.trial`; ``novel``: concepts left out of training; ``world_images``: of each concept, at most,
    in each part; ``world_concepts``: classes of each set, at most; ``examples`` (3), ``draws`` of them; ``top``: attributes of highest
    representativeness, shared by the examples, that rules are made of; ``rule_size``: longest conjunction; ``quantile``: above it an attribute is on.

    **Returns:** ``accuracy`` on the known concepts; means over novel concepts of the AUC by ``rule`` and ``rule_uniform`` (the most probable conjunction;
    informative or uniform prior), ``similarity`` (mean over all hypotheses, weak sampling) and ``cosine``, each as ``auc/...``, and for concepts above
    (``high/...``) and up to (``low/...``) the median complexity; ``complexity``, mean channels needed; ``rule_gap`` (high minus low), ``similarity_gap`` and
    ``cosine_gap`` (low minus high), ``interaction`` and ``cosine_interaction`` (rule_gap plus the other), ``rho``, ``cosine_rho`` and ``area_rho``: rank correlation of complexity
    (of its area form) with rule minus similarity AUC. None where all complexities are equal.
    """
    settings = {key: point[key] for key in WORLD_SETTINGS}
    names = set_names(point)
    kept = world(sets=names, settings=settings, sources=sources(point, names, seed), seed=seed)
    count = int(kept["train/y"].max()) + 1
    raw = measure.attribute_matrix(kept["train/peaks"], kept["train/y"], count=count)
    curve = measure.description_curve(
        kept["test/means"], kept["test/y"], kept["weight"], measure.representativeness(raw), bias=kept["bias"]
    )
    options = {"t": point["share"], "relative": True, "least": 2 / count}
    k = measure.subjective_complexity(curve, **options)
    area = measure.subjective_complexity(curve, rule="area", converge=0.0, least=2 / count)
    novel = kept["novel"].tolist()
    aucs = {c: _aucs(point, kept, raw, c, seed) for c in novel}
    result: dict[str, Any] = {
        "accuracy": float(kept["accuracy"]),
        "auc": {kind: sum(a[kind] for a in aucs.values()) / len(aucs) for kind in aucs[novel[0]]},
    }
    # A concept that is not recognised even with all channels has no description.
    used = [c for c in novel if not k[c].isnan()]
    return result | relations([float(k[c]) for c in used], [float(area[c]) for c in used], [aucs[c] for c in used])


def relations(k: list[float], area: list[float], aucs: list[Mapping[str, float]]) -> dict[str, Any]:
    """Return how the AUC by rules and by similarity goes with the complexity of concepts, see `trial`.

    >>> found = relations([1, 2, 3, 4], [1, 2, 3, 4], [{"rule": r, "similarity": 0.8, "cosine": 0.9} for r in (0.5, 0.6, 0.7, 0.8)])
    >>> round(found["rule_gap"], 3), round(found["interaction"], 3), round(found["rho"], 3)
    (0.2, 0.2, 1.0)
    """
    named = ("rule_gap", "similarity_gap", "cosine_gap", "interaction", "cosine_interaction")
    rhos = ("rho", "cosine_rho", "area_rho")
    result: dict[str, Any] = {"concepts": len(k), "complexity": sum(k) / len(k) if k else None}
    result |= dict.fromkeys((*named, *rhos))
    middle = float(torch.tensor(k, dtype=torch.float64).quantile(0.5)) if k else 0.0
    high = [c > middle for c in k]
    if not any(high):
        return result
    mean = {
        (kind, side): sum(a[kind] for a, h in zip(aucs, high) if h == side) / sum(h == side for h in high)
        for kind in aucs[0]
        for side in (True, False)
    }
    result |= {name: {kind: mean[kind, side] for kind in aucs[0]} for name, side in (("high", True), ("low", False))}
    rule_gap = mean["rule", True] - mean["rule", False]
    result["rule_gap"] = rule_gap
    for kind, name in (("similarity", "interaction"), ("cosine", "cosine_interaction")):
        result[f"{kind}_gap"] = mean[kind, False] - mean[kind, True]
        result[name] = rule_gap + result[f"{kind}_gap"]
    for name, kind, by in (("rho", "similarity", k), ("cosine_rho", "cosine", k), ("area_rho", "similarity", area)):
        favour = [a["rule"] - a[kind] for a in aucs]
        if len(k) >= 3 and len(set(favour)) > 1 and len(set(by)) > 1:
            result[name] = measure.rank_correlation(by, favour, permutations=1).value
    return result


def _aucs(point: Mapping[str, Any], kept: Mapping[str, Tensor], raw: Tensor, concept: int, seed: int) -> dict:
    """Return the mean AUC over draws of examples, by rule and by similarity, of a novel concept against all others."""
    from sklearn.metrics import roc_auc_score

    known = ~torch.isin(torch.arange(len(raw)), kept["novel"])
    train_known = kept["train/peaks"][known[kept["train/y"]]]
    # Strided, as quantile takes no more than 16 million numbers.
    limits = train_known[:: 1 + train_known.numel() // 2**24].quantile(point["quantile"], dim=0)
    prior = measure.attribute_given_concept(raw[known]).mean(0)
    mine = torch.nonzero(kept["train/y"] == concept).flatten()
    y = (kept["test/y"] == concept).numpy()
    generator = torch.Generator().manual_seed(1000 * seed + concept)
    total: dict[str, float] = {}
    for _ in range(point["draws"]):
        examples = mine[torch.randperm(len(mine), generator=generator)[: point["examples"]]]
        peaks = torch.cat([kept["train/peaks"][examples], kept["test/peaks"]])
        scores = judgements(point, peaks, len(examples), limits, prior, raw[known])
        for kind, score in scores.items():
            total[kind] = total.get(kind, 0.0) + roc_auc_score(y, score[len(examples) :].numpy()) / point["draws"]
    return total


def judgements(
    point: Mapping[str, Any], peaks: Tensor, examples: int, limits: Tensor, prior: Tensor, raw: Tensor
) -> dict[str, Tensor]:
    """Return how likely everything in a world belongs to the concept of its first rows, by rule and by similarity: (n,) each.

    **Arguments:** ``peaks``: (n, d) of the world, the first ``examples`` rows show the concept; ``limits``: (d,), an attribute is on above; ``prior``: (d,)
    of attributes; ``raw``: (c, d) attribute matrix of the known concepts.
    """
    on = peaks > limits
    anything = torch.ones(len(peaks), 1, dtype=torch.bool)
    shown = torch.arange(examples)
    # The novel concept is one more row of the matrix.
    novel_row = peaks[:examples].double().mean(0, keepdim=True)
    roa = measure.representativeness(torch.cat([raw, novel_row]))[-1]
    shared = torch.nonzero(on[:examples].all(0)).flatten()
    top = shared[roa[shared].argsort(descending=True, stable=True)[: point["top"]]]
    if len(top):
        size = min(point["rule_size"], len(top))
        rules, informative, members = measure.conjunctions(on[:, top], size, prior=prior[top] + ANYTHING)
        uniform = measure.conjunctions(on[:, top], size)[1]
        longer = torch.tensor([len(m) > 1 for m in members])
    else:
        rules, informative, uniform, longer = on[:, :0], prior[:0], prior[:0], torch.zeros(0, dtype=torch.bool)
    last = torch.tensor([ANYTHING], dtype=torch.float64)

    def judged(sets: Tensor, weights: Tensor, sampling: str, mode: str) -> Tensor:
        world = torch.cat([sets, anything], 1)
        return measure.bayes_concept(world, shown, torch.cat([weights, last]), sampling, mode)

    # Of all hypotheses, single attributes come once: those of the rules are among all d.
    everything = torch.cat([on, rules[:, longer]], 1)
    weights = torch.cat([prior, informative[longer]])
    centre = peaks[:examples].mean(0, keepdim=True)
    return {
        "rule": judged(rules, informative, "strong", "map"),
        "rule_uniform": judged(rules, uniform, "strong", "map"),
        "similarity": judged(everything, weights, "weak", "average"),
        "cosine": F.cosine_similarity(peaks, centre),
    }


@stage
def world(*, sets: list[str], settings: dict[str, Any], sources: list[str], seed: int) -> dict[str, Tensor]:
    """Train a network on the known concepts of a world and return pooled maps of all, and a head fitted to all on frozen features.

    Returns ``train/`` and ``test/``: ``peaks``, ``means``, ``y``; ``weight``, ``bias``; ``novel``: numbers of the novel concepts; ``accuracy`` on the known ones.
    """
    rows, inputs = gather(sets, settings, seed)
    count = int(rows["train"].columns["y"].max()) + 1
    if not 0 < settings["novel"] < count - 1:
        raise InputError(f"novel is {settings['novel']}; of {count} concepts at least 2 must be known and 1 novel")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    novel, known = order[: settings["novel"]].sort().values, order[settings["novel"] :].sort().values
    number = torch.full((count,), -1)
    number[known] = torch.arange(len(known))

    def part(name: str) -> Table:
        table = rows[name]
        mine = torch.nonzero(number[table.columns["y"]] >= 0).flatten()
        table = table.take(mine)
        return table.replace(y=number[table.columns["y"]], domain=torch.zeros(len(mine), dtype=torch.long))

    task = Task("world", part("train"), part("val"), {"iid": part("test")}, inputs, Classes(len(known)), ("world",))
    model = fit(settings, task, seed)
    kept = {"accuracy": torch.tensor(accuracy_of(model, task.tests["iid"])), "novel": novel}
    for name in ("train", "test"):
        kept[f"{name}/peaks"], kept[f"{name}/means"] = pooled_maps(model, rows[name], settings["maps"])
        kept[f"{name}/y"] = rows[name].columns["y"]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = torch_nn.Linear(kept["train/means"].shape[1], count)
    train(
        head,
        Table(x=kept["train/means"], y=kept["train/y"]),
        lambda m, batch: F.cross_entropy(m(batch["x"]), batch["y"]),
        torch.optim.Adam(head.parameters(), 1e-2),
        steps=600,
        batch_size=min(512, len(kept["train/y"])),
        seed=seed,
    )
    return kept | {"weight": head.weight, "bias": head.bias}


def gather(sets: list[str], settings: Mapping[str, Any], seed: int) -> tuple[dict[str, Table], Any]:
    """Return the images of all sets, in train, val and test, with one number per concept, and what a model must accept.

    Raises InputError where sets have images of other sizes.
    """
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {"train": [], "val": [], "test": []}
    inputs, start = None, 0
    for name in sets:
        task = load_set(name, settings["rows"], seed)
        if inputs is not None and task.inputs != inputs:
            raise InputError(f"{name} has {task.inputs} and {sets[0]} {inputs}; a world needs images of one size")
        inputs = task.inputs
        classes = min(settings["world_concepts"], task.outputs.count)
        chosen = torch.randperm(task.outputs.count, generator=torch.Generator().manual_seed(seed))[:classes]
        number = torch.full((task.outputs.count,), -1)
        number[chosen] = start + torch.arange(classes)
        start += classes
        for part, split in (("train", task.train), ("val", task.val), ("test", task.tests["iid"])):
            y = number[column(split, "y")]
            rank = F.one_hot(y + 1).cumsum(0)[torch.arange(len(y)), y + 1]
            kept = torch.nonzero((y >= 0) & (rank <= settings["world_images"])).flatten()
            parts[part].append((split[kept]["x"], y[kept]))
    joined = {p: Table(x=torch.cat([x for x, _ in f]), y=torch.cat([y for _, y in f])) for p, f in parts.items()}
    return joined, inputs
