"""Many graph networks on one graph, and whether being similar to the best of them tells how accurate one is."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from farfield.nn.graph import GraphNetwork
from farfield.reuse.anchors import select_anchors
from farfield.study.stage import stage
from farfield.tasks.citation_graphs import citation_graph
from farfield.trials.spaces import home, view

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def proxy(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train a sweep of networks and correlate their similarity to the best with their accuracy.

    **Arguments:**
    - ``point``: ``task`` ("cora", "citeseer"), ``space`` (see `farfield.trials.spaces`), ``sweep`` (axis -> values, of
      convolution, depth, dropout, activation, optimizer, learning_rate), ``epochs`` (when each network is looked at),
      ``hidden``, ``graph_anchors`` (training nodes) and ``device``.
    - ``seed``: of the random split (a tenth for validation), the anchors and the weights.

    Similarity is the mean over nodes of the cosine between the two views of a node. The best, by validation accuracy, is left
    out; so are networks that diverged.

    **Returns:** ``proxy`` (Spearman's correlation; None where all similarities or accuracies are equal), ``similarities`` and
    ``accuracies`` (by network), ``best_accuracy``, ``diverged``.
    """
    from scipy.stats import spearmanr

    found = sweep(
        graph=point["task"],
        seed=seed,
        axes=dict(point["sweep"]),
        epochs=list(point["epochs"]),
        hidden=point["hidden"],
        device=point["device"],
    )
    features, accuracy, train = found["features"], found["accuracy"], found["train"]  # (r, n, h), (r,), (t,)
    anchors = train[select_anchors(len(train), min(point["graph_anchors"], len(train)), seed=seed)]
    whole = torch.isfinite(features).all(2).all(1)
    best = int(torch.where(whole, accuracy, -1).argmax())
    reference = features[best].double()
    seen = view(home(point["space"]), reference, reference[anchors], reference[anchors], seed=seed)
    runs = [r for r in whole.nonzero().flatten().tolist() if r != best]
    similarities = []
    for run in runs:
        codes = features[run].double()
        mine = view(point["space"], codes, codes[anchors], reference[anchors], seed=seed)
        similarities.append(float(cosine_similarity(mine, seen).mean()))
    accuracies = accuracy[runs].tolist()
    varied = len(set(similarities)) > 1 and len(set(accuracies)) > 1
    return {
        "proxy": float(spearmanr(similarities, accuracies).statistic) if varied else None,
        "similarities": similarities,
        "accuracies": accuracies,
        "best_accuracy": float(accuracy[best]),
        "diverged": int((~whole).sum()),
    }


@stage
def sweep(
    *, graph: str, seed: int, axes: dict[str, Sequence[Any]], epochs: list[int], hidden: int, device: str
) -> dict[str, Tensor]:
    """Return what every network of a sweep, at every one of these epochs, makes of the nodes.

    Full-batch training by cross-entropy on random training nodes, inputs divided by their row sums. Of each combination of
    ``axes`` one network is trained up to the last epoch.

    **Returns:** ``features`` (networks x epochs, n, hidden), ``accuracy`` on the validation nodes, ``train`` (node numbers).
    """
    found = citation_graph(graph)
    train, val = (part.to(device) for part in found.random_split(seed=seed))
    x, y, edges = (part.to(device) for part in (found.row_normalized(), found.y, found.edges))
    features, accuracy = [], []
    for number, values in enumerate(itertools.product(*axes.values())):
        options = dict(zip(axes, values))
        make, rate = OPTIMIZERS[options.pop("optimizer", "adam")], options.pop("learning_rate")
        with torch.random.fork_rng(devices=[]):
            # Its own start for each network: those that share one are alike from the beginning.
            torch.default_generator.manual_seed(seed * 1000 + number)
            network = GraphNetwork(x.shape[1], found.classes, hidden=hidden, **options).to(device)
            matrix = network.matrix_of(edges, len(y))
            optimizer = make(network.parameters(), lr=rate)
            for epoch in range(1, max(epochs) + 1):
                network.train()
                optimizer.zero_grad()
                cross_entropy(network(x, matrix)[train], y[train]).backward()
                optimizer.step()
                if epoch in epochs:
                    network.eval()
                    with torch.no_grad():
                        features.append(network.features(x, matrix).cpu())
                        right = network(x, matrix)[val].argmax(1) == y[val]
                    accuracy.append(float(right.double().mean()))
    return {"features": torch.stack(features), "accuracy": torch.tensor(accuracy), "train": train.cpu()}
