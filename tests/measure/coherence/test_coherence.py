"""Alpha and m-coherence: closed forms, limits, invariances, and a loop of backward passes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.errors import InputError
from farfield.measure import Coherence, coherence_from_gradients, gradient_coherence

SOME = arrays(
    float, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=st.floats(-10, 10).map(lambda v: round(v, 3))
)


def losses(outputs, y):
    return cross_entropy(outputs, y, reduction="none")


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3)).double()


def data(n=20):
    g = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=g, dtype=torch.float64), torch.randint(3, (n,), generator=g)


def by_hand(model, x, y):
    model.eval()
    rows = []
    for row, label in zip(x, y):
        model.zero_grad()
        cross_entropy(model(row[None]), label[None]).backward()
        rows.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    model.zero_grad()
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("rows", "alpha", "m_coherence", "offdiag"),
    [
        ([[1, 0], [0, 1]], 0.5, 1, 0),
        ([[3, 4]] * 5, 1, 5, 1),
        ([[1, 2], [-1, -2]], 0, 0, -1),
        ([[1, 0], [1, 1]], 5 / 6, 5 / 3, 2 / 3),
        ([[0, 0], [0, 0]], 0, 0, 0),
    ],
)
def test_closed_forms(rows, alpha, m_coherence, offdiag):
    found = coherence_from_gradients(np.array(rows, dtype=float))
    assert (found.alpha, found.m_coherence, found.alpha_offdiag) == pytest.approx((alpha, m_coherence, offdiag))
    assert found.m == len(rows) and found.share == 1


@given(SOME, st.floats(1e-3, 1e3), st.integers(1, 4))
def test_scale_repetition_and_zeros(rows, scale, times):
    found = coherence_from_gradients(rows)
    assert 0 <= found.alpha <= 1
    assert coherence_from_gradients(scale * rows).alpha == pytest.approx(found.alpha, abs=1e-9)
    # The same sample several times over has the same alpha.
    assert coherence_from_gradients(np.tile(rows, (times, 1))).alpha == pytest.approx(found.alpha, abs=1e-9)
    # With probability 1 - p an example without gradient: p * alpha.
    diluted = np.concatenate([rows, np.zeros((times * len(rows), rows.shape[1]))])
    assert coherence_from_gradients(diluted).alpha == pytest.approx(found.alpha / (1 + times), abs=1e-9)


@given(SOME)
def test_the_mean_squared_distance_of_two_gradients_and_the_mean_product_of_different_ones(rows):
    found = coherence_from_gradients(rows)
    squares = (rows**2).sum(1).mean()
    distances = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    assert distances.mean() == pytest.approx(2 * (1 - found.alpha) * squares, abs=1e-6)
    products = rows @ rows.T
    pairs = products[~np.eye(len(rows), dtype=bool)]
    assert pairs.mean() == pytest.approx(found.alpha_offdiag * squares, abs=1e-6)


def test_extreme_gradients_neither_overflow_nor_vanish():
    for scale in (1e-200, 1e200):
        assert coherence_from_gradients(scale * np.eye(3)).m_coherence == pytest.approx(1)


@pytest.mark.parametrize("chunk", [1, 7, 20, None])
def test_a_model_gives_what_a_loop_of_backward_passes_gives(chunk):
    model, (x, y) = network(), data()
    expected = coherence_from_gradients(by_hand(model, x, y))
    found = gradient_coherence(model.train(), losses, x, y, chunk=chunk)
    assert found.alpha == pytest.approx(expected.alpha, rel=1e-10)
    assert found.m_coherence == pytest.approx(20 * found.alpha)
    assert found.per_group == {}
    assert model.training and model[2].training
    assert all(p.grad is None for p in model.parameters())
    from_numpy = gradient_coherence(model, losses, x.numpy(), y.numpy())
    assert from_numpy.alpha == pytest.approx(expected.alpha, rel=1e-10)


def test_layers_add_up_to_the_whole_and_each_is_its_own():
    model, (x, y) = network(), data()
    found = gradient_coherence(model, losses, x, y, groups="layer")
    assert list(found.per_group) == ["0", "3"]
    assert sum(g.share for g in found.per_group.values()) == pytest.approx(1)
    assert sum(g.share * g.alpha for g in found.per_group.values()) == pytest.approx(found.alpha, rel=1e-6)
    rows = by_hand(model, x, y)
    assert found.per_group["0"].alpha == pytest.approx(coherence_from_gradients(rows[:, :30]).alpha)


def test_frozen_parameters_do_not_count_and_a_dead_layer_has_coherence_0():
    model, (x, y) = network(), data()
    model[0].requires_grad_(False)
    found = gradient_coherence(model, losses, x, y, groups="layer")
    assert list(found.per_group) == ["3"]
    dead = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3)).double()
    with torch.no_grad():
        dead[0].bias.fill_(-100)
    found = gradient_coherence(dead, losses, x, y, groups="layer")
    assert found.per_group["0"] == Coherence(0.0, 0.0, 0.0, 20, share=0.0)
    assert found.alpha == pytest.approx(found.per_group["2"].alpha)


def test_half_precision_is_summed_in_single():
    model, (x, y) = network(), data()
    whole = gradient_coherence(model, losses, x, y).alpha
    assert gradient_coherence(model.bfloat16(), losses, x, y).alpha == pytest.approx(whole, rel=0.05)


def test_what_does_not_fit_is_refused():
    model, (x, y) = network(), data()
    for bad, message in [
        (lambda: gradient_coherence(model, losses, x[:1], y[:1]), "x has 1 row; coherence needs at least 2"),
        (lambda: gradient_coherence(model, losses, x, y[:3]), "x has 20 rows but y has 3"),
        (lambda: gradient_coherence(model, losses, x, y, groups="block"), "groups is 'block'"),
        (lambda: gradient_coherence(model, losses, x, y, chunk=0), "chunk is 0"),
        (
            lambda: gradient_coherence(model, losses, x * math.nan, y),
            "x holds a value that is not finite, first in row 0",
        ),
        (lambda: gradient_coherence(model, cross_entropy, x, y), "loss_fn returned shape"),
        (
            lambda: gradient_coherence(model, lambda o, y: losses(o, y) / 0.0, x, y),
            "gradient of an example is not finite",
        ),
        (lambda: gradient_coherence(model.requires_grad_(False), losses, x, y), "no trainable parameter"),
        (lambda: coherence_from_gradients(np.ones((1, 3))), "expected .n, d. with n at least 2"),
        (lambda: coherence_from_gradients(np.full((2, 3), math.inf)), "not finite"),
    ]:
        with pytest.raises(InputError, match=message):
            bad()
