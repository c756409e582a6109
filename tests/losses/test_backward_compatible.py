"""Losses of compatible training: the released code's values and gradients, closed forms and limits."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from farfield.errors import InputError
from farfield.losses import BackwardCompatibleLoss, BT2Loss
from farfield.nn import BasisTransformHead

ORACLE = np.load(Path(__file__).parents[1] / "data" / "bt2.npz", allow_pickle=False)


def tensor(name):
    return torch.from_numpy(ORACLE[name])


def head():
    d_old, d_new, a = (int(ORACLE[name]) for name in ("d_old", "d_new", "to_add"))
    made = BasisTransformHead(d_old + d_new, d_new, d_old, len(ORACLE["fc_out_w"]), a, float(ORACLE["C"]))
    with torch.no_grad():
        made.to_old.weight.copy_(tensor("fc3_w"))
        made.to_old.bias.copy_(tensor("fc3_b"))
        made.classifier.weight.copy_(tensor("fc_out_w"))
        made.new_basis.weight, made.old_basis.weight = tensor("P"), tensor("Q")
    return made


def test_the_released_codes_loss_and_gradients():
    l_new, l_influence, l_old = ORACLE["lambdas"].tolist()
    model, loss = head(), BT2Loss(tensor("pseudo_classifier"), l_new, l_influence, l_old)
    value, parts = loss(model(tensor("backbone_out")), tensor("y"), tensor("phi_old"), tensor("phi_new_indep"))
    assert value.item() == pytest.approx(float(ORACLE["loss_bt2"]), abs=1e-4)
    weighted = parts["classes"] + l_influence * parts["influence"] + l_old * parts["old"] + l_new * parts["new"]
    torch.testing.assert_close(value, weighted)
    value.backward()
    torch.testing.assert_close(model.to_old.weight.grad, tensor("grad_fc3_w"), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.classifier.weight.grad, tensor("grad_fc_out_w"), atol=1e-4, rtol=1e-4)


def test_the_weights_are_the_papers_where_none_are_given():
    loss = BT2Loss(torch.eye(2))
    assert (loss.l_new, loss.l_influence, loss.l_old) == (1, 10, 5)


def test_the_released_codes_loss_of_the_baseline():
    h, w = tensor("bct_h"), tensor("bct_w")
    loss = BackwardCompatibleLoss(tensor("pseudo_classifier"), float(ORACLE["bct_alpha"]))
    assert loss(h @ w.T, h, tensor("y")).item() == pytest.approx(float(ORACLE["loss_bct"]), abs=1e-4)


def test_without_alpha_the_baseline_is_cross_entropy():
    h, w, y = tensor("bct_h"), tensor("bct_w"), tensor("y")
    found = BackwardCompatibleLoss(tensor("pseudo_classifier"), alpha=0.0)(h @ w.T, h, y)
    torch.testing.assert_close(found, cross_entropy(h @ w.T, y))
    smoothed = BackwardCompatibleLoss(tensor("pseudo_classifier"), alpha=0.0, label_smoothing=0.1)(h @ w.T, h, y)
    torch.testing.assert_close(smoothed, cross_entropy(h @ w.T, y, label_smoothing=0.1))


def test_cosines_are_from_zero_to_two_and_do_not_look_at_lengths():
    output, y = head()(tensor("backbone_out")), tensor("y")
    loss = BT2Loss(tensor("pseudo_classifier"))
    same, parts = loss(output, y, 3 * output.compatible, 0.1 * output.feature)
    assert parts["old"].item() == pytest.approx(0, abs=1e-6) and parts["new"].item() == pytest.approx(0, abs=1e-6)
    other, parts = loss(output, y, -output.compatible, -output.feature)
    assert parts["old"].item() == pytest.approx(2, abs=1e-6) and parts["new"].item() == pytest.approx(2, abs=1e-6)
    assert other.item() - same.item() == pytest.approx(2 * (5 + 1), abs=1e-4)


def test_the_influence_term_reads_unit_vectors():
    output, y = head()(tensor("backbone_out")), tensor("y")
    _, parts = BT2Loss(tensor("pseudo_classifier"))(output, y, tensor("phi_old"), tensor("phi_new_indep"))
    logits = normalize(output.compatible, dim=1) @ tensor("pseudo_classifier").T
    torch.testing.assert_close(parts["influence"], cross_entropy(logits, y))
    # The vectors themselves are longer than 1.
    assert not torch.isclose(parts["influence"], cross_entropy(output.compatible @ tensor("pseudo_classifier").T, y))


def test_without_classes_the_two_cosines_are_left():
    output = head()(tensor("backbone_out"))
    value, parts = BT2Loss(None)(output, None, tensor("phi_old"), tensor("phi_new_indep"))
    assert set(parts) == {"old", "new"}
    torch.testing.assert_close(value, 5 * parts["old"] + parts["new"])


def test_the_pseudo_classifier_is_frozen_and_moves_with_the_loss():
    loss = BT2Loss(torch.eye(2))
    assert not list(loss.parameters()) and loss.double().pseudo_classifier.dtype == torch.float64


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match="alpha is -1"):
        BackwardCompatibleLoss(torch.eye(2), alpha=-1)
    with pytest.raises(InputError, match="label_smoothing is 2"):
        BackwardCompatibleLoss(torch.eye(2), label_smoothing=2)
    with pytest.raises(InputError, match=r"pseudo_classifier has shape \(2,\)"):
        BackwardCompatibleLoss(torch.ones(2))
    with pytest.raises(InputError, match=r"features has shape \(1, 3\); the pseudo-classifier needs \(n, 2\)"):
        BackwardCompatibleLoss(torch.eye(2))(torch.zeros(1, 2), torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(InputError, match="l_old is nan"):
        BT2Loss(torch.eye(2), l_old=math.nan)
    made = BasisTransformHead(4, 2, 2, 2, 1)
    output, row = made(torch.ones(1, 4)), torch.ones(1, 2)
    with pytest.raises(InputError, match=r"phi_old has shape \(1, 3\); expected \(1, 2\)"):
        BT2Loss(torch.eye(2))(output, torch.tensor([0]), torch.ones(1, 3), row)
    with pytest.raises(InputError, match="no y came"):
        BT2Loss(torch.eye(2))(output, None, row, row)
    with pytest.raises(InputError, match="the head has no classes"):
        BT2Loss(torch.eye(2))(BasisTransformHead(4, 2, 2, None, 1)(torch.ones(1, 4)), torch.tensor([0]), row, row)
