from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses import divergence
from farfield.losses.divergence import BANDWIDTHS, KINDS

ORACLE = Path(__file__).parents[1] / "data" / "tram.npz"
each_kind = pytest.mark.parametrize("kind", KINDS)


def pair(n=6, classes=4, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, classes, generator=g, dtype=dtype), torch.randn(n, classes, generator=g, dtype=dtype)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("l2", "mmd")])
@pytest.mark.parametrize("i", [0, 1])
def test_the_official_scale_has_the_official_numbers(kind, i):
    with np.load(ORACLE, allow_pickle=False) as oracle:
        target, logits = (torch.from_numpy(oracle[f"{name}_{i}"]) for name in ("target_logits", "logits"))
        expected = float(oracle[f"{kind}_{i}"])
    assert divergence(target, logits, kind, "official").item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_two_coins_by_hand():
    p, q = torch.tensor([[0.5, 0.5]]).double().log(), torch.tensor([[0.75, 0.25]]).double().log()
    assert divergence(p, q).item() == pytest.approx(0.143841, abs=1e-6)
    assert divergence(p, q, "kl_reverse").item() == pytest.approx(0.130812, abs=1e-6)
    assert divergence(p, q, "kl_symmetric").item() == pytest.approx(0.143841 + 0.130812, abs=2e-6)


def test_the_euclidean_distance_by_hand():
    target, logits = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [1.0, 2.0]])
    assert divergence(target, logits, "l2") == 3  # (5 + 1) / 2
    assert divergence(target, logits, "l2", "official") == 1.5


def test_the_forward_kl_is_torchs_and_a_mean_over_rows():
    target, logits = pair()
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=target), torch.distributions.Categorical(logits=logits)
    ).mean()
    assert torch.allclose(divergence(target, logits), expected)
    assert torch.allclose(divergence(logits, target, "kl_reverse"), expected)
    doubled = divergence(target.repeat(2, 1), logits.repeat(2, 1))
    assert torch.allclose(doubled, expected)


@pytest.mark.parametrize("kernel", ["imq", "imq2", "imq3", "rbf"])
def test_the_discrepancy_equals_a_loop_over_pairs(kernel):
    target, logits = pair(n=3)

    def k(a, b):
        d = (a - b).square().sum().item()
        values = {
            "imq": lambda b: b / (b + d),
            "imq2": lambda b: (b**2 + d) ** -0.5,
            "imq3": lambda b: b**2 / (b**2 + d),
            "rbf": lambda b: np.exp(-d / (2 * b)),
        }
        return sum(values[kernel](b) for b in BANDWIDTHS)

    pairs = [(i, j) for i in range(3) for j in range(3)]
    expected = sum(
        k(target[i], target[j]) + k(logits[i], logits[j]) - 2 * k(target[i], logits[j]) for i, j in pairs
    ) / len(pairs)
    assert divergence(target, logits, f"mmd_{kernel}").item() == pytest.approx(expected, rel=1e-9)
    if kernel == "imq2":
        assert divergence(target, logits, "mmd") == divergence(target, logits, "mmd_imq2")


@each_kind
def test_it_is_zero_at_equality_symmetric_where_it_should_be_and_never_below(kind):
    target, logits = pair()
    assert abs(divergence(target, target.clone(), kind)) < 1e-12
    assert divergence(target, logits, kind) > 0.01
    swapped = divergence(logits, target, kind)
    assert torch.allclose(divergence(target, logits, kind), swapped) == (kind not in ("kl_forward", "kl_reverse"))


@settings(max_examples=20)
@given(st.floats(-50, 50), st.integers(0, 100))
def test_a_constant_added_to_the_logits_of_a_row_changes_no_kl(constant, seed):
    target, logits = pair(seed=seed)
    shift = constant * torch.arange(6, dtype=torch.float64)[:, None]
    for kind in ("kl_forward", "kl_reverse", "kl_symmetric"):
        assert torch.allclose(divergence(target, logits, kind), divergence(target + shift, logits, kind), atol=1e-9)


@each_kind
@settings(max_examples=20)
@given(order=st.permutations(range(6)))
def test_the_order_of_examples_does_not_matter(kind, order):
    target, logits = pair()
    assert torch.allclose(divergence(target, logits, kind), divergence(target[order], logits[order], kind))


@each_kind
def test_positions_are_rows(kind):
    target, logits = pair(n=6)
    flat = divergence(target, logits, kind)
    positions = divergence(target.view(2, 3, 4), logits.view(2, 3, 4), kind)
    assert torch.allclose(flat, positions)
    # The official scale counts the examples, not the positions.
    official = divergence(target.view(2, 3, 4), logits.view(2, 3, 4), kind, "official")
    assert torch.allclose(official, flat / (2 * 4 if kind.startswith("kl") else 2))


@each_kind
def test_gradients_to_both_are_right(kind):
    target, logits = (t.requires_grad_() for t in pair(n=3, classes=3))
    assert torch.autograd.gradcheck(lambda a, b: divergence(a, b, kind), (target, logits))


@each_kind
def test_the_gradient_at_equality_is_finite(kind):
    logits = pair()[0].requires_grad_()
    divergence(logits.detach().clone(), logits, kind).backward()
    assert logits.grad.isfinite().all()


@each_kind
def test_half_precision_and_autocast_are_computed_in_full(kind):
    target, logits = pair(dtype=torch.float32)
    target, logits = target.bfloat16(), logits.bfloat16()
    expected = divergence(target.double(), logits.double(), kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = divergence(target, logits, kind)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_certain_predictions_stay_finite():
    target, logits = torch.tensor([[1000.0, 0.0]]), torch.tensor([[0.0, 1000.0]])
    assert divergence(target, logits) == 1000
    assert divergence(target, logits, "kl_symmetric") == 2000


def test_bad_arguments_are_refused():
    target, logits = pair()
    with pytest.raises(InputError, match="unknown divergence 'kl_foward'; nearest: kl_forward"):
        divergence(target, logits, "kl_foward")
    with pytest.raises(InputError, match="unknown reduction 'mean'"):
        divergence(target, logits, reduction="mean")
    with pytest.raises(InputError, match=r"target_logits has shape \(5, 4\) and logits \(6, 4\)"):
        divergence(target[:5], logits)
    with pytest.raises(InputError, match="expected the same"):
        divergence(target[0], logits[0])
