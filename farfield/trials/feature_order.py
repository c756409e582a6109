"""A transformer that tells features of a string one after the other, and how strongly it holds each of them before the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from farfield import measure
from farfield.nn.causal_lm import TinyCausalLM
from farfield.tasks import StringFeatures, Table
from farfield.train import predict, train


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train a transformer to tell two features of a string in an order, and measure each where it has told neither.

    The representation is the residual stream at the separator, after the string and before the first value: whatever is
    known of either feature was worked out, not read.

    **Arguments:** ``point``: ``features`` (name -> feature, see `StringFeatures`), ``order`` (their names), ``rows``, ``test_rows``,
    ``width``, ``depth``, ``heads`` (see `farfield.nn.TinyCausalLM`), ``steps``, ``batch_size``, ``learning_rate`` of Adam, ``device``
    and ``ceiling`` (the difference is reported only where both held-out accuracies reach it).

    **Returns:** by position (``first_``, ``second_``): ``r2`` after the last block, ``layer_r2`` (after each block) and ``accuracy``;
    ``<feature>_r2``; ``second_decoded``: how often a linear classifier reads the second feature where neither has been told
    (0.5: it is not there at all); and at the ceiling ``first_minus_second``.
    """
    data, test = (_strings(point, rows, 2 * seed + i) for i, rows in enumerate((point["rows"], point["test_rows"])))
    order = list(point["order"])
    model = _transformer(point, data, seed)
    sequences = data.sequences(order)
    train(
        model,
        Table(x=sequences[:, :-1], y=sequences[:, -len(order) :]),
        lambda network, batch: F.cross_entropy(
            network(batch["x"])[:, -len(order) :].flatten(0, 1), batch["y"].flatten()
        ),
        torch.optim.Adam(model.parameters(), lr=point["learning_rate"], fused=True),
        steps=point["steps"],
        batch_size=point["batch_size"],
        seed=seed,
    )
    held_out = test.sequences(order)
    told = predict(_Values(model, len(order)), Table(x=held_out[:, :-1]))
    right = (told == held_out[:, -len(order) :]).double().mean(0).tolist()
    # Up to the separator only: no value has been told there.
    layers = measure.activations(model, held_out[:, : test.length + 1], pool="last", progress=False, layers="blocks.*")
    known = {name: test.features()[name] for name in order}
    shares = [measure.feature_variance(reps, known, seed=seed) for reps in layers.values()]
    result: dict[str, Any] = {f"{name}_r2": shares[-1][name] for name in order}
    for position, name, accuracy in zip(("first", "second"), order, right):
        result[f"{position}_r2"] = shares[-1][name]
        result[f"{position}_layer_r2"] = [layer[name] for layer in shares]
        result[f"{position}_accuracy"] = accuracy
    result["second_decoded"] = _decoded(list(layers.values())[-1], known[order[1]])
    if min(right) >= point["ceiling"]:
        result["first_minus_second"] = result["first_r2"] - result["second_r2"]
    return result


def _strings(point: Mapping[str, Any], rows: int, seed: int) -> StringFeatures:
    return StringFeatures(rows, {name: tuple(feature) for name, feature in point["features"].items()}, seed=seed)


def _transformer(point: Mapping[str, Any], data: StringFeatures, seed: int) -> TinyCausalLM:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        context = data.length + 1 + len(point["order"])
        model = TinyCausalLM(data.vocabulary, point["width"], point["depth"], point["heads"], context)
    return model.to(point["device"])


def _decoded(reps: Tensor, labels: Tensor) -> float:
    """Return the accuracy of logistic regression from one half of the rows to the other."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y, half = reps.numpy(), labels.numpy(), len(reps) // 2
    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(x[:half], y[:half])
    return float(reader.score(x[half:], y[half:]))


class _Values(torch.nn.Module):
    """The model, with the most likely token at its last positions as its output."""

    def __init__(self, model: TinyCausalLM, positions: int):
        super().__init__()
        self.model, self.positions = model, positions

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[:, -self.positions :].argmax(-1)
