from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from farfield.errors import InputError
from farfield.nn import RelativeEncoder, RelativeProjection

# Numbers of the official code (lucmos/relreps, RelativeAttention at initialisation), in float64.
OFFICIAL = Path(__file__).parent / "data" / "relative-representations.npz"


@pytest.fixture(scope="module")
def official():
    with np.load(OFFICIAL, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(d, seed):
    return torch.linalg.qr(draw(d, d, seed=seed))[0]


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("rel_l2", {}, 1e-10),
        ("rel_none", {"similarity": "dot"}, 1e-10),
        # The official code's weight of a class of 3 is 1/3 in float32.
        ("rel_stratified_avg", {"aggregate": "class"}, 5e-8),
        ("rel_round_0.1", {"quantize": 0.1}, 1e-10),
    ],
)
def test_the_official_numbers(official, name, options, tolerance):
    found = RelativeProjection(**options)(official["x"], official["anchors"], official["anchors_targets"])
    torch.testing.assert_close(found, official[name], rtol=0, atol=tolerance)


def test_the_official_basis_change_reconstructs_the_same_vectors(official):
    x, anchors = (nn.functional.normalize(official[k], dim=1) for k in ("x", "anchors"))
    ours = RelativeProjection("basis")(official["x"], official["anchors"])
    torch.testing.assert_close(ours @ anchors, official["rel_basis_change"] @ anchors, rtol=0, atol=1e-8)
    # Of all solutions ours is the shortest.
    assert (ours.norm(dim=1) <= official["rel_basis_change"].norm(dim=1) + 1e-9).all()
    few = anchors[:4]
    expected = np.linalg.lstsq(few.T.numpy(), x.T.numpy(), rcond=None)[0].T
    torch.testing.assert_close(RelativeProjection("basis")(x, few), torch.from_numpy(expected))


@pytest.mark.parametrize(("norm", "name"), [("layernorm", "rel_l2_layernorm"), ("l2", "rel_l2_l2"), ("none", "rel_l2")])
def test_the_official_norms(official, norm, name):
    encoder = RelativeEncoder(nn.Identity(), official["anchors"], norm=norm).double()
    torch.testing.assert_close(encoder(official["x"]).detach(), official[name], rtol=0, atol=1e-10)


def test_by_hand():
    x, anchors = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, -4.0]])
    torch.testing.assert_close(RelativeProjection()(x, anchors), torch.tensor([[0.6, 0.8, -1.0]]))
    dots = torch.tensor([[3.0, 8.0, -25.0]]) / 2**0.5
    torch.testing.assert_close(RelativeProjection("dot")(x, anchors), dots)
    distances = -torch.tensor([[20**0.5, 13**0.5, 10.0]])
    torch.testing.assert_close(RelativeProjection("euclidean")(x, anchors), distances)
    means = RelativeProjection(aggregate="class")(x, anchors, torch.tensor([1, 0, 1]))
    torch.testing.assert_close(means, torch.tensor([[0.8, -0.2]]))
    torch.testing.assert_close(RelativeProjection(quantize=0.5)(x, anchors), torch.tensor([[0.5, 1.0, -1.0]]))


@given(st.integers(0, 100), st.integers(1, 6), st.floats(0.01, 100), st.floats(0.01, 100))
def test_a_rotation_and_scales_change_no_cosine(seed, d, c, other):
    x, anchors, project = draw(5, d, seed=seed), draw(4, d, seed=seed + 1), RelativeProjection()
    found = project(x, anchors)
    q = rotation(d, seed + 2)
    torch.testing.assert_close(project(c * x @ q, other * anchors @ q), found)
    assert (found.abs() <= 1 + 1e-12).all()
    torch.testing.assert_close(project(anchors, anchors).diagonal(), torch.ones(4, dtype=torch.float64))


@given(st.integers(0, 100), st.floats(-10, 10))
def test_a_shift_changes_cosines_unless_they_are_centered(seed, shift):
    x, anchors = draw(5, 3, seed=seed), draw(4, 3, seed=seed + 1)
    t = shift * torch.ones(3, dtype=torch.float64)
    centered = RelativeProjection(center=True)
    torch.testing.assert_close(centered(x + t, anchors + t), centered(x, anchors), rtol=1e-6, atol=1e-8)
    if abs(shift) > 0.1:
        assert not torch.allclose(RelativeProjection()(x + t, anchors + t), RelativeProjection()(x, anchors), atol=1e-4)


def test_distances_ignore_a_shift_and_not_a_scale():
    x, anchors, project = draw(5, 3), draw(4, 3, seed=1), RelativeProjection("euclidean")
    torch.testing.assert_close(project(x + 7, anchors + 7), project(x, anchors))
    torch.testing.assert_close(project(2 * x, 2 * anchors), 2 * project(x, anchors))
    # Also in float32, where the distance by inner products is off by a thousandth.
    far = (1000 + draw(3, 8)).float()
    assert project(far, far).diagonal().eq(0).all()


def test_permuting_anchors_permutes_columns():
    x, anchors, order = draw(5, 3), draw(4, 3, seed=1), torch.tensor([2, 0, 3, 1])
    for similarity in ("cosine", "dot", "euclidean"):
        project = RelativeProjection(similarity)
        torch.testing.assert_close(project(x, anchors[order]), project(x, anchors)[:, order])


def test_a_vector_of_zeros_has_cosine_zero():
    assert RelativeProjection()(torch.zeros(2, 3), torch.eye(3)).eq(0).all()


def test_classes_are_means_of_their_columns(official):
    labels = official["anchors_targets"]
    found = RelativeProjection(aggregate="class")(official["x"], official["anchors"], labels)
    expected = [official["rel_l2"][:, labels == c].mean(1) for c in range(3)]
    torch.testing.assert_close(found, torch.stack(expected, dim=1), rtol=0, atol=1e-14)


def test_the_gradient_passes_the_rounding():
    x = draw(3, 2).requires_grad_()
    anchors = draw(4, 2, seed=1)
    weights = draw(3, 4, seed=2)
    (rounded,) = torch.autograd.grad((RelativeProjection(quantize=0.1)(x, anchors) * weights).sum(), x)
    (plain,) = torch.autograd.grad((RelativeProjection()(x, anchors) * weights).sum(), x)
    torch.testing.assert_close(rounded, plain)


def test_anchors_are_encoded_by_the_encoder_as_it_is_now():
    layer = nn.Linear(4, 3).double()
    inputs, x = draw(5, 4), draw(2, 4, seed=1)
    encoder = RelativeEncoder(layer, inputs, norm="none", chunk=2)
    torch.testing.assert_close(encoder(x), RelativeProjection()(layer(x), layer(inputs)))
    with torch.no_grad():
        layer.weight.add_(draw(3, 4, seed=2))
    torch.testing.assert_close(encoder(x), RelativeProjection()(layer(x), layer(inputs)))


@pytest.mark.parametrize("anchor_grad", [False, True])
def test_the_gradient_through_anchors(anchor_grad):
    layer, x = nn.Linear(4, 3), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    encoder = RelativeEncoder(layer, inputs, norm="none", anchor_grad=anchor_grad)
    encoder.anchor_inputs.requires_grad_()
    weights = torch.randn(2, 5, generator=torch.Generator().manual_seed(2))
    (encoder(x) * weights).sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    anchors = layer(inputs) if anchor_grad else layer(inputs).detach()
    (expected,) = torch.autograd.grad((RelativeProjection()(layer(x), anchors) * weights).sum(), layer.weight)
    torch.testing.assert_close(layer.weight.grad, expected)
    assert (encoder.anchor_inputs.grad is not None) == anchor_grad


def test_frozen_anchors_stay_until_training_or_new_weights():
    layer, inputs, x = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), torch.eye(4), torch.eye(4)[:2]
    encoder = RelativeEncoder(layer, inputs).freeze_anchors()
    assert not encoder.training
    torch.testing.assert_close(encoder.anchors(), layer[0](inputs).detach())
    assert not encoder.anchors().requires_grad
    before = encoder.frozen.clone()
    weights = {name: value + 1 for name, value in encoder.state_dict().items()}
    assert "frozen" not in weights
    with torch.no_grad():
        layer[0].weight.add_(1)
    assert encoder.anchors().equal(before) and encoder(x).shape == (2, 4)
    encoder.load_state_dict(weights)
    assert encoder.frozen is None
    encoder.freeze_anchors()
    encoder.train()
    assert encoder.frozen is None


def test_batch_statistics_count_the_batch_and_not_the_anchors():
    layer = nn.BatchNorm1d(2)
    encoder = RelativeEncoder(layer, 100 + torch.randn(6, 2, generator=torch.Generator().manual_seed(0)))
    encoder(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert int(layer.num_batches_tracked) == 1
    torch.testing.assert_close(layer.running_mean, 0.1 * torch.tensor([2.0, 3.0]))


def test_widths_and_aggregation_by_class():
    labels = torch.tensor([0, 1, 2, 0, 1])
    encoder = RelativeEncoder(
        nn.Identity(), draw(5, 3), projection=RelativeProjection(aggregate="class"), anchor_labels=labels
    ).double()
    assert encoder.width == 3 and encoder(draw(2, 3, seed=1)).shape == (2, 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RelativeProjection("cosin"), "unknown similarity 'cosin'; nearest: cosine"),
        (lambda: RelativeProjection(aggregate="mean"), "aggregate is 'mean'"),
        (lambda: RelativeProjection(quantize=0), "quantize is 0; expected the width of a bin"),
        (
            lambda: RelativeProjection()(torch.ones(2, 3), torch.ones(4, 2)),
            r"x has shape \(2, 3\) and anchors \(4, 2\)",
        ),
        (lambda: RelativeProjection()(torch.ones(2, 3), torch.ones(0, 3)), "there are 0 anchors; expected at least 1"),
        (lambda: RelativeProjection(center=True)(torch.ones(2, 3), torch.ones(1, 3)), "expected at least 2"),
        (lambda: RelativeProjection(aggregate="class")(torch.ones(2, 3), torch.ones(4, 3)), "none came"),
        (
            lambda: RelativeProjection(aggregate="class")(torch.ones(1, 2), torch.ones(2, 2), torch.tensor([0, 2])),
            "class 1 has no anchor",
        ),
        (lambda: RelativeEncoder(nn.Identity(), torch.ones(1, 3)), "layernorm of a single similarity is always 0"),
        (lambda: RelativeEncoder(nn.Identity(), torch.ones(3, 3), norm="batch"), "unknown norm 'batch'"),
        (lambda: RelativeEncoder(nn.Identity(), torch.ones(3, 3), chunk=0), "chunk is 0"),
        (lambda: RelativeEncoder(nn.Identity(), torch.ones(0, 3)), r"anchor_inputs has shape \(0, 3\)"),
    ],
)
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_a_single_anchor_is_fine_without_layernorm():
    assert RelativeEncoder(nn.Identity(), torch.ones(1, 3), norm="none")(torch.ones(2, 3)).sub(1).abs().max() < 1e-6
