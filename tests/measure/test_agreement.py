import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import farfield.measure.agreement as module
from farfield.errors import InputError
from farfield.measure import SpaceAgreement, relative_representation, relative_similarity, space_agreement
from farfield.nn import RelativeProjection


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def by_loop(queries, keys, topk):
    """The notebook's way: sort, take sets, look up the rank."""
    q, k = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, keys))
    jaccard, mrr, cosine = [], [], []
    for i in range(len(q)):
        across, within = np.argsort(-(k @ q[i])), np.argsort(-(k @ k[i]))
        a, b = set(across[:topk]), set(within[:topk])
        jaccard.append(len(a & b) / len(a | b))
        rank = int(np.flatnonzero(across == i)[0]) + 1
        mrr.append(1 / rank if rank <= topk else 0.0)
        cosine.append(q[i] @ k[i])
    return np.mean(jaccard), np.mean(mrr), np.mean(cosine)


def test_queries_and_keys_are_not_the_same_thing():
    # One query direction among spread keys: the sides differ.
    x, y = draw(40, 2) + 5, draw(40, 2, seed=1)
    assert space_agreement(x, y, topk=3).mrr != space_agreement(y, x, topk=3).mrr


@pytest.mark.parametrize("topk", [1, 3, 10])
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_equals_the_slow_loop(topk, noise):
    x = draw(40, 4)
    y = x + noise * draw(40, 4, seed=1)
    found = space_agreement(x, y, topk=topk)
    assert (found.jaccard, found.mrr, found.cosine) == pytest.approx(by_loop(x, y, topk))


def test_chunks_change_nothing(monkeypatch):
    x, y = draw(50, 3), draw(50, 3, seed=1)
    whole = space_agreement(x, y)
    monkeypatch.setattr(module, "CELLS", 150)
    found = space_agreement(x, y)
    assert (found.jaccard, found.mrr, found.cosine) == pytest.approx((whole.jaccard, whole.mrr, whole.cosine))


@given(st.integers(0, 50), st.floats(0.01, 100))
def test_the_same_space_rotated_both_sides_agrees_the_same(seed, scale):
    x, y = draw(20, 3, seed=seed), draw(20, 3, seed=seed + 100)
    q, _ = np.linalg.qr(draw(3, 3, seed=seed + 200))
    a, b = space_agreement(x, y, topk=5), space_agreement(scale * x @ q, y @ q, topk=5)
    assert (a.jaccard, a.mrr, a.cosine) == pytest.approx((b.jaccard, b.mrr, b.cosine))
    assert space_agreement(x, scale * x, topk=5) == SpaceAgreement(1.0, 1.0, pytest.approx(1.0))
    order = np.random.default_rng(seed).permutation(20)
    c = space_agreement(x[order], y[order], topk=5)
    assert (a.jaccard, a.mrr, a.cosine) == pytest.approx((c.jaccard, c.mrr, c.cosine))


def test_relative_spaces_of_a_rotated_one_agree_wholly_where_absolute_ones_do_not():
    x = draw(60, 5)
    y = 3 * x @ np.linalg.qr(draw(5, 5, seed=1))[0]
    assert space_agreement(x, y).jaccard < 0.3
    a, b = (relative_representation(v, np.arange(20)) for v in (x, y))
    assert space_agreement(a, b) == SpaceAgreement(1.0, pytest.approx(1.0), pytest.approx(1.0))
    assert relative_similarity(x, y, np.arange(20)) == pytest.approx(np.ones(60))


def test_chance_of_unrelated_spaces():
    n, topk = 1000, 10
    found = space_agreement(draw(n, 30), draw(n, 30, seed=1), topk=topk)
    # Two random sets of topk among n share topk / n of their members.
    assert found.jaccard == pytest.approx(topk / (2 * n), rel=0.4)
    assert found.mrr == pytest.approx(sum(1 / r for r in range(1, topk + 1)) / n, rel=0.9)


def test_tied_keys_share_their_rank():
    x = np.repeat(np.eye(4), 2, axis=0)
    found = space_agreement(x, x, topk=2)
    # Each key ties with its twin for ranks 1 and 2.
    assert found == SpaceAgreement(1.0, pytest.approx(1 / 1.5), 1.0)
    assert space_agreement(x, x, topk=1) == SpaceAgreement(1.0, 0.0, 1.0)


def test_a_row_of_zeros_has_cosine_zero():
    x = np.concatenate([np.zeros((1, 2)), np.eye(2), -np.eye(2)])
    assert relative_representation(x, np.array([1, 2]))[0].tolist() == [0, 0]
    assert np.isfinite(space_agreement(x, x, topk=2).mrr)
    assert relative_similarity(x, x, np.array([1, 2]))[0] == 0


@pytest.mark.parametrize("center", [False, True])
def test_arrays_give_what_the_layer_gives(center):
    x = draw(9, 4)
    ids = np.array([5, 0, 3])
    expected = RelativeProjection(center=center)(torch.from_numpy(x), torch.from_numpy(x[ids]))
    assert relative_representation(x, ids, center=center) == pytest.approx(expected.numpy())
    assert relative_representation(x, x[ids], center=center) == pytest.approx(expected.numpy())
    found = relative_representation(torch.from_numpy(x).float().requires_grad_(), torch.from_numpy(ids), center=center)
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float64 and not found.requires_grad


def test_relative_similarity_by_hand_and_between_widths():
    x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    y = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0], [1.0, 1.0, 0.0]])
    # Relative to rows 0 and 1: (1, 0), (0, 1), (1, 1)/sqrt 2 against (1, 0), (0, 1), (1/sqrt 2, 0).
    assert relative_similarity(x, y, np.array([0, 1])) == pytest.approx([1, 1, 1 / 2**0.5])


@given(st.integers(0, 30), st.floats(-5, 5))
def test_centering_makes_a_shift_harmless(seed, shift):
    x, y = draw(12, 3, seed=seed), draw(12, 4, seed=seed + 50)
    ids = np.arange(5)
    found = relative_similarity(x, y, ids, center=True)
    assert relative_similarity(x + shift, 2 * y - shift, ids, center=True) == pytest.approx(found, abs=1e-6)
    assert (abs(found) <= 1).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda x: space_agreement(x, x[:3]), "queries has 5 rows but keys has 3"),
        (lambda x: space_agreement(x, x[:, :1], topk=2), "keys has 1; make both relative|point the same way"),
        (lambda x: space_agreement(x, np.c_[x, x], topk=2), "queries has 2 columns but keys has 4; make both relative"),
        (lambda x: space_agreement(x, x, topk=5), "topk is 5; expected from 1 to 4"),
        (lambda x: space_agreement(x, x, topk=0), "topk is 0"),
        (lambda x: space_agreement(np.ones((5, 2)), x, topk=2), "all rows of queries point the same way"),
        (
            lambda x: space_agreement(x, np.where(x == x[2, 1], np.nan, x), topk=2),
            "keys holds a value .* first in row 2",
        ),
        (lambda x: relative_representation(x, np.array([0, 5])), "row numbers from 0 to 5; there are 5 rows"),
        (lambda x: relative_representation(x, np.array([-1])), "row numbers from -1"),
        (lambda x: relative_representation(x, np.array([0.5])), "expected row numbers"),
        (lambda x: relative_representation(x, np.ones((2, 3))), "anchors has 3 columns but latents has 2"),
        (lambda x: relative_representation(x, np.array([1]), center=True), "center needs at least 2 anchors"),
        (lambda x: relative_similarity(x, x, np.array([1])), "1 anchors came; expected at least 2"),
        (lambda x: relative_similarity(x, x[:4], np.array([0, 1])), "first has 5 rows but second has 4"),
    ],
)
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make(draw(5, 2))
