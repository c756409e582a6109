"""Description curves: against a loop over masks, the released code's numbers, and limits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.measure import (
    attribute_matrix,
    description_curve,
    description_length,
    pooled_complexity,
    representativeness,
    subjective_complexity,
)

OFFICIAL = np.load(Path(__file__).parent / "data" / "bayesian-generalization.npz")


def made(n=60, classes=4, d=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(n, d, 2, 3, generator=generator, dtype=torch.float64)
    y = torch.arange(n) % classes
    head = nn.Linear(d, classes).double()
    with torch.no_grad():
        head.weight.copy_(torch.randn(classes, d, generator=generator))
        head.bias.copy_(torch.randn(classes, generator=generator) / 3)
    return maps, y, head, torch.rand(classes, d, generator=generator)


def test_the_released_codes_numbers():
    maps = OFFICIAL["activations"]
    concepts, images = maps.shape[:2]
    y = np.repeat(np.arange(concepts), images)
    maps = maps.reshape(concepts * images, *maps.shape[2:])
    roa = representativeness(attribute_matrix(maps, y))
    assert np.argsort(-roa, 1, kind="stable").tolist() == OFFICIAL["order"].tolist()
    curve = description_curve(maps, y, OFFICIAL["head"], roa)
    assert curve == pytest.approx(OFFICIAL["acc_by_K"], abs=1e-6)
    assert curve[:, -1] == pytest.approx(OFFICIAL["acc_full"])
    area = subjective_complexity(curve, OFFICIAL["acc_full"], rule="area")
    assert area == pytest.approx(OFFICIAL["subjective_complexity_sum_diff"], abs=1e-6)


@pytest.mark.parametrize("at_once", [2**23, 50])
def test_the_curve_is_that_of_masks(monkeypatch, at_once):
    monkeypatch.setattr(description_length, "AT_ONCE", at_once)
    maps, y, head, order = made()
    curve = description_curve(maps, y, head, order)
    for c in range(4):
        mine = maps[y == c]
        for k in range(1, 8):
            mask = torch.zeros(7, dtype=torch.float64)
            mask[order[c].argsort(descending=True)[:k]] = 1
            answers = head((mine * mask[:, None, None]).mean((2, 3))).argmax(1)
            assert curve[c, k - 1] == pytest.approx(float((answers == c).double().mean()))
    assert torch.equal(curve, description_curve(maps.mean((2, 3)), y, head, order))
    assert curve[:, -1].mean() == pytest.approx(float((head(maps.mean((2, 3))).argmax(1) == y).double().mean()))


def test_the_bias_counts():
    maps, y, head, order = made()
    given = description_curve(maps, y, head.weight, order, bias=head.bias)
    assert torch.equal(given, description_curve(maps, y, head, order))
    assert not torch.equal(given, description_curve(maps, y, head.weight, order))


def test_the_least_k():
    curve = np.array([[0.2, 0.9, 0.8, 1.0], [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0]])
    assert subjective_complexity(curve, t=0.9).tolist() == [2, 3, 3]  # never: d - 1
    assert subjective_complexity(curve, t=0.7, relative=True).tolist() == [2, 3, 1]
    assert subjective_complexity(curve, t=0.95, relative=True)[:2].tolist() == [4, 4]
    kept = subjective_complexity(curve, t=0.9, least=0.25)
    assert kept[:2].tolist() == [2, 3] and np.isnan(kept[2])


def test_the_area():
    curve = np.array([[0.2, 0.9, 0.8, 1.0], [0.9, 0.2, 0.3, 0.4]])
    assert subjective_complexity(curve, rule="area") == pytest.approx([1.1, -0.2])
    assert subjective_complexity(curve, rule="area", converge=0.15) == pytest.approx([1.0, 0.2])
    rejected = subjective_complexity(curve, rule="area", reject=-0.4)
    assert rejected[0] == pytest.approx(1.1) and np.isnan(rejected[1])
    assert subjective_complexity(curve, np.array([0.5, 0.5]), rule="area") == pytest.approx([-0.4, 0.1])


def test_the_published_pool():
    curve = np.array([[0.2, 0.9, 0.8, 1.0], [0.9, 0.2, 0.3, 0.4]])
    found = pooled_complexity(curve, rejects=(-0.6, -0.4), converges=(0.0, 0.15, 0.9))
    by_hand = [[np.log((1.1 + 0.3) / 2), np.log((1.0 + 0.2) / 2), -np.inf], [np.log(1.1), np.log(1.0), -np.inf]]
    assert found == pytest.approx(np.array(by_hand))
    assert np.isnan(pooled_complexity(curve[1:], rejects=(-0.4,), converges=(0.0,))).all()
    assert pooled_complexity(curve).shape == (79, 35)


def test_bad_input():
    maps, y, head, order = made()
    with pytest.raises(InputError, match="head has shape"):
        description_curve(maps, y, head.weight[:, :5], order)
    with pytest.raises(InputError, match="concepts has no image of class 3, of 4 in the head"):
        description_curve(maps[y < 3], y[y < 3], head, order)
    with pytest.raises(InputError, match="bias came beside a linear layer"):
        description_curve(maps, y, head, order, bias=head.bias)
    with pytest.raises(InputError, match="activations has shape"):
        description_curve(maps.mean(3), y, head, order)
    with pytest.raises(InputError, match="accuracies lie in"):
        subjective_complexity(np.array([[0.5, 90.0]]))
    with pytest.raises(InputError, match="unknown rule 'areas'; nearest: area"):
        subjective_complexity(np.array([[0.5, 0.9]]), rule="areas")
    with pytest.raises(InputError, match="t is 90"):
        subjective_complexity(np.array([[0.5, 0.9]]), t=90)
