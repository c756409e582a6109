"""What one representation, several side by side, or a larger one are worth on new classes and shifted images: one trial of a study."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import measure, nn
from farfield.errors import InputError, unknown_name
from farfield.reuse import Cat, finetune, two_stage_finetune
from farfield.tasks.sources import load_source
from farfield.tasks.task import Classes, Image, Table, Task
from farfield.tasks.transforms import rotate
from farfield.train import predict
from farfield.trials import colour_heads, pretrained_probe, rich_sources

BUDGETS = (50, 200, 1000)
NEW = tuple(f"new classes, {n} labels" for n in BUDGETS)
SHIFTS = ("rotated 30°", "rotated 60°", "noise 0.5", "inverted")
SHOTS = (1, 5)
QUERIES = 15
FINE_TUNED = ("plain-ft", "two-stage-ft")
RATES = (0.01, 0.05, 0.1)
# What a method does not define is None, so that every claim finds its metric.
METRICS = (
    "far", "source", "own_source", "own_shifted", "own_variance", "far_minus_source", "fine_tuned", "one_shot", "five_shot", "parameters",
    "features", "family", "size_factor", "colour", "colour_erm", "colour_ood_tuned", "colour_variance",
)  # fmt: skip
UNDEFINED: dict[str, Any] = dict.fromkeys(METRICS)


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train the networks of a method on half of the classes, and read everything else off their frozen features.

    **Arguments:**
    - ``point``: ``representation``, see below; ``runs``: networks that groups are made of; ``members``: networks that are fine-tuned; ``task``: an image task with four classes or more; ``size``: side in pixels; ``hidden``: layers
      of a single network, ``steps``, ``batch_size``, ``learning_rate``, ``weight_decay`` of its SGD; ``budgets``: labels of new classes; ``shift_labels``: of
      a shifted task; ``episodes`` of each few-shot test, ``drawings``: also on Omniglot; ``tuning_epochs`` of fine-tuning;
      ``colour``: settings of `farfield.trials.colour_heads`; ``encoder_models``, ``task``...: see `farfield.trials.pretrained_probe`, which is asked where
      ``encoder_models`` names some.
    - ``seed``: of the split, the networks, the labels and the episodes; methods of a seed share networks.

    Representations: "single"; "cat-k"; "ensemble-k" (the mean of k probes' predictions); "sub-k" (as many features of cat-k as one network has);
    "wide-k" (one network with the features of cat-k), "large-k" (with its parameters), "joint-k" (k networks trained as one);
    "random-k" (cat-k untrained); "snapshots-5" (moments of one run); "distill-5", "distill-5-logits", "distill-snapshots-5";
    "plain-ft" and "two-stage-ft" (cat fine-tuned on the new classes); "bonsai-2" (colour only).

    **Returns:** ``accuracy`` by target (probes, 0 to 1), ``source`` (probe on the source), ``own_source`` (without training a head),
    ``far`` (mean over new classes and shifts), ``far_minus_source``, ``own_shifted`` and ``own_variance`` (its variance between disjoint
    groups of runs, in squared percentage points), ``one_shot``, ``five_shot``, ``fine_tuned``, ``parameters`` up to the
    features, ``features``, ``family``, ``size_factor``, and what `colour_heads` returns. What a method does not define is None.
    """
    if point["encoder_models"]:
        return UNDEFINED | pretrained_probe.trial(point, seed)
    method = point["representation"]
    result = dict(UNDEFINED)
    if method in FINE_TUNED:
        return result | {"fine_tuned": _fine_tuned(point, seed)}
    if method in colour_heads.METHODS:
        result |= colour_heads.trial(point, seed)
    if method == "bonsai-2":
        return result
    models, family, k = _networks(point, seed)
    parts = rich_sources.halves(point["task"], point["size"], seed)
    accuracy = {name: _probe(models, family, *rows, seed=seed) for name, rows in _targets(point, parts, seed).items()}
    shots = _few_shot(point, parts, models, seed) if family != "ensemble" else {}
    far = [value for name, value in accuracy.items() if name != "source"]
    return result | {
        "accuracy": accuracy | shots,
        "source": accuracy["source"],
        "far": sum(far) / len(far),
        "far_minus_source": sum(far) / len(far) - accuracy["source"],
        **_own(point, models, family, parts, seed),
        **{name: _mean(v for s, v in shots.items() if s.endswith(shot)) for name, shot in (("one_shot", "1-shot"), ("five_shot", "5-shot"))},
        "parameters": sum(p.numel() for m in models for p in m.encoder.parameters()),
        "features": sum(m.head.in_features for m in models),
        "family": family,
        "size_factor": k,
    }  # fmt: skip


def _networks(point: Mapping[str, Any], seed: int) -> tuple[list[nn.Classifier], str, int]:
    """Return the networks behind a method, the family that it belongs to, and its size in single networks."""
    method, hidden = point["representation"], point["hidden"]
    parts = rich_sources.halves(point["task"], point["size"], seed)
    inputs = parts.train.columns["x"][0].numel()
    if method == "single":
        return [rich_sources.single(point, seed, 0)], "cat", 1
    family, _, rest = method.partition("-")
    number = next((int(word) for word in rest.split("-") if word.isdigit()), 0)
    if number < 1:
        raise unknown_name("representation", method, ("single", "cat-5", "wide-5", *FINE_TUNED))
    if family in ("cat", "ensemble", "sub"):
        return [rich_sources.single(point, seed, i) for i in range(number)], family, number
    if family == "wide":
        return [rich_sources.wide(point, seed, rich_sources.same_features(hidden, number))], family, number
    if family == "large":
        return [rich_sources.wide(point, seed, rich_sources.same_parameters(inputs, hidden, number))], family, number
    if family == "joint":
        return [rich_sources.joint(point, seed, number)], family, number
    if family == "random":
        fresh = [rich_sources.build(inputs, hidden, parts.classes, seed=1000 * seed + 700 + i) for i in range(number)]
        return [m.eval() for m in fresh], family, number
    if family == "snapshots":
        return [rich_sources.snapshot(point, seed, i) for i in range(number)], family, number
    if family == "distill":
        of = "snapshot" if "snapshots" in rest else "single"
        target = "logits" if "logits" in rest else "features"
        return [rich_sources.distilled(point, seed, of, number, target)], method.replace(f"-{number}", ""), 1
    raise unknown_name(
        "representation", method, ("single", "cat-5", "wide-5", "ensemble-5", "joint-5", "random-5", *FINE_TUNED)
    )


def _targets(
    point: Mapping[str, Any], parts: rich_sources.Halves, seed: int
) -> dict[str, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Return target -> (x, y) to probe with and (x, y) to test on."""
    held, test = parts.held.columns, parts.test.columns
    rows = _labelled(held["y"], point["shift_labels"], seed)
    found = {"source": (held["x"], held["y"], test["x"], test["y"])}
    for n in point["budgets"]:
        chosen = _labelled(parts.new.columns["y"], n, seed)
        new, new_test = parts.new.take(chosen).columns, parts.new_test.columns
        found[f"new classes, {n} labels"] = (new["x"], new["y"], new_test["x"], new_test["y"])
    for shift in SHIFTS:
        found[shift] = (
            shifted(shift, held["x"][rows], seed), held["y"][rows], shifted(shift, test["x"], seed + 1), test["y"]
        )  # fmt: skip
    return found


def shifted(shift: str, images: Tensor, seed: int) -> Tensor:
    """Return images (n, channels, height, width) in [0, 1] under one of ``SHIFTS``; noise is drawn from ``seed``.

    Raises InputError on an unknown shift.

    >>> shifted("inverted", torch.tensor([[[[0.25]]]]), seed=0)
    tensor([[[[0.7500]]]])
    """
    if shift == "inverted":
        return 1 - images
    if shift == "noise 0.5":
        return images + 0.5 * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    if shift in SHIFTS:
        return rotate(images, float(shift.removeprefix("rotated ").removesuffix("°")))
    raise unknown_name("shift", shift, SHIFTS)


def _labelled(y: Tensor, n: int, seed: int) -> Tensor:
    """Return n row numbers, as many of each class as can be; all rows where there are fewer."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    ranks = torch.empty_like(y)
    for c in y.unique():
        mine = order[y[order] == c]
        ranks[mine] = torch.arange(len(mine))
    return order[ranks[order].argsort(stable=True)][:n]


def _features(models: list[nn.Classifier], x: Tensor) -> Tensor:
    return predict(Cat([copy.deepcopy(m.encoder) for m in models]), Table(x=x))


def _probe(models: list, family: str, x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor, *, seed: int) -> float:
    if family == "ensemble":
        return _ensemble_of_probes(models, x, y, x_test, y_test)
    z, z_test = _features(models, x), _features(models, x_test)
    if family == "sub":
        kept = torch.randperm(z.shape[1], generator=torch.Generator().manual_seed(seed))[: models[0].head.in_features]
        z, z_test = z[:, kept], z_test[:, kept]
    return measure.transfer_probe(z, y, z_test, y_test, seed=seed)


def _ensemble_of_probes(models: list, x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor) -> float:
    """Train a probe on each network alone and average their probabilities: predictions side by side, not features."""
    probabilities = 0
    for model in models:
        probe = measure.tuned_probe(_features([model], x), y)
        probabilities = probabilities + probe.probabilities(_features([model], x_test))
    return float((probe.classes[probabilities.argmax(1)] == y_test.numpy()).mean())


def _own(
    point: Mapping[str, Any], models: list[nn.Classifier], family: str, parts: rich_sources.Halves, seed: int
) -> dict[str, float | None]:
    """Return the accuracy without any new label, by the mean of the networks' own logits, on the source and under the shifts.

    Of cat-k it is the mean over all disjoint groups of k of the runs, and there is a variance between groups.
    """
    if family in ("random", "sub", "distill", "distill-snapshots"):
        return {}
    groups = [models]
    if family == "cat":
        k = len(models)
        runs = [rich_sources.single(point, seed, i) for i in range(max(k, point["runs"] // k * k))]
        groups = [runs[i : i + k] for i in range(0, len(runs), k)]
    x, y = parts.test.columns["x"], parts.test.columns["y"]
    images = [x, *(shifted(s, x, seed + 1) for s in SHIFTS)]
    right = []
    for group in groups:
        cat = Cat([copy.deepcopy(m.encoder) for m in group])
        model = nn.Classifier(cat, cat.head_from([m.head for m in group]))
        right.append([_accuracy(model, Table(x=z, y=y)) for z in images])
    found = 100 * torch.tensor(right, dtype=torch.float64)
    far = found[:, 1:].mean(1)
    return {
        "own_source": float(found[:, 0].mean()) / 100,
        "own_shifted": float(far.mean()) / 100,
        "own_variance": float(far.var()) if len(groups) > 1 else None,
    }


def _few_shot(
    point: Mapping[str, Any], parts: rich_sources.Halves, models: list[nn.Classifier], seed: int
) -> dict[str, float]:
    """Return the mean accuracy of a cosine classifier over episodes of five classes, by set of images and examples a class."""
    sets = {"new classes": (parts.new_test.columns["x"], parts.new_test.columns["y"])}
    if point["drawings"]:
        source = load_source("omniglot")
        images = rich_sources.reduce(torch.as_tensor(source.images), point["size"])
        sets["omniglot"] = (images, torch.as_tensor(source.labels))
    base = _features(models, parts.train.columns["x"])
    # The networks' scales differ; a unit that is dead on the source stays as it is.
    mean, spread = base.mean(0), base.std(0)
    spread = torch.where(spread > 0, spread, 1.0)
    found = {}
    for name, (x, y) in sets.items():
        z = (_features(models, x) - mean) / spread
        for shots in SHOTS:
            found[f"{name}, {shots}-shot"] = episodes(z, y, shots, point["episodes"], seed=seed)
    return found


def episodes(
    z: Tensor, y: Tensor, shots: int, count: int, *, seed: int, ways: int = 5, queries: int = QUERIES
) -> float:
    """Return the mean accuracy of `farfield.nn.CosineClassifier` trained on ``shots`` examples of each of ``ways`` classes.

    **Arguments:** ``z`` (n, d) features, ``y`` (n,) labels; classes and examples of each of ``count`` episodes are drawn from
    ``seed``; ``queries`` others of each class are tested (as many as there are). All episodes are trained at once, 100 steps of
    Adam at 0.01 from the mean of the class's examples.

    Raises InputError where there are fewer classes than ways, or a class has too few examples.

    >>> z = torch.eye(5).repeat_interleave(4, 0)
    >>> episodes(z, torch.arange(5).repeat_interleave(4), 1, 3, seed=0)
    1.0
    """
    classes, counts = y.unique(return_counts=True)
    ways = min(ways, len(classes))
    queries = min(queries, int(counts.min()) - shots)
    if ways < 2 or queries < 1:
        raise InputError(
            f"{len(classes)} classes of at least {int(counts.min())} rows; {shots} shots need two with more"
        )
    generator = torch.Generator().manual_seed(seed)
    members = {int(c): torch.nonzero(y == c).flatten() for c in classes}
    rows = torch.stack(
        [
            torch.stack([m[torch.randperm(len(m), generator=generator)[: shots + queries]] for m in chosen])
            for chosen in (
                [members[int(classes[c])] for c in torch.randperm(len(classes), generator=generator)[:ways]]
                for _ in range(count)
            )
        ]
    )  # (episodes, ways, shots + queries)
    support, query = z[rows[..., :shots]], z[rows[..., shots:]]  # (episodes, ways, examples, d)
    with torch.enable_grad():
        classifier = nn.CosineClassifier(z.shape[1], ways)
        # One weight for each episode in place of the one: the episodes are trained side by side.
        classifier.weight = torch_nn.Parameter(torch_nn.functional.normalize(support, dim=-1).mean(2))
        optimizer = torch.optim.Adam(classifier.parameters(), lr=0.01)
        x, target = support.flatten(1, 2), torch.arange(ways).repeat_interleave(shots).expand(count, -1)
        for _ in range(100):
            optimizer.zero_grad()
            logits = classifier(x).transpose(1, 2)
            torch_nn.functional.cross_entropy(logits, target, reduction="sum").backward()
            optimizer.step()
    with torch.no_grad():
        predicted = classifier(query.flatten(1, 2)).argmax(2)
    wanted = torch.arange(ways).repeat_interleave(queries)
    return float((predicted == wanted).double().mean())


def _fine_tuned(point: Mapping[str, Any], seed: int) -> float:
    """Return the test accuracy of all networks fine-tuned on the new classes: together, or each alone and then a head."""
    parts = rich_sources.halves(point["task"], point["size"], seed)
    models = [rich_sources.single(point, seed, i) for i in range(point["members"])]
    rows = parts.new.take(_labelled(parts.new.columns["y"], max(point["budgets"]), seed))
    steps = max(1, point["tuning_epochs"] * len(rows) // point["tuning_batch"])
    way = _apart if point["representation"] == "two-stage-ft" else _together
    tune = partial(way, models, parts, seed=seed, steps=steps, batch_size=point["tuning_batch"])
    # The rate is chosen on a fifth of the labels, for both ways alike.
    order = torch.arange(len(rows))
    fit, held = rows.take(order[order % 5 != 0]), rows.take(order[order % 5 == 0])
    best = max(RATES, key=lambda rate: _accuracy(tune(fit, rate), held))
    return _accuracy(tune(rows, best), parts.new_test)


def _together(
    models: list[nn.Classifier], parts: rich_sources.Halves, data: Table, rate: float, *, seed: int, **settings: int
) -> nn.Classifier:
    cat = Cat([copy.deepcopy(m.encoder).requires_grad_(True) for m in models], freeze=False)
    width = sum(m.head.in_features for m in models)
    model = nn.Classifier(cat, nn.plain_head(width, parts.classes, seed=seed))
    return finetune(model, data, learning_rate=rate, seed=seed, **settings)


def _apart(
    models: list[nn.Classifier], parts: rich_sources.Halves, data: Table, rate: float, *, seed: int, **settings: int
) -> nn.Classifier:
    shape, domain = Image(*data.columns["x"].shape[1:]), torch.zeros(len(data), dtype=torch.long)
    splits = data.replace(domain=domain), parts.new_test.replace(domain=torch.zeros(len(parts.new_test)))
    task = Task("new classes", splits[0], splits[0], {"iid": splits[1]}, shape, Classes(parts.classes), ("new",))

    def stage1(model: torch_nn.Module, rows: Table, own: int) -> None:
        finetune(model, rows, learning_rate=rate, seed=own, **settings)

    return two_stage_finetune([m.encoder for m in models], None, task, stage1=stage1, seed=seed)


def _accuracy(model: torch_nn.Module, data: Table) -> float:
    return float((predict(model, data).argmax(1) == data.columns["y"]).double().mean())


def _mean(values: Any) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None
