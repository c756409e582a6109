"""The inductive bias that a task requires in a space of functions, kernel or networks: one trial of a study of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch import nn as torch_nn
from torch.nn import functional as F

from farfield import measure, nn, tasks
from farfield.batches import uniform
from farfield.errors import InputError
from farfield.names import Name, parse
from farfield.study.figures import PALETTE
from farfield.study.stage import stage
from farfield.study.study import Figure
from farfield.tasks.classic_control import pendulum_policy
from farfield.tasks.sources import drawings
from farfield.tasks.task import Classes, Image, Table, Task, Vector, column
from farfield.train import predict, train
from farfield.web import svg

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Problem:
    """Inputs and real targets (one-hot for classes) to learn from, and to be right on."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Measure the inductive bias that one task requires in one space of functions.

    **Arguments:**
    - ``point``: ``case``: "<space> on <data>", or "task" for the ``model``'s networks, and the kernel with the median distance, on the
      data set ``task``; "order", or what begins so, for that kernel on three data sets, ``order``, at one target, ``matched``. Spaces: "kernel?sigma=1" (or "median"), the name of a model such as "mlp?hidden=64" for its networks, or
      "networks", which compares all ``architectures``. Data: see `problem`. ``targets``: errors to reach; ``draws`` from a kernel
      space; ``networks`` trained, for so many ``epochs`` with ``batch_size``; ``device``.
    - ``seed``: of the data, the draws and the networks.

    **Returns:** ``nats`` by target (None where no function reaches it), ``mean`` and ``sd`` of the errors; of a kernel space also ``chi2``,
    ``ncx2`` and ``empirical`` nats by target; of networks ``low`` and ``high`` (95 %) by target, ``gamma``, ``ks_p``, ``training_error`` and
    ``errors``; of "networks" ``gap``: by how far the interval of the most demanding architecture lies above that of the least, at the
    target ``compared``, and ``separated``: the share of pairs with disjoint intervals; of "order" the nats of the ``first``, ``second`` and
    ``third``, and ``step_1``, ``step_2``: by how much they grow. ``n`` and ``d`` of the data.
    """
    if point["case"] == "task":
        data = _task_problem(point, seed)
        broad = kernel(data, parse("kernel?sigma=median"), point, seed)
        narrow = networks(_train(data, point["model"], seed * 1000, point), point)
        return {"kernel": broad, **narrow, "n": len(data.x), "d": data.x[0].numel(), "gap": None}
    if point["case"].startswith("order"):
        found = ordered(data=list(point["order"]), target=point["matched"], seed=seed, device=point["device"])["nats"]
        steps = {f"step_{i}": _finite(float(v)) for i, v in enumerate(found.diff(), 1)}
        return dict(zip(("first", "second", "third"), map(_finite, found.tolist()))) | steps | {"gap": None}
    space, _, name = point["case"].partition(" on ")
    data = problem(name, seed)
    about = {"n": len(data.x), "d": data.x[0].numel(), "gap": None}
    if space.startswith("kernel"):
        return kernel(data, parse(space), point, seed) | about
    if space == "networks":
        only = {**point, "targets": [point["compared"]]}
        found = [networks(_kept(name, model, seed, point), only) for model in point["architectures"]]
        return about | _compared(found, str(point["compared"]))
    return networks(_kept(name, space, seed, point), point) | about


def problem(name: str, seed: int) -> Problem:
    """Return training and test data by name.

    - ``sine?d=2&n=60``: y = sin(2 <x, w>), x normal, w normal with variance 1/d; 60 for testing.
    - ``digits?n=300``, ``mnist?...``, ``cifar10?...``: one-hot labels; ``test`` (200) others for testing; ``pca=8``: the leading principal
      components of the training inputs.
    - ``omniglot?ways=5``: one drawing of each of five characters of one alphabet, one-hot; the other 19 of each for testing.
    - ``pendulum?n=300``: the torque (by its largest) of `farfield.tasks.pendulum_policy` at random states; 200 for testing.

    Raises InputError on an unknown name or option.

    >>> problem("sine?d=2", 0).x_test.shape
    torch.Size([60, 2])
    """
    parsed = parse(name)
    options = {"sine": ("d", "n"), "pendulum": ("n",), "omniglot": ("ways",)}.get(parsed.path, ("n", "test", "pca"))
    parsed.check_options(list(options))
    numbers = {k: int(v) for k, v in parsed.options.items()}
    generator = torch.Generator().manual_seed(seed)
    if parsed.path == "sine":
        return _sine(numbers.get("d", 1), numbers.get("n", 60), generator)
    if parsed.path == "pendulum":
        return _pendulum(numbers.get("n", 300), generator)
    if parsed.path == "omniglot":
        return _episode(numbers.get("ways", 5), seed)
    x, y = tasks.labelled_arrays(parsed.path, seed=0)
    n, test = numbers.get("n", 300), numbers.get("test", 200)
    if n + test > len(y):
        raise InputError(f"{name} has {len(y)} rows; {n} for training and {test} for testing are more")
    rows = torch.randperm(len(y), generator=generator)[: n + test]
    x, y = x[rows], F.one_hot(y[rows]).float()
    if "pca" in numbers:
        flat = x.flatten(1).double()
        centre = flat[:n].mean(0)
        _, _, axes = torch.linalg.svd(flat[:n] - centre, full_matrices=False)
        x = ((flat - centre) @ axes[: numbers["pca"]].T).float()
    return Problem(x[:n], y[:n], x[n:], y[n:])


def kernel(data: Problem, space: Name, point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return what `trial` says of a kernel space; the nats are exact up to the saddlepoint, the rest is for comparison."""
    x, y, x_test, y_test = (v.double().to(point["device"]) for v in (data.x, data.y, data.x_test, data.y_test))
    width = space.options.get("sigma", "1")
    sigma = measure.median_distance(x) if width == "median" else float(width)
    found = measure.GPHypotheses(x, y, sigma)
    mean, covariance = found.posterior(x_test)
    draws = found.sample_errors(x_test, y_test, point["draws"], torch.Generator().manual_seed(seed)).cpu()
    exact = {m: {} for m in ("nats", "chi2", "ncx2", "empirical")}
    for target in point["targets"]:
        for method, name in (("saddlepoint", "nats"), ("chi2", "chi2")):
            value = measure.gp_required_bias(mean, covariance, y_test, target, method, base=math.e)
            exact[name][str(target)] = _finite(value)
        for model in ("ncx2", "empirical"):
            value = measure.required_bias(draws, target, model, base=math.e, resamples=20).value
            exact[model][str(target)] = _finite(value)
    expected, variance = found.error_moments(x_test, y_test)
    return exact | {"mean": expected, "sd": variance**0.5, "sigma": sigma, "residual": found.residual}


def networks(errors: Mapping[str, Tensor], point: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `trial` says of a space of networks, from their errors."""
    test = errors["test"]
    result: dict[str, Any] = {m: {} for m in ("nats", "low", "high", "gamma", "ks_p")}
    for target in point["targets"]:
        found = measure.required_bias(test, target, "ncx2", base=math.e)
        gamma = measure.required_bias(test, target, "gamma", base=math.e, resamples=20)
        values = {"nats": found.value, "low": found.ci[0], "high": found.ci[1], "gamma": gamma.value}
        for name, value in values.items():
            result[name][str(target)] = _finite(value)
        result["ks_p"][str(target)] = found.ks_p
    summary = {"mean": float(test.mean()), "sd": float(test.std(correction=0)), "errors": test.tolist()}
    return result | summary | {"training_error": float(errors["training"].mean())}


@stage
def trained(
    *, data: str, model: str, seed: int, networks: int, epochs: int, batch_size: int, device: str
) -> dict[str, Tensor]:
    """Return the ``test`` and ``training`` errors of so many networks, each from a beginning of its own."""
    point = {"networks": networks, "epochs": epochs, "batch_size": batch_size, "device": device}
    return _train(problem(data, seed), model, seed * 1000, point)


@stage
def ordered(*, data: list[str], target: float, seed: int, device: str) -> dict[str, Tensor]:
    """Return the ``nats`` that a target requires of the kernel with the median distance, on each of these data sets."""
    found = []
    for name in data:
        mine = problem(name, seed)
        x, y, x_test, y_test = (v.double().to(device) for v in (mine.x, mine.y, mine.x_test, mine.y_test))
        space = measure.GPHypotheses(x, y, measure.median_distance(x))
        found.append(measure.gp_required_bias(*space.posterior(x_test), y_test, target, base=math.e))
    return {"nats": torch.tensor(found, dtype=torch.float64)}


def _kept(data: str, model: str, seed: int, point: Mapping[str, Any]) -> dict[str, Tensor]:
    settings = {k: point[k] for k in ("networks", "epochs", "batch_size", "device")}
    return trained(data=data, model=model, seed=seed, **settings)


def _train(data: Problem, model: str, first: int, point: Mapping[str, Any]) -> dict[str, Tensor]:
    rows = Table(x=data.x.float(), y=data.y.float())
    inputs = Image(*data.x.shape[1:]) if data.x.ndim == 4 else Vector(data.x.shape[1])
    task = Task(model, rows, rows, {"iid": rows}, inputs, Classes(data.y.shape[1]), ("training",))
    steps = point["epochs"] * -(-len(rows) // point["batch_size"])

    def build(seed: int) -> torch_nn.Module:
        return nn.load(model, task, seed=seed).to(point["device"])

    def fit(network: torch_nn.Module, seed: int) -> float:
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        order = uniform(len(rows), point["batch_size"], seed=seed)
        train(network, rows, _squared, optimizer, steps=steps, seed=seed, batches=order)
        return float((predict(network, rows) - rows.columns["y"]).square().mean())

    test = [{"x": data.x_test.float(), "y": data.y_test.float()}]
    found = measure.network_hypotheses(build, fit, point["networks"], test, first=first)
    return {"test": found.test_errors, "training": found.training_errors}


def _squared(model: torch_nn.Module, batch: dict[str, Any]) -> Tensor:
    return (model(batch["x"]) - batch["y"]).square().mean()


def _compared(found: Sequence[Mapping[str, Any]], target: str) -> dict[str, Any]:
    ends = [(f["low"][target], f["high"][target]) for f in found]
    ends = [(math.inf if low is None else low, math.inf if high is None else high) for low, high in ends]
    pairs = [(a, b) for i, a in enumerate(ends) for b in ends[i + 1 :]]
    apart = [a[0] > b[1] or b[0] > a[1] for a, b in pairs]
    gap = max(low for low, _ in ends) - min(high for _, high in ends)
    return {"gap": _finite(gap), "separated": sum(apart) / len(apart)}


def _sine(d: int, n: int, generator: torch.Generator) -> Problem:
    w = torch.randn(d, generator=generator, dtype=torch.float64) / d**0.5
    x = torch.randn(n + 60, d, generator=generator, dtype=torch.float64)
    y = (2 * x @ w).sin()[:, None]
    return Problem(x[:n], y[:n], x[n:], y[n:])


def _pendulum(n: int, generator: torch.Generator) -> Problem:
    state = (2 * torch.rand(n + 200, 2, generator=generator, dtype=torch.float64) - 1) * torch.tensor([math.pi, 8.0])
    x = torch.stack([state[:, 0].cos(), state[:, 0].sin(), state[:, 1] / 8], 1)
    y = pendulum_policy(state)[:, None] / 2
    return Problem(x[:n], y[:n], x[n:], y[n:])


def _episode(ways: int, seed: int) -> Problem:
    d, rng = drawings(), np.random.default_rng([seed, 0xE5])
    alphabet = rng.integers(len(d.alphabets))
    members = np.unique(d.character[d.alphabet == alphabet])
    if not 2 <= ways <= len(members):
        raise InputError(f"ways is {ways}; an alphabet of {len(members)} characters takes from 2 to that many")
    rows = [rng.permutation(np.flatnonzero(d.character == c)) for c in rng.permutation(members)[:ways]]
    x = [torch.from_numpy(d.images[np.concatenate(part)]) for part in ([r[:1] for r in rows], [r[1:] for r in rows])]
    y = [torch.eye(ways).repeat_interleave(len(v) // ways, 0) for v in x]
    return Problem(x[0], y[0], x[1], y[1])


def _task_problem(point: Mapping[str, Any], seed: int) -> Problem:
    task, generator = tasks.load(point["task"], seed=seed), torch.Generator().manual_seed(seed)
    parts = []
    for split, most in ((task.train, point["rows"]), (task.tests["iid"], point["test_rows"])):
        rows = torch.randperm(len(split), generator=generator)[:most]
        x = column(split, "x")[rows]
        x = x.float() / 255 if x.dtype == torch.uint8 else x
        parts += [x, F.one_hot(column(split, "y")[rows], task.outputs.count).float()]
    return Problem(*parts)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def bias_curves(cases: Mapping[str, str], targets: Sequence[float], *, caption: str, name: str = "curves") -> Figure:
    """The nats that each case requires over the error to reach; mean over seeds, and the range that they span."""

    def draw(records: pd.DataFrame) -> str | None:
        if "case" not in records:
            return None
        figure, axes = svg.canvas(4.8, 3.8)
        for i, (case, label) in enumerate(cases.items()):
            mine = records[records["case"] == case]
            columns = [f"nats/{t}" for t in targets]
            if mine.empty or any(c not in mine for c in columns):
                continue
            values = mine[columns].astype(float)
            axes.plot(targets, values.mean(), "o-", color=PALETTE[i % 7], markersize=4, label=label)
            axes.fill_between(targets, values.min(), values.max(), color=PALETTE[i % 7], alpha=0.15, linewidth=0)
        if not axes.lines:
            return None
        axes.set_xscale("log")
        # Linear below 1 nat, where a space as it is all but reaches the target.
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0)
        svg.name_axes(axes, "test error to reach (mean squared)", "required inductive bias, nats")
        figure.legend(loc="lower center", ncols=2, frameon=False, fontsize=8, labelcolor=svg.INK)
        svg.margins(figure, left=46, right=12, top=8, bottom=40 + 14 * -(-len(axes.lines) // 2))
        return svg.render(figure, name)

    return Figure(name, caption, draw)


def error_histograms(cases: Mapping[str, str], target: float, *, caption: str, name: str = "errors") -> Figure:
    """A panel per space of networks: the test errors of the first seed, the fitted density, and the error to reach."""

    def draw(records: pd.DataFrame) -> str | None:
        from scipy.stats import ncx2

        from farfield.measure.difficulty.fits import fit_ncx2

        first = records[records["seed"] == records["seed"].min()] if "errors" in records else records.iloc[:0]
        shown = {c: first[first["case"] == c]["errors"].iloc[0] for c in cases if (first.get("case") == c).any()}
        if not shown:
            return None
        figure, axes = svg.canvas(4.8, 3.2)
        for i, (case, values) in enumerate(shown.items()):
            errors = np.asarray(values)
            fitted = fit_ncx2(errors).parameters
            at = np.linspace(0.8 * errors.min(), 1.2 * errors.max(), 400)
            density = ncx2.pdf(at / fitted["scale"], fitted["df"], fitted["nc"]) / fitted["scale"]
            axes.hist(errors, bins=8, density=True, color=PALETTE[i], alpha=0.35)
            axes.plot(at, density, color=PALETTE[i], label=cases[case])
        axes.axvline(target, color=svg.INK, linewidth=1, linestyle="--", label=f"to reach, {target:g}")
        svg.name_axes(axes, "test error of a trained network (mean squared)", "density")
        axes.legend(frameon=False, fontsize=8, labelcolor=svg.INK)
        svg.margins(figure, left=46, right=12, top=8, bottom=40)
        return svg.render(figure, name)

    return Figure(name, caption, draw)
