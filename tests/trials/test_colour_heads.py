"""Heads on frozen features where colour misleads."""

import pytest
import torch

from farfield.losses import VREx
from farfield.papers.rich_representations import TINY
from farfield.study.stage import VARIABLE
from farfield.trials.colour_heads import environments, fit_head, trial

POINT = {**TINY, "task": "digits"}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_groups_are_disjoint_and_the_variance_is_between_them():
    found = {r: trial({**POINT, "representation": r}, 0) for r in ("single", "cat-5", "cat-10", "bonsai-2")}
    assert all(0 <= f["colour"] <= 1 for f in found.values())
    assert found["single"]["colour_variance"] >= 0 and found["cat-5"]["colour_variance"] >= 0
    assert found["cat-10"]["colour_variance"] is None and found["bonsai-2"]["colour_variance"] is None


def test_no_row_is_trained_and_tested_on():
    parts = environments({"source": "digits", "size": 8, "rows": 200}, seed=0)
    rows = [{r.sum(0).numpy().tobytes() for r in t.columns["x"]} for t in parts.values()]
    assert not any(a & b for i, a in enumerate(rows) for b in rows[:i])
    assert parts["train"].columns["domain"].unique().tolist() == [0, 1]


def test_a_head_by_v_rex_leaves_the_feature_whose_worth_changes():
    g = torch.Generator().manual_seed(0)
    y, domain = torch.arange(4000) % 2, torch.arange(4000) // 2000
    sign = 2.0 * y - 1
    flip = torch.where(domain == 0, 0.02, 0.3)
    colour = torch.where(torch.rand(4000, generator=g) < flip, -sign, sign)
    shape = torch.where(torch.rand(4000, generator=g) < 0.25, -sign, sign)
    z = torch.stack([colour, shape], 1)

    def reliance(lam):
        weight = fit_head(z, y, domain, lam).weight.detach()
        return float((weight[1, 0] - weight[0, 0]) / (weight[1, 1] - weight[0, 1]))

    assert reliance(0.0) > 1.2 and reliance(100.0) < 0.5 * reliance(0.0)
    head = fit_head(z, y, domain, 10.0)
    losses = torch.nn.functional.cross_entropy(head(z), y, reduction="none")
    (VREx(10.0)(losses, domain) + 1e-3 * head.weight.square().sum()).backward()
    assert float(head.weight.grad.abs().max()) < 1e-2
