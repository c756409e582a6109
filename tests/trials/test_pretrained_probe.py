"""Probing named encoders side by side, as the full preset does."""

import pytest
import torch

from farfield.errors import InputError
from farfield.study.stage import VARIABLE
from farfield.trials.pretrained_probe import fit_probe, trial

POINT = {
    "task": "digits", "encoder_models": ["mlp?hidden=8&depth=1"] * 2, "wide_models": ["mlp?hidden=16&depth=1"],
    "probe_epochs": 2, "probe_batch": 64, "decays": [1e-3], "device": "cpu",
}  # fmt: skip


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_encoders_of_one_name_are_drawn_apart():
    one, two = (trial({**POINT, "representation": r}, 0) for r in ("single", "cat-2"))
    assert (one["features"], two["features"]) == (8, 16) and two["far"] > one["far"]


def test_the_rate_falls_at_the_paper_s_epochs():
    g = torch.Generator().manual_seed(0)
    z, y = torch.randn(280, 4, generator=g), torch.arange(280) % 2
    point = {**POINT, "probe_epochs": 28, "probe_batch": 280}
    a = fit_probe(z, y, point, 0.0, 0)
    # By hand: batches are the whole set, in some order.
    from farfield.nn import BNLinearProbe

    b = BNLinearProbe(4, 2, seed=0)
    sgd = torch.optim.SGD(b.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    for epoch in range(28):
        for group in sgd.param_groups:
            group["lr"] = 0.01 * 0.1 ** sum(epoch >= e for e in (8, 16, 24))
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(b(z), y).backward()
        sgd.step()
    assert torch.allclose(a.linear.weight, b.linear.weight, atol=1e-5)


@pytest.mark.parametrize(
    ("representation", "message"),
    [("cat-3", "cat-3 needs 3 encoders; 2 are named"), ("large-2", "unknown representation.*'large-2'")],
)
def test_what_is_not_there_is_refused(representation, message):
    with pytest.raises(InputError, match=message):
        trial({**POINT, "representation": representation}, 0)
