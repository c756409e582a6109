"""The higher-order loss: the released code's numbers, closed forms, and an explicit double loop."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses import HOCLoss, compatible_total
from farfield.nn import simplex_vertices

ORACLE = {
    name: torch.from_numpy(np.asarray(values))
    for name, values in np.load(
        Path(__file__).parents[1] / "data" / "stationary-representations.npz", allow_pickle=False
    ).items()
}


def test_value_and_gradient_of_the_released_code():
    old, new = ORACLE["feat_old_raw"].clone().requires_grad_(), ORACLE["feat_new_raw"].clone().requires_grad_()
    found = HOCLoss(float(ORACLE["mu"]))(new, old, ORACLE["labels"])
    assert found.item() == pytest.approx(ORACLE["hoc_loss"].item(), abs=1e-5)
    found.backward()
    torch.testing.assert_close(new.grad, ORACLE["hoc_grad_feat_new_raw"], atol=1e-5, rtol=1e-4)
    assert old.grad is None


def test_limits_of_the_released_code():
    old, new = ORACLE["feat_old_raw"], ORACLE["feat_new_raw"]
    for labels, name in ((torch.zeros(9), "hoc_loss_all_same_label"), (torch.arange(9), "hoc_loss_all_distinct")):
        assert HOCLoss()(new, old, labels.long()).item() == pytest.approx(ORACLE[name].item(), abs=1e-5)


def test_total_loss_of_the_released_code():
    hoc = HOCLoss()(ORACLE["feat_new_raw"], ORACLE["feat_old_raw"], ORACLE["targets_reversed"])
    total = compatible_total(ORACLE["ce_fixed"], hoc, float(ORACLE["lambda"]))
    assert total.item() == pytest.approx(ORACLE["total_loss"].item(), abs=1e-5)
    assert compatible_total(torch.tensor(3.0), torch.tensor(7.0), 1.0) == 3.0


def test_one_class_and_identical_features():
    x = torch.ones(9, 4)
    assert HOCLoss()(x, 5 * x, torch.zeros(9)).item() == pytest.approx(-10 + math.log(9), abs=1e-5)


def test_classes_at_the_vertices():
    w, y = simplex_vertices(10, dtype=torch.float64), torch.arange(10)
    official = HOCLoss()(w, w, y).item()
    assert official == pytest.approx(-8.6231, abs=5e-5)
    assert official == pytest.approx(-10 + math.log(1 + 9 * math.exp(-10 / 9)), abs=1e-9)
    contrastive = HOCLoss(masked="neg_inf", positive_in_denominator=True)(w, w, y).item()
    assert contrastive == pytest.approx(1.3450e-4, abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["zero", "neg_inf"]), st.booleans(), st.floats(0.1, 20))
def test_explicit_loop(seed, masked, positive, mu):
    generator = torch.Generator().manual_seed(seed)
    new, old = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 1, 0, 2, 1, 0])
    expected = 0.0
    for i in range(6):
        cosines = [float(old[i] @ new[j] / old[i].norm() / new[j].norm()) for j in range(6)]
        terms = []
        for j in range(6):
            if y[i] != y[j] or (i == j and positive):
                terms.append(math.exp(mu * cosines[j]))
            elif masked == "zero":
                terms.append(1.0)
        expected += (-mu * cosines[i] + math.log(sum(terms))) / 6
    found = HOCLoss(mu, masked, positive)(new, old, y).item()
    assert found == pytest.approx(expected, abs=1e-9)
    # Lengths and the order of examples make no difference.
    order = torch.randperm(6, generator=generator)
    assert HOCLoss(mu, masked, positive)(3 * new[order], 0.1 * old[order], y[order]).item() == pytest.approx(found)


def test_gradients():
    generator = torch.Generator().manual_seed(3)
    new, old = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 2])
    for masked in ("zero", "neg_inf"):
        loss = HOCLoss(masked=masked)
        assert torch.autograd.gradcheck(lambda z, loss=loss: loss(z, old, y), new.clone().requires_grad_())


def test_bad_input_is_named():
    x, y = torch.ones(3, 2), torch.tensor([0, 0, 0])
    with pytest.raises(InputError, match="single class"):
        HOCLoss(masked="neg_inf")(x, x, y)
    with pytest.raises(InputError, match=r"feat_new has shape \(3, 2\), feat_old \(2, 2\)"):
        HOCLoss()(x, x[:2], y)
    with pytest.raises(InputError, match="mu is 0"):
        HOCLoss(0)
    with pytest.raises(InputError, match="masked is 'ones'"):
        HOCLoss(masked="ones")
    with pytest.raises(InputError, match=r"lam is 1\.5"):
        compatible_total(torch.ones(()), torch.ones(()), 1.5)
