"""One trial of simplicity bias: the paper's effect on small data, and the user's own data and methods."""

import sys
import textwrap

import pytest
import torch

from farfield.errors import InputError
from farfield.measure import feature_reliance, linear_pieces
from farfield.papers.simplicity_bias import study
from farfield.study.stage import VARIABLE
from farfield.trials import simplicity

SMALL = {t.point["data"]: t.point for t in study.trials("small", seeds=1) if t.point["training"] == "sgd"}
LMS = {**SMALL["lms-5"], "dimensions": 12, "rows": 12_000, "test_rows": 3000, "steps": 300, "sgd_steps": 300}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_a_network_relies_on_the_linear_block_alone():
    result = simplicity.trial(LMS, 0)
    assert result["train_accuracy"] > 0.99 and result["auc"] > 0.999 and result["complex_auc"] > 0.99
    assert result["chance"] == abs(result["simple_auc"] - 0.5) < 0.03
    assert result["budget"] > 0.9 and result["svd_accuracy"] < 0.2 and result["pgd_accuracy"] < 0.1
    assert result["swap_accuracy"] < 0.05 and result["complex_accuracy"] > 0.98
    assert result["complex_only_auc"] < 0.9
    # Histograms are shares; with the linear block randomized, half of class 1 gets a score below 0.
    for name in ("scores", "simple_scores", "complex_scores"):
        assert len(result[name]) == len(simplicity.BINS) - 1 and sum(result[name]) == pytest.approx(1, abs=1e-5)
    assert sum(result["scores"][:16]) < 0.02 and 0.4 < sum(result["simple_scores"][:16]) < 0.6
    # The numbers are those of the network that it keeps.
    data = simplicity.make(LMS, 0)
    model = simplicity.fit(LMS, data, 0)
    x, y = data.test.columns["x"], data.test.columns["y"]
    found = feature_reliance(model, x, y, data.groups, rotation=data.rotation, repeats=3, seed=0)
    assert (result["auc"], result["simple_auc"]) == (found.standard, found.randomized["linear"])
    assert simplicity.trial(LMS, 0) == result


def test_ensembles_and_adversarial_training_are_compared_with_their_plain_networks():
    ensemble = simplicity.trial({**LMS, "training": "ensemble"}, 1)
    assert abs(ensemble["gain"]) < 0.05 and ensemble["auc"] > 0.999
    data = simplicity.make(LMS, 1)
    three = simplicity.fit({**LMS, "training": "ensemble"}, data, 1).models
    assert len(three) == 3 and not torch.equal(three[0].head.weight, three[1].head.weight)
    # The first one is the plain network of this seed.
    assert torch.equal(three[0].head.weight, simplicity.fit(LMS, data, 1).head.weight)
    adversarial = simplicity.trial({**LMS, "training": "adversarial", "attack_eps": 0.2}, 1)
    assert adversarial["pgd_accuracy"] is not None and abs(adversarial["gain"]) < 0.05
    attacked = simplicity.fit({**LMS, "training": "adversarial", "attack_eps": 0.2}, data, 1)
    assert not torch.equal(attacked.head.weight, three[0].head.weight)


def test_splits_share_no_row_and_noise_is_in_both():
    point = {**SMALL["noisy-lms-7"], "rows": 3000, "test_rows": 1000}
    data = simplicity.make(point, 0)
    assert (len(data.train), len(data.test)) == (3000, 1000)
    for rows in (data.train, data.test):
        linear = rows.columns["x"] @ data.rotation[0]
        inside = (linear.abs() < 0.0999).double().mean()
        assert abs(inside - 0.1) < 0.03
    assert linear_pieces((data.test.columns["x"] @ data.rotation[3]).numpy(), data.test.columns["y"]) == 7
    both = torch.cat([data.train.columns["x"], data.test.columns["x"]])
    assert len(both.unique(dim=0)) == 4000


@pytest.mark.needs_data("mnist-10k")
def test_dominoes_follow_the_digit_above():
    point = {**SMALL["dominoes"], "training": "momentum", "steps": 100}
    data = simplicity.make(point, 0)
    assert data.train.columns["x"].shape == (1300, 1, 28, 14) and len(data.test) == 600
    result = simplicity.trial(point, 0)
    assert result["complex_auc"] > 0.98 and result["simple_auc"] < 0.8 and result["complex_only_auc"] > 0.95


def test_wide_and_deep_are_other_networks():
    data = simplicity.make({**LMS, "rows": 50, "test_rows": 10}, 0)
    sizes = [
        sum(p.numel() for p in simplicity.build(LMS, data, kind, 0).parameters()) for kind in ("sgd", "wide", "deep")
    ]
    assert sizes == [12 * 100 + 100 + 202, 12 * 300 + 300 + 602, 12 * 100 + 100 + 100 * 100 + 100 + 202]


def test_a_method_of_compare_and_the_users_own_data(tmp_path, monkeypatch):
    (tmp_path / "my_groups.py").write_text(
        textwrap.dedent(
            """
            import numpy as np

            def make(split, seed):
                rng = np.random.default_rng([seed, split == "test"])
                y = rng.integers(3, size=600)
                x = rng.normal(size=(600, 4))
                x[:, 0] += 4 * y
                x[:, 1] += 0.5 * y
                return x, y, {"loud": [0], "soft": [1, 2, 3]}

            def wrong(split, seed):
                return make(split, seed)[:2]
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    point = {**LMS, "data": "my_groups:make", "training": "erm", "steps": 200}
    try:
        result = simplicity.trial(point, 0)
        plain = simplicity.trial({**point, "training": "sgd", "sgd_steps": 100}, 0)
        with pytest.raises(InputError, match="my_groups:wrong returned tuple; expected x, y and groups"):
            simplicity.trial({**point, "data": "my_groups:wrong"}, 0)
    finally:
        sys.modules.pop("my_groups", None)
    assert result["auc"] > 0.93 and result["simple_auc"] < 0.7 < 0.93 < result["complex_auc"]
    assert "scores" not in result and plain["complex_only_auc"] < 0.8


def test_unknown_names_are_refused():
    small = {**LMS, "rows": 100, "test_rows": 50}
    with pytest.raises(InputError, match="unknown method 'smm'"):
        simplicity.trial({**small, "training": "smm"}, 0)
    with pytest.raises(InputError, match="base is 'lion'"):
        simplicity.trial({**small, "training": "wide", "base": "lion"}, 0)
