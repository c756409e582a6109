from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import feature_design
from farfield.tasks import BooleanFeatures

ALL_KINDS = {
    "bit": ("bit", 4),
    "sum": ("sum", (5, 6, 7)),
    "even sum": ("sum", (8, 9)),
    "and": ("and", (10, 11, 12)),
    "xor": ("xor", (0, 1)),
    "nested": ("xor", (("and", (2, 3)), 13)),
}


def by_hand(x):
    """Every feature of ALL_KINDS from bits of 0 and 1, row by row."""
    rows = []
    for b in x.tolist():
        rows.append(
            [
                b[4],
                int(b[5] + b[6] + b[7] >= 2),
                int(b[8] == b[9] == 1),
                int(b[10] == b[11] == b[12] == 1),
                int(b[0] != b[1]),
                int((b[2] == b[3] == 1) != (b[13] == 1)),
            ]
        )
    return rows


def test_labels_are_the_features_of_the_inputs():
    data = BooleanFeatures(300, 16, ALL_KINDS, seed=1)
    assert set(data.x.unique().tolist()) == {-1.0, 1.0} and data.x.shape == (300, 16)
    assert data.y.tolist() == by_hand((data.x > 0).long())
    assert data.names == tuple(ALL_KINDS) and data.classes == (2,) * 6


def test_every_kind_is_balanced_and_independent_of_the_others():
    data = BooleanFeatures(20_000, 16, ALL_KINDS, seed=0)
    assert data.y.double().mean(0).tolist() == pytest.approx([0.5] * 6, abs=0.015)
    assert max(feature_design(data.features()).association.values()) < 0.03
    # Bits that no feature uses are noise, also of their own.
    assert data.x[:, 14:].mean(0).tolist() == pytest.approx([0, 0], abs=0.03)


def test_parity_is_xor_and_every_bit_of_it_is_independent():
    for kind in ("xor", "parity"):
        data = BooleanFeatures(64, 8, {"easy": ("bit", 0), "hard": (kind, (1, 2, 3))}, factorial=True)
        bits = (data.x > 0).long()
        assert (data.y[:, 1] == bits[:, 1:4].sum(1) % 2).all()
        known = {**data.features(), **data.components()}
        assert max(feature_design(known).association.values()) == pytest.approx(0, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_a_factorial_design_has_every_combination_equally_often(seed, times):
    features = {"a": ("bit", 5), "b": ("xor", (0, 2)), "c": ("and", (1, 3))}
    # 2 values, 4 combinations, and 6 for "and": three of value 0, the one of value 1 three times.
    data = BooleanFeatures(times * 48, 6, features, factorial=True, seed=seed)
    cells = np.unique(data.y.numpy(), axis=0, return_counts=True)
    assert cells[0].tolist() == [list(c) for c in product((0, 1), repeat=3)]
    assert set(cells[1].tolist()) == {times * 6}
    assert len(np.unique((data.x[:, [5, 0, 2, 1, 3]] > 0).numpy(), axis=0)) == 32


def test_prevalence_hides_labels_and_changes_nothing_else():
    whole = BooleanFeatures(500, seed=2)
    data = BooleanFeatures(500, prevalence={"easy": 0.1}, seed=2)
    assert data.mask.sum(0).tolist() == [50, 500] and whole.mask.all()
    assert torch.equal(whole.x, data.x) and torch.equal(whole.y, data.y)


def test_the_seed_decides():
    a, b, c = (BooleanFeatures(50, seed=s).x for s in (3, 3, 4))
    assert torch.equal(a, b) and not torch.equal(a, c)
    state = torch.random.get_rng_state()
    BooleanFeatures(50, factorial=True, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n": 0}, "n is 0"),
        ({"features": {}}, "each must be at least one"),
        ({"features": {"a": ("bit", 32)}}, "the feature 'a' uses the input 32; there are inputs 0 to 31"),
        ({"features": {"a": ("bit", (1, 2))}}, "a bit takes one whole number"),
        ({"features": {"a": ("xorr", (1, 2))}}, "unknown kind of the feature 'a' 'xorr'; nearest: xor"),
        ({"features": {"a": ("xor", (1,))}}, "xor takes at least two"),
        ({"features": {"a": "xor"}}, "expected a kind and its bits"),
        ({"features": {"a": ("xor", (1, 1))}}, "uses an input twice"),
        ({"features": {"a": ("xor", (1, 2)), "b": ("bit", 2)}}, "'a' and 'b' share the input 2"),
        ({"features": {"a": ("xor", tuple(range(17)))}}, "uses 17 inputs; at most 16"),
        ({"features": {"a": ("and", (("bit", 0), ("and", (1, "b"))))}}, "expected a kind and its bits"),
        ({"factorial": True}, "n is 8, but the features' bits have 16 combinations"),
        ({"prevalence": {"easy": 2}}, "the prevalence of 'easy' is 2"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        BooleanFeatures(**{"n": 8, **arguments})
