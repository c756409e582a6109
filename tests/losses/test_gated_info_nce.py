import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.losses import GatedInfoNCE, InfoNCE, gate_binary_penalty


def batch(n=12, d=6, classes=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    z1, z2 = torch.randn(2, n, d, generator=g)
    y1, y2 = torch.randint(classes, (2, n), generator=g)
    return z1, z2, torch.rand(n, d, generator=g), y1, y2


def naive(z1, z2, gates, y1, y2, temperature, mask):
    """The definition, pair by pair and candidate by candidate."""
    total = 0.0
    for i in range(len(z1)):
        a = z1[i] * gates[i]
        logits = []
        for j in range(len(z2)):
            if mask and j != i and int(y2[j]) in {int(y1[i]), int(y2[i])}:
                continue
            b = z2[j] * gates[i]
            logits.append(a @ b / (a.norm() * b.norm()) / temperature)
            if j == i:
                own = logits[-1]
        total = total + torch.stack(logits).logsumexp(0) - own
    return total / len(z1)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 15), st.integers(1, 8), st.integers(1, 6), st.booleans(), st.integers(0, 1000))
def test_equals_the_definition(n, d, classes, mask, seed):
    z1, z2, gates, y1, y2 = batch(n, d, classes, seed)
    there = naive(z1, z2, gates, y1, y2, 0.3, mask)
    back = naive(z2, z1, gates, y2, y1, 0.3, mask)
    one = GatedInfoNCE(0.3, mask, symmetric=False)(z1, z2, gates, y1, y2)
    both = GatedInfoNCE(0.3, mask)(z1, z2, gates, y1, y2)
    torch.testing.assert_close(one, there, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both, (there + back) / 2, atol=1e-5, rtol=1e-5)


def test_its_gradient_equals_that_of_the_definition():
    z1, z2, gates, y1, y2 = (t.double().requires_grad_() if t.is_floating_point() else t for t in batch())
    inputs = (z1, z2, gates)
    found = torch.autograd.grad(GatedInfoNCE(0.3, symmetric=False)(z1, z2, gates, y1, y2), inputs)
    expected = torch.autograd.grad(naive(z1, z2, gates, y1, y2, 0.3, True), inputs)
    torch.testing.assert_close(found, expected)


def test_open_gates_make_it_info_nce():
    z1, z2, gates, _, _ = batch()
    ones = torch.ones_like(gates)
    plain = InfoNCE(0.2, both_views=False)(z1, z2)
    torch.testing.assert_close(GatedInfoNCE(0.2, mask_shared=False, symmetric=False)(z1, z2, ones), plain)
    # With the same masking too: of as many classes as rows nothing is left out.
    apart = torch.arange(len(z1))
    torch.testing.assert_close(GatedInfoNCE(0.2, symmetric=False)(z1, z2, ones, apart, apart), plain)


def test_the_size_of_a_gate_does_not_count_and_a_closed_feature_has_no_gradient():
    z1, z2, gates, y1, y2 = batch()
    loss = GatedInfoNCE()
    scale = torch.linspace(0.01, 50, len(gates))[:, None]
    torch.testing.assert_close(loss(z1, z2, gates * scale, y1, y2), loss(z1, z2, gates, y1, y2))
    gates[:, 2] = 0
    z1.requires_grad_()
    z2.requires_grad_()
    loss(z1, z2, gates, y1, y2).backward()
    for grad in (z1.grad, z2.grad):
        assert bool((grad[:, 2] == 0).all()) and bool((grad[:, [0, 1, 3, 4, 5]] != 0).any(0).all())


def test_candidates_are_seen_through_the_gate_of_the_pair():
    # Through the gate of pair 0 both candidates are the same; through gates of their own they would not be.
    z1 = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    gates = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    logits = GatedInfoNCE(1.0, mask_shared=False).logits(z1, z1, gates)
    torch.testing.assert_close(logits, torch.tensor([[1.0, 1.0], [0.0, 1.0]]))


def test_limit_cases():
    z1, z2, gates, y1, y2 = batch(1)
    assert float(GatedInfoNCE()(z1, z2, gates, y1, y2)) == pytest.approx(0, abs=1e-6)
    # All features equal: chance among what is left.
    n, same = 10, torch.ones(10, 3)
    y1, y2 = torch.arange(n) // 2, (torch.arange(n) + 3) % n // 2
    loss = GatedInfoNCE(symmetric=False)
    kept = loss.logits(same, same, same, y1, y2).isfinite().sum(1)
    counted = [sum(j == i or int(y2[j]) not in {int(y1[i]), int(y2[i])} for j in range(n)) for i in range(n)]
    assert kept.tolist() == counted and min(counted) < n
    assert float(loss(same, same, same, y1, y2)) == pytest.approx(sum(map(math.log, counted)) / n, abs=1e-5)
    # All rows of one class: nothing is left to tell from.
    assert float(GatedInfoNCE()(same, same, same, y1 * 0, y1 * 0)) == pytest.approx(0, abs=1e-6)


def test_shut_gates_and_rows_of_zeros_have_finite_gradients():
    z1, z2, gates, y1, y2 = batch()
    z1[0] = 0
    for tiny in (0.0, 1e-12):
        inputs = [t.clone().requires_grad_() for t in (z1, z2, gates * tiny)]
        GatedInfoNCE()(*inputs, y1, y2).backward()
        assert all(bool(t.grad.isfinite().all()) for t in inputs)


def test_half_precision_is_computed_in_single():
    z1, z2, gates, y1, y2 = batch()
    found = GatedInfoNCE()(z1.bfloat16(), z2.bfloat16(), gates, y1, y2)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, GatedInfoNCE()(z1.bfloat16().float(), z2.bfloat16().float(), gates, y1, y2))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_binary_penalty_is_between_none_and_a_quarter(values):
    gates = torch.tensor(values, dtype=torch.float64)
    found = float(gate_binary_penalty(gates))
    assert -1e-12 <= found <= 0.25 + 1e-12
    assert found == pytest.approx(sum(v - v * v for v in values) / len(values), abs=1e-9)
    assert float(gate_binary_penalty(gates.round())) == 0


def test_binary_penalty_pushes_away_from_a_half():
    gates = torch.tensor([0.3, 0.7, 0.5], requires_grad=True)
    gate_binary_penalty(gates).backward()
    torch.testing.assert_close(gates.grad, torch.tensor([0.4, -0.4, 0.0]) / 3)


def test_what_cannot_be_is_refused():
    z1, z2, gates, y1, y2 = batch()
    for options in ({"temperature": 0}, {"temperature": math.nan}, {"eps": 0}):
        with pytest.raises(InputError, match="must be above 0"):
            GatedInfoNCE(**options)
    with pytest.raises(InputError, match="expected"):
        GatedInfoNCE()(z1, z2[:3], gates, y1, y2)
    with pytest.raises(InputError, match="expected"):
        GatedInfoNCE()(z1, z2, gates[:, :2], y1, y2)
    with pytest.raises(InputError, match="y1 and y2 are None, None; mask_shared needs"):
        GatedInfoNCE()(z1, z2, gates)
    with pytest.raises(InputError, match="mask_shared needs the label"):
        GatedInfoNCE()(z1, z2, gates, y1, y2[:2])
    with pytest.raises(InputError, match=r"gates are from -0.5"):
        gate_binary_penalty(torch.tensor([-0.5, 1.0]))
    with pytest.raises(InputError, match="gates are from"):
        gate_binary_penalty(torch.tensor([math.nan, 1.0]))
    with pytest.raises(InputError, match="at least one gate"):
        gate_binary_penalty(torch.zeros(0))
