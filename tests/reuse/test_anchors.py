import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.reuse import select_anchors


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_stratified_goes_round_the_classes():
    labels = torch.tensor([2] * 40 + [0] * 30 + [1] * 30)
    found = labels[select_anchors(labels, 7, "stratified", seed=3)]
    assert found.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert torch.bincount(found).tolist() == [3, 2, 2]


def test_a_class_that_is_used_up_is_passed_over():
    labels = np.array([0, 1, 1, 1, 1, 2, 2])
    rows = select_anchors(labels, 7, "stratified")
    assert labels[rows].tolist() == [0, 1, 2, 1, 2, 1, 1]
    assert sorted(rows.tolist()) == list(range(7))


@settings(deadline=None)  # The first kmeans imports scikit-learn.
@given(st.integers(0, 100), st.integers(1, 20), st.sampled_from(["uniform", "stratified", "kmeans", "fps"]))
def test_rows_are_different_and_the_seed_decides(seed, k, mode):
    labels, features = torch.arange(20) % 3, draw(20, 4)
    rows = select_anchors(labels, k, mode, seed=seed, features=features)
    assert rows.dtype == torch.int64 and len(set(rows.tolist())) == k
    assert 0 <= int(rows.min()) <= int(rows.max()) < 20
    assert rows.equal(select_anchors(labels, k, mode, seed=seed, features=features.numpy()))


def test_another_seed_draws_others():
    for mode in ("uniform", "stratified", "fps"):
        drawn = {
            tuple(select_anchors(torch.zeros(50).long(), 4, mode, seed=s, features=draw(50, 3)).tolist())
            for s in range(9)
        }
        assert len(drawn) > 5


def test_the_first_anchors_do_not_depend_on_their_number():
    labels = torch.arange(30) % 4
    for mode in ("uniform", "stratified", "fps"):
        many = select_anchors(labels, 12, mode, features=draw(30, 3))
        assert select_anchors(labels, 5, mode, features=draw(30, 3)).equal(many[:5])


def test_farthest_points_take_one_of_each_direction():
    directions = torch.eye(5)
    features = directions.repeat_interleave(10, 0) + 0.01 * draw(50, 5)
    rows = select_anchors(50, 5, "fps", features=3 * features)
    assert sorted((rows // 10).tolist()) == [0, 1, 2, 3, 4]
    # Directions count, lengths do not.
    assert rows.equal(select_anchors(50, 5, "fps", features=features * torch.linspace(1, 9, 50)[:, None]))


def test_farthest_points_by_hand():
    angles = torch.deg2rad(torch.tensor([0.0, 10.0, 80.0, 170.0]))
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    for seed in range(5):
        rows = select_anchors(4, 4, "fps", seed=seed, features=features).tolist()
        expected = {0: [0, 3, 2, 1], 1: [1, 3, 2, 0], 2: [2, 3, 0, 1], 3: [3, 0, 2, 1]}[rows[0]]
        assert rows == expected


def test_kmeans_takes_a_row_near_each_cluster():
    features = torch.eye(4).repeat_interleave(25, 0) + 0.05 * draw(100, 4)
    rows = select_anchors(100, 4, "kmeans", features=features)
    assert sorted((rows // 25).tolist()) == [0, 1, 2, 3]
    # Nearest to the centre of its cluster, by direction.
    units = features / features.norm(dim=1, keepdim=True)
    for row in rows.tolist():
        mine = units[row // 25 * 25 : row // 25 * 25 + 25]
        assert row % 25 == int((mine - mine.mean(0)).norm(dim=1).argmin())


def test_repeated_rows():
    features = torch.eye(2).repeat(3, 1)
    assert len(set(select_anchors(6, 5, "fps", features=features).tolist())) == 5
    with pytest.raises(InputError, match="fewer different rows than the 3 anchors"):
        select_anchors(6, 3, "kmeans", features=features)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: select_anchors(5, 6), "k is 6; expected from 1 to 5"),
        (lambda: select_anchors(5, 0), "k is 0"),
        (lambda: select_anchors(5, 2, "random"), "unknown mode 'random'"),
        (lambda: select_anchors(5, 2, "stratified"), "needs the labels"),
        (lambda: select_anchors(5, 2, "fps"), "needs features"),
        (
            lambda: select_anchors(5, 2, "kmeans", features=torch.ones(4, 2)),
            r"features has shape \(4, 2\); expected \(5, d\)",
        ),
        (lambda: select_anchors(2, 1, "fps", features=torch.tensor([[1.0], [torch.nan]])), "finite"),
        (lambda: select_anchors(torch.ones(5), 2), "rows is torch.float32"),
    ],
)
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
