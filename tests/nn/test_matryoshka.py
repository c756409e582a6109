"""Heads on prefixes: against the released code's numbers, and what a prefix must not know."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.nn import MatryoshkaLinear

ORACLE = np.load(Path(__file__).parents[1] / "data" / "matryoshka.npz", allow_pickle=False)
PAPER = [8, 16, 32, 64, 128, 256, 512, 1024, 2048]


def heads(*, efficient):
    """The released code's head with its weights."""
    head = MatryoshkaLinear(ORACLE["nesting"].tolist(), 7, efficient=efficient)
    with torch.no_grad():
        for i, layer in enumerate(head.heads):
            layer.weight.copy_(torch.from_numpy(ORACLE["mrle_w" if efficient else f"mrl_w{i}"]))
            layer.bias.copy_(torch.from_numpy(ORACLE["mrle_b" if efficient else f"mrl_b{i}"]))
    return head


@pytest.mark.parametrize("efficient", [False, True])
def test_logits_are_those_of_the_released_code(efficient):
    head, x = heads(efficient=efficient), torch.from_numpy(ORACLE["x"])
    expected = torch.from_numpy(ORACLE["mrle_logits" if efficient else "mrl_logits"])
    torch.testing.assert_close(torch.stack(head(x)), expected, atol=1e-5, rtol=1e-5)
    for m, logits in zip(head.nesting, expected):
        torch.testing.assert_close(head.logits_at(x, m), logits, atol=1e-5, rtol=1e-5)
        # The cut vector is enough.
        torch.testing.assert_close(head.logits_at(x[:, :m], m), logits, atol=1e-5, rtol=1e-5)


def test_parameters_of_the_papers_heads():
    def count(**options):
        return sum(p.numel() for p in MatryoshkaLinear(PAPER, 1000, **options).parameters())

    assert count() == 4_097_000
    assert count(efficient=True) == 2_049_000
    assert count(efficient=True, bias=False) == 2_048_000


def test_the_efficient_head_adds_one_block_of_columns_at_a_time():
    head, x = heads(efficient=True), torch.from_numpy(ORACLE["x"])
    weight, bias = head.heads[0].weight, head.heads[0].bias
    found = head(x)
    torch.testing.assert_close(found[-1], torch.nn.functional.linear(x, weight, bias))
    for i in range(1, 4):
        columns = slice(head.nesting[i - 1], head.nesting[i])
        torch.testing.assert_close(found[i] - found[i - 1], x[:, columns] @ weight[:, columns].T, atol=1e-5, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=4, unique=True), st.booleans(), st.booleans())
def test_a_size_has_no_gradient_beyond_its_prefix(sizes, efficient, bias):
    nesting = sorted(sizes)
    head = MatryoshkaLinear(nesting, 3, efficient=efficient, bias=bias)
    x = torch.ones(2, nesting[-1], requires_grad=True)
    for i, m in enumerate(nesting):
        (gradient,) = torch.autograd.grad(head(x)[i].square().sum(), x)
        assert gradient[:, :m].abs().sum() > 0
        assert (gradient[:, m:] == 0).all()


@pytest.mark.parametrize("efficient", [False, True])
def test_gradients_are_those_of_layers_written_out(efficient):
    head, x = heads(efficient=efficient).double(), torch.from_numpy(ORACLE["x"]).double().requires_grad_()
    y = torch.from_numpy(ORACLE["y"])
    leaves = [x, *head.parameters()]

    def gradients(logits):
        return torch.autograd.grad(sum(torch.nn.functional.cross_entropy(each, y) for each in logits), leaves)

    plain = [
        x[:, :m] @ (head.heads[0].weight[:, :m] if efficient else head.heads[i].weight).T
        + head.heads[0 if efficient else i].bias
        for i, m in enumerate(head.nesting)
    ]
    for ours, theirs in zip(gradients(head(x)), gradients(plain), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("efficient", [False, True])
def test_dimensions_of_a_block_can_be_permuted_together_with_the_columns(efficient):
    head, x = heads(efficient=efficient), torch.from_numpy(ORACLE["x"])
    before = torch.stack(head(x))
    order = torch.tensor([1, 0, 3, 2, 6, 7, 5, 4, 15, 14, 13, 12, 8, 9, 10, 11])  # within 2, 4, 8, 16
    with torch.no_grad():
        for layer in head.heads:
            layer.weight.copy_(layer.weight[:, order[: layer.in_features]])
    torch.testing.assert_close(torch.stack(head(x[:, order])), before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("efficient", [False, True])
def test_positions_of_a_sequence_are_rows(efficient):
    head = heads(efficient=efficient)
    x = torch.from_numpy(ORACLE["x"])
    for flat, shaped in zip(head(x), head(x.reshape(2, 5, 16)), strict=True):
        torch.testing.assert_close(shaped, flat.reshape(2, 5, 7))


def test_an_efficient_head_reads_any_size():
    head, x = heads(efficient=True), torch.from_numpy(ORACLE["x"])
    weight, bias = head.heads[0].weight, head.heads[0].bias
    torch.testing.assert_close(head.logits_at(x, 3), x[:, :3] @ weight[:, :3].T + bias)


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match=r"nesting is \[4, 2\]; the sizes must rise"):
        MatryoshkaLinear([4, 2], 3)
    for nesting in ([], [2, 2], [0, 2], [1.5, 2]):
        with pytest.raises(InputError, match="different whole numbers"):
            MatryoshkaLinear(nesting, 3)
    with pytest.raises(InputError, match="num_classes is 0"):
        MatryoshkaLinear([2], 0)
    head = MatryoshkaLinear([2, 4], 3)
    with pytest.raises(InputError, match="x has 5 features; the largest size of the head is 4"):
        head(torch.zeros(1, 5))
    with pytest.raises(InputError, match=r"m is 3; expected one of \[2, 4\]"):
        head.logits_at(torch.zeros(1, 4), 3)
    with pytest.raises(InputError, match="m is 5; expected from 1 to 4"):
        MatryoshkaLinear([2, 4], 3, efficient=True).logits_at(torch.zeros(1, 8), 5)
    with pytest.raises(InputError, match="x has 1 features; the size asked for is 2"):
        head.logits_at(torch.zeros(1, 1), 2)
