"""Colour as a shortcut: what is read off frozen features where colour turns against the label, on average and from run to run."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch import nn as torch_nn

from farfield import nn
from farfield.losses import VREx
from farfield.reuse import Cat, rich_features
from farfield.study.stage import stage
from farfield.tasks import coloured_environments
from farfield.tasks.task import Table
from farfield.train import predict, train
from farfield.trials.rich_sources import build

METHODS = ("single", "cat-2", "cat-5", "cat-10", "bonsai-2")
FLIPS = (0.1, 0.2, 0.9)  # two environments to train on, one to test on
L2 = 0.0011


def trial(point: Mapping[str, Any], seed: int) -> dict[str, float | None]:
    """Train networks by plain training, or in rounds, and heads on their frozen features; test where colour misleads.

    **Arguments:**
    - ``point``: ``representation``, one of ``METHODS``; ``colour``: ``source``, ``size``, ``rows`` of an environment, ``hidden`` layers, ``steps`` of a
      plain run and of the first round, ``robust_steps`` of the second round and of the synthesis, ``runs``: how many plain runs; ``penalties``: weights of the
      variance to choose from.
    - ``seed``: of images, labels and networks.

    **Returns:** ``colour``: accuracy (0 to 1) with a head by V-REx, its penalty chosen on held-out rows of the training environments,
    mean over all disjoint groups of the runs; ``colour_erm``: with a head by plain training; ``colour_ood_tuned``: penalty chosen on half
    of the test environment, tested on the other; ``colour_variance``: of ``colour`` between the groups, in squared percentage points,
    None where there is one.
    """
    settings, method = point["colour"], point["representation"]
    data = environments(settings, seed)
    if method == "bonsai-2":
        groups = [[_load(settings, seed, "rich", 0)]]
    else:
        k = 1 if method == "single" else int(method.removeprefix("cat-"))
        runs = [_load(settings, seed, "plain", i) for i in range(settings["runs"] // k * k)]
        groups = [runs[i : i + k] for i in range(0, len(runs), k)]
    if not groups:
        return dict.fromkeys(("colour", "colour_erm", "colour_ood_tuned", "colour_variance"))
    found = torch.tensor([_heads(group, data, settings["penalties"]) for group in groups], dtype=torch.float64)
    means = found.mean(0).tolist()
    variance = float((100 * found[:, 0]).var()) if len(groups) > 1 else None
    return dict(zip(("colour", "colour_erm", "colour_ood_tuned"), means)) | {"colour_variance": variance}


def environments(settings: Mapping[str, Any], seed: int) -> dict[str, Table]:
    """Return what is trained on, what is held out of it, and two halves of the test environment: train, held, tune, test.

    >>> parts = environments({"source": "digits", "size": 8, "rows": 100}, seed=0)
    >>> {name: len(table) for name, table in parts.items()}
    {'train': 150, 'held': 50, 'tune': 50, 'test': 50}
    """
    first, second, test = coloured_environments(
        FLIPS, source=settings["source"], size=settings["size"], rows=settings["rows"], seed=seed
    )
    cut, half = settings["rows"] * 3 // 4, settings["rows"] // 2
    pieces = {
        "train": (first.take(slice(0, cut)), second.take(slice(0, cut))),
        "held": (first.take(slice(cut, None)), second.take(slice(cut, None))),
        "tune": (test.take(slice(0, half)),),
        "test": (test.take(slice(half, None)),),
    }
    return {
        name: Table(**{c: torch.cat([table.columns[c] for table in tables]) for c in ("x", "y", "domain")})
        for name, tables in pieces.items()
    }


def _heads(
    models: list[nn.Classifier], data: Mapping[str, Table], penalties: Sequence[float]
) -> tuple[float, float, float]:
    cat = Cat([copy.deepcopy(m.encoder) for m in models])
    z = {name: predict(cat, Table(x=table.columns["x"])) for name, table in data.items()}
    mean, spread = z["train"].mean(0), z["train"].std(0)
    spread = torch.where(spread > 0, spread, 1.0)
    z = {name: (values - mean) / spread for name, values in z.items()}
    y, domain = data["train"].columns["y"], data["train"].columns["domain"]

    def right(head: torch_nn.Linear, part: str) -> float:
        with torch.no_grad():
            return float((head(z[part]).argmax(1) == data[part].columns["y"]).double().mean())

    plain = fit_head(z["train"], y, domain, 0.0)
    robust = [fit_head(z["train"], y, domain, lam) for lam in penalties]
    iid, ood = (max(robust, key=lambda head: right(head, part)) for part in ("held", "tune"))
    return right(iid, "test"), right(plain, "test"), right(ood, "test")


def fit_head(z: Tensor, y: Tensor, domain: Tensor, lam: float) -> torch_nn.Linear:
    """Return a linear head on features (n, d) that minimises `farfield.losses.VREx` plus 0.001 times its squared weights.

    By L-BFGS on all rows at once, from weights of 0; ``lam`` of 0 is plain training.

    >>> z, y = torch.tensor([[-1.0], [1.0]]).repeat(4, 1), torch.tensor([0, 1]).repeat(4)
    >>> fit_head(z, y, torch.arange(8) // 4, 1.0)(z).argmax(1).tolist()
    [0, 1, 0, 1, 0, 1, 0, 1]
    """
    head = nn.plain_head(z.shape[1], int(y.max()) + 1)
    torch_nn.init.zeros_(head.weight)
    loss = VREx(lam)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        losses = torch_nn.functional.cross_entropy(head(z), y, reduction="none")
        value = loss(losses, domain) + 1e-3 * head.weight.square().sum()
        value.backward()
        return value

    optimizer.step(closure)
    return head


def _load(settings: Mapping[str, Any], seed: int, kind: str, index: int) -> nn.Classifier:
    weights = network(settings=dict(settings), kind=kind, index=index, seed=seed)
    model = build(2 * settings["size"] ** 2, settings["hidden"], 2, seed=0)
    model.load_state_dict(weights)
    return model.eval()


@stage
def network(*, settings: dict[str, Any], kind: str, index: int, seed: int) -> dict[str, Tensor]:
    """Return the weights of the i-th plain run, or of the network with rich features, as a state dict.

    All rows in each step, Adam at 5e-4, and 0.0011 times the squared weights, as in the released code.
    """
    rows = environments(settings, seed)["train"]

    def make(own: int) -> nn.Classifier:
        return build(2 * settings["size"] ** 2, settings["hidden"], 2, seed=own)

    if kind == "rich":
        steps = (settings["steps"], settings["robust_steps"])
        found = rich_features(
            make, rows, steps=steps, synthesis_steps=settings["robust_steps"], l2=L2, seed=1000 * seed + 900
        )
        return found.model.state_dict()
    model = make(1000 * seed + index)
    train(
        model,
        rows,
        lambda m, b: (
            torch_nn.functional.cross_entropy(m(b["x"]), b["y"]) + L2 * sum(p.square().sum() for p in m.parameters())
        ),
        torch.optim.Adam(model.parameters(), lr=5e-4, fused=True),
        steps=settings["steps"],
        batch_size=len(rows),
        seed=1000 * seed + index,
    )
    return model.state_dict()
