"""The head of basis transformation: the released code's numbers, its identities and limits."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.nn import BasisTransformed, BasisTransformHead

ORACLE = np.load(Path(__file__).parents[1] / "data" / "bt2.npz", allow_pickle=False)


def tensor(name):
    return torch.from_numpy(ORACLE[name])


def released():
    """The head with the released code's weights."""
    d_old, d_new, a = (int(ORACLE[name]) for name in ("d_old", "d_new", "to_add"))
    head = BasisTransformHead(d_old + d_new, d_new, d_old, len(ORACLE["fc_out_w"]), a, float(ORACLE["C"]))
    with torch.no_grad():
        head.to_old.weight.copy_(tensor("fc3_w"))
        head.to_old.bias.copy_(tensor("fc3_b"))
        head.classifier.weight.copy_(tensor("fc_out_w"))
        head.new_basis.weight, head.old_basis.weight = tensor("P"), tensor("Q")
    return head


def drawn(*sizes, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return BasisTransformHead(*sizes, **options)


def close(found, wanted):
    # The rotations are orthogonal to single precision.
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


def inputs(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_the_released_codes_numbers():
    found = released()(tensor("backbone_out"))
    assert isinstance(found, BasisTransformed)
    for ours, name in (
        ("logits", "logits"),
        ("feature", "feature"),
        ("compatible", "bct_feature"),
        ("embedding", "new_feature"),
    ):
        torch.testing.assert_close(getattr(found, ours), tensor(name), atol=1e-5, rtol=1e-5)
    # Of inputs with the right width nothing is projected.
    assert isinstance(released().project, torch.nn.Identity)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 6), st.integers(1, 6), st.floats(0.1, 5), st.integers(0, 1000))
def test_lengths_and_products(d_old, a, d_new, scale, seed):
    a = min(d_old, max(a, d_old - d_new))
    head = drawn(9, d_new, d_old, 3, a, scale, seed=seed).double()
    with torch.no_grad():
        found = head(inputs(5, 9, seed).double())
    z, f = found.embedding, found.feature
    assert z.shape == (5, a + d_new) and found.compatible.shape == (5, d_old)
    torch.testing.assert_close(z[:, :d_old], found.compatible)
    # |z|^2 = 1 + C^2, and P and Q cancel in products: <psi, psi'> is what C^2 <f, f'> leaves.
    close(z.square().sum(1), torch.full((5,), scale**2 + (a > 0), dtype=torch.float64))
    psi = (z @ z.T - scale**2 * f @ f.T).numpy()
    assert np.linalg.eigvalsh(psi).min() > -1e-4 and np.linalg.matrix_rank(psi, tol=1e-4) <= a
    # |compatible|^2 = 1 + C^2 |(P f)[:d_old - a]|^2
    rotated = (f @ head.new_basis.weight.T)[:, : d_old - a]
    close(found.compatible.square().sum(1), (a > 0) + scale**2 * rotated.square().sum(1))


def test_the_norm_is_that_of_the_paper():
    z = released()(tensor("backbone_out")).embedding
    assert z.norm(dim=1).tolist() == pytest.approx([math.sqrt(5)] * len(z), abs=1e-5)


def test_where_psi_is_constant_the_ranking_is_that_of_the_new_feature():
    head = drawn(9, 5, 4, 3, 2)
    with torch.no_grad():
        head.to_old.weight.zero_()
        found = head(inputs(20, 9))
    z, f = found.embedding @ found.embedding.T, found.feature @ found.feature.T
    torch.testing.assert_close(z, 1 + 4 * f, atol=1e-5, rtol=1e-5)


def test_a_small_scale_leaves_the_extra_dimensions_alone():
    head = drawn(9, 5, 4, 3, 2, 1e-4)
    with torch.no_grad():
        h = inputs(20, 9)
        z = head(h).embedding
        psi = torch.nn.functional.normalize(head.to_old(head.project(h).relu())[:, :2], dim=1)
    torch.testing.assert_close(z @ z.T, psi @ psi.T, atol=1e-5, rtol=1e-5)


def test_logits_read_the_new_feature_alone_and_are_scaled():
    head, scaled = drawn(9, 5, 4, 3, 2), drawn(9, 5, 4, 3, 2, logit_scale=8.0)
    x = inputs(6, 9)
    torch.testing.assert_close(scaled(x).logits, 8 * head(x).logits)
    torch.testing.assert_close(head(x).logits, head(x).feature @ head.classifier.weight.T)


def test_inputs_of_any_width_are_projected_and_rotations_stay_orthogonal():
    head = drawn(30, 5, 4, 3, 2)
    assert head.project.weight.shape == (9, 30)
    adam = torch.optim.Adam(head.parameters(), lr=0.1)
    for step in range(20):
        adam.zero_grad()
        (head(inputs(16, 30, step)).embedding - 1).square().mean().backward()
        adam.step()
        assert head.orthogonality_error() < 1e-5
    assert drawn(30, 5, 4, None, 2)(inputs(2, 30)).logits is None


def test_input_that_does_not_fit():
    for sizes, name in (
        ((0, 2, 2, 3), "in_features"),
        ((4, 0, 2, 3), "d_new"),
        ((4, 2, 0, 3), "d_old"),
        ((4, 2, 2, 0), "num_classes"),
    ):
        with pytest.raises(InputError, match=f"{name} is 0"):
            BasisTransformHead(*sizes, 1)
    with pytest.raises(InputError, match="extra_dims is 3; for 2 old and 4 new dimensions it must be from 0 to 2"):
        BasisTransformHead(4, 4, 2, 3, 3)
    with pytest.raises(InputError, match="extra_dims is 1; for 4 old and 2 new dimensions it must be from 2 to 4"):
        BasisTransformHead(4, 2, 4, 3, 1)
    with pytest.raises(InputError, match="scale is 0"):
        BasisTransformHead(4, 2, 2, 3, 1, scale=0)
    with pytest.raises(InputError, match="logit_scale is nan"):
        BasisTransformHead(4, 2, 2, 3, 1, logit_scale=math.nan)
    with pytest.raises(InputError, match=r"the input has shape \(1, 5\); expected \(n, 4\)"):
        BasisTransformHead(4, 2, 2, 3, 1)(torch.zeros(1, 5))
