"""How hard a data set is to generalize on, beside the errors of ordinary learners: one trial of a study of difficulty."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from farfield import measure, tasks
from farfield.measure.difficulty.published import PUBLISHED
from farfield.names import parse
from farfield.study.figures import PALETTE
from farfield.study.study import Figure
from farfield.tasks.sources import drawings
from farfield.web import svg


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Measure the inductive-bias complexity of one data set.

    **Arguments:**
    - ``point``: ``data``: a name, see `farfield.tasks.labelled_arrays`; "omniglot" stands for 20-way one-shot learning of its
      characters; "task" for the name in ``task``. ``error`` to reach, ``delta_by`` ("min" or "evt", how delta is found), ``rows`` to measure at
      most, ``train_rows`` for the learners.
    - ``seed``: draws the rows (at most nine tenths of all), the noise, and what is generated.

    **Returns** (None where it does not apply): ``log10_bits`` (also None where the task is ``determined`` by its data), ``m``, ``delta``, ``radius``; ``family``: the name without
    options; ``true_dimension`` of a sphere or torus; for images with noise ``held/log10_bits``, with the delta of the clean images;
    where ``train_rows`` is at most half of the rows ``errors`` of the learners and their ``mean_error``.
    """
    name = parse(point["task"] if point["data"] == "task" else point["data"])
    rng = np.random.default_rng([seed, 0xD1])
    with warnings.catch_warnings():
        # A task determined by its data is marked in the result.
        warnings.filterwarnings("ignore", message="the inductive-bias complexity has left its domain")
        if str(name) == "omniglot":
            d = drawings()
            kept = rng.random(len(d.images)) < 0.9
            few_shot = (d.images[kept], d.character[kept], d.alphabet[kept], point["error"])
            return _numbers(measure.fewshot_task_difficulty(*few_shot)) | {"family": "omniglot"}
        x, y = tasks.labelled_arrays(str(name), seed=seed)
        rows = rng.permutation(len(y))[: min(round(0.9 * len(y)), point["rows"])]
        x, y = x[rows], y[rows]
        result = _numbers(measure.task_difficulty(x, y, point["error"], delta=point["delta_by"], seed=seed))
        result["family"] = name.path
        if "noise" in name.options:
            without = {k: v for k, v in name.options.items() if k != "noise"}
            clean, _ = tasks.labelled_arrays(str(parse(name.path).with_options(**without)))
            delta = measure.min_class_distance(clean[rows], y, point["delta_by"])
            result["held"] = _numbers(measure.task_difficulty(x, y, point["error"], delta=delta, seed=seed))
    if name.path in ("sphere", "torus"):
        result["true_dimension"] = int(name.options["m"])
    if 2 * point["train_rows"] <= len(y):
        errors = measure.learner_errors(x, y, point["train_rows"], seed=seed)
        result |= {"errors": errors, "mean_error": sum(errors.values()) / len(errors)}
    return result


def sensitivity(name: str, *, caption: str) -> Figure:
    """A line for each number of a published task (see `farfield.measure.published_difficulty`): how the bits follow it alone."""

    def draw(_records: Any) -> str:
        figure, axes = svg.canvas(4.8, 3.4)
        factors = np.geomspace(0.25, 4, 33)
        labels = {"m": "dimension m", "delta": "1/delta", "n_discrete": "classes d", "error": "1/error", "n": "data n"}
        for colour, (key, label) in zip(PALETTE, labels.items()):
            value = PUBLISHED[name][key]
            values = value / factors if label.startswith("1/") else value * factors
            bits = [measure.published_difficulty(name, **{key: float(v)}).log2_bits * math.log10(2) for v in values]
            axes.plot(factors, bits, "--" if key == "n" else "-", color=colour, label=label)
        axes.set_xscale("log", base=2)
        svg.name_axes(axes, f"factor on this number of {name}", "inductive-bias complexity, log10 bits")
        axes.legend(frameon=False, fontsize=8, labelcolor=svg.INK)
        svg.margins(figure, left=46, right=12, top=8, bottom=40)
        return svg.render(figure, "sensitivity")

    return Figure("sensitivity", caption, draw)


def _numbers(found: measure.Difficulty) -> dict[str, Any]:
    return {
        "log10_bits": None if found.determined_by_data else found.log2_bits * math.log10(2),
        "determined": int(found.determined_by_data),
        "m": found.m,
        "delta": found.delta,
        "radius": found.radius,
        "true_dimension": None,
        "mean_error": None,
    }
