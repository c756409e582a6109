import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.losses import DisentanglementLoss, balanced_weights, categorical_kl_uniform, gaussian_kl
from farfield.nn import CausalDisentangler

ORACLE = Path(__file__).parents[1] / "data" / "catch.npz"
Y, TARGET = torch.tensor([0, 1, 1, 0, 1, 0]), torch.tensor([0, 1, 2, 0, -1, 1])


def output(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        z = torch.randn(6, 9)
        return CausalDisentangler(9, 3).eval()(z), z


def test_the_gaussian_kl_in_closed_form_and_as_released():
    zero = torch.zeros(1, 1)
    assert gaussian_kl(zero, zero) == 0
    assert gaussian_kl(zero + 1, zero) == pytest.approx(0.5)
    assert gaussian_kl(zero, zero + math.log(2)) == pytest.approx(0.806853, abs=1e-6)
    with np.load(ORACLE) as data:
        found = gaussian_kl(torch.from_numpy(data["mu"]), torch.from_numpy(data["log_sigma"]))
        assert float(found) == pytest.approx(float(data["continuous_kl"]), rel=1e-5)


@given(st.floats(-2, 2), st.floats(-1.5, 1.5))
def test_the_gaussian_kl_is_that_of_torch(mu, log_sigma):
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mu, math.exp(log_sigma)), normal(0.0, 1.0))
    found = gaussian_kl(torch.full((4, 3), mu), torch.full((4, 3), log_sigma))
    assert float(found) == pytest.approx(3 * float(expected), rel=1e-4, abs=1e-5)


def test_the_categorical_kl_from_uniform_to_one_hot():
    one_hot = torch.eye(8)[:1]
    assert float(categorical_kl_uniform(one_hot.log())) == pytest.approx(2.079442, abs=1e-6)
    assert float(categorical_kl_uniform(torch.full((3, 8), 1 / 8).log())) == pytest.approx(0, abs=1e-6)
    log_alpha = torch.randn(5, 4).log_softmax(1)
    uniform = torch.distributions.Categorical(torch.full((4,), 0.25))
    expected = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=log_alpha), uniform).mean()
    torch.testing.assert_close(categorical_kl_uniform(log_alpha), expected)


def test_a_probability_of_zero_has_a_finite_gradient():
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    categorical_kl_uniform(logits.log_softmax(1)).backward()
    assert torch.isfinite(logits.grad).all()


def test_the_loss_is_the_weighted_sum_of_its_terms():
    out, z = output()
    loss = DisentanglementLoss(2.0, 0.1, 0.3, 0.5, 0.2, hate_weight=1.5, target_weight=0.7)
    known = TARGET >= 0
    expected = (
        1.5 * cross_entropy(out.hate_logits, Y)
        + 2 * (out.code - z).square().mean()
        + 2 * 0.1 * (gaussian_kl(out.mu, out.log_sigma) - 0.5).abs()
        + 2 * 0.3 * (categorical_kl_uniform(out.log_alpha) - 0.2).abs()
        + 0.7 * cross_entropy(out.log_alpha[known], TARGET[known])
    )
    torch.testing.assert_close(loss(out, Y, TARGET, z), expected)
    torch.testing.assert_close(sum(loss.parts(out, Y, TARGET, z).values()), expected)


def test_weights_of_classes_divide_by_their_sum_and_as_coded_by_the_rows():
    with np.load(ORACLE) as data:
        logits = torch.from_numpy(data["hate_probs"]).log()
        y = torch.from_numpy(data["hate_onehot"]).argmax(1)
        out = SimpleNamespace(
            hate_logits=logits, mu=torch.zeros(6, 1), log_sigma=torch.zeros(6, 1), log_alpha=torch.full((6, 2), 0.5).log(),
            target_logits=torch.zeros(6, 2), code=torch.zeros(6, 1),
        )  # fmt: skip
        weights, nowhere = data["hate_class_weights"], torch.full((6,), -1)
        proper, coded = (
            DisentanglementLoss(class_weights=weights, reconstruction=None, as_coded=c).parts(out, y, nowhere)["hate"]
            for c in (False, True)
        )
        assert float(coded) == pytest.approx(float(data["hate_loss_as_coded"]), rel=1e-5)
        w = torch.from_numpy(weights)[y]
        rows = -logits.gather(1, y[:, None])[:, 0]
        assert float(proper) == pytest.approx(float((w * rows).sum() / w.sum()), rel=1e-5)


def test_a_capacity_pulls_toward_itself_with_the_sign_of_the_difference():
    def gradient(capacity):
        mu = torch.full((2, 1), 1.0, requires_grad=True)
        out, _ = output()
        parts = SimpleNamespace(**{**vars(out), "mu": mu, "log_sigma": torch.zeros(2, 1)})
        parts.hate_logits, parts.log_alpha, parts.target_logits = (
            out.hate_logits[:2].detach(),
            out.log_alpha[:2].detach(),
            out.target_logits[:2].detach(),
        )
        loss = DisentanglementLoss(beta_c=1.0, capacity_c=capacity, reconstruction=None)
        loss(parts, Y[:2], TARGET[:2]).backward()
        return mu.grad

    # KL is 0.5: its gradient is mu / n.
    torch.testing.assert_close(gradient(0.0), torch.full((2, 1), 0.5))
    torch.testing.assert_close(gradient(0.7), torch.full((2, 1), -0.5))


def test_a_capacity_can_be_learned():
    out, z = output()
    loss = DisentanglementLoss(capacity_c=torch.nn.Parameter(torch.tensor(0.3)))
    assert len(list(loss.parameters())) == 1
    loss(out, Y, TARGET, z).backward()
    assert float(loss.capacity_c.grad) == pytest.approx(-0.05)


def test_a_batch_without_a_known_nuisance_adds_nothing():
    out, z = output()
    for weights in (None, [1.0, 2.0, 1.0]):
        loss = DisentanglementLoss(target_class_weights=weights)
        assert float(loss.parts(out, Y, torch.full((6,), -1), z)["target"].detach()) == 0
    weighted = DisentanglementLoss(target_class_weights=[1.0, 5.0, 2.0]).parts(out, Y, TARGET, z)["target"]
    known = TARGET >= 0
    expected = cross_entropy(out.log_alpha[known], TARGET[known], torch.tensor([1.0, 5.0, 2.0]))
    torch.testing.assert_close(weighted, expected)


def test_balanced_weights_give_every_class_the_same_total():
    labels = torch.tensor([0, 0, 0, 2, -1])
    weights = balanced_weights(labels, 3)
    assert weights.tolist() == pytest.approx([2 / 3, 0, 2])
    totals = weights * torch.bincount(labels[labels >= 0], minlength=3)
    assert totals.tolist() == pytest.approx([2, 0, 2])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"alpha": -1.0}, "alpha is -1"),
        ({"beta_t": math.nan}, "beta_t is nan"),
        ({"capacity_c": -0.1}, "capacity_c"),
        ({"class_weights": [-1.0, 2.0]}, "class_weights is"),
        ({"reconstruction": "pixels"}, "reconstruction is 'pixels'"),
    ],
)
def test_bad_settings_are_named(bad, says):
    with pytest.raises(InputError, match=says):
        DisentanglementLoss(**bad)


def test_bad_calls_are_named():
    out, z = output()
    with pytest.raises(InputError, match="reference is None"):
        DisentanglementLoss()(out, Y, TARGET)
    with pytest.raises(InputError, match="y has shape"):
        DisentanglementLoss()(out, Y[:3], TARGET, z)
    for labels in (torch.tensor([-1]), torch.tensor([5])):
        with pytest.raises(InputError, match="labels has"):
            balanced_weights(labels, 2)
