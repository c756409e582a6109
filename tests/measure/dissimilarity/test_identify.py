from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid

from farfield.errors import InputError
from farfield.measure import (
    Identification,
    distance_ratio,
    geotopological,
    identification,
    identification_accuracy,
    trsa_grid,
)

OFFICIAL = np.load(Path(__file__).parent / "data" / "trsa.npz", allow_pickle=False)


def draw(subjects=5, labels=4, features=12, signal=1.0, seed=0):
    rng = np.random.default_rng(seed)
    subject, label = np.repeat(np.arange(subjects), labels), np.tile(np.arange(labels), subjects)
    means = signal * rng.normal(size=(labels, features))
    return means[label] + rng.normal(size=(subjects * labels, features)), subject, label


def by_sklearn(x, subject, label):
    predicted = np.empty_like(label)
    for s in np.unique(subject):
        predicted[subject == s] = NearestCentroid().fit(x[subject != s], label[subject != s]).predict(x[subject == s])
    return predicted


def test_the_official_number():
    rows = [OFFICIAL[f"loo_{name}"] for name in ("rdms", "subj", "roi")]
    assert identification_accuracy(*rows) == OFFICIAL["loo_acc"]


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_sklearns_nearest_centroid(seed):
    x, subject, label = draw(signal=0.5, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(len(x))
    # Also where rows come in any order, some subjects lack a label, and one has a row twice.
    for keep in (shuffled, shuffled[:15], np.append(shuffled[:15], shuffled[0])):
        predicted = by_sklearn(x[keep], subject[keep], label[keep])
        found = identification(x[keep], subject[keep], label[keep])
        assert found.accuracy == pytest.approx((predicted == label[keep]).mean())
        confusion = np.zeros((len(found.labels),) * 2, int)
        np.add.at(confusion, tuple(np.searchsorted(found.labels, v) for v in (label[keep], predicted)), 1)
        assert np.array_equal(found.confusion, confusion)
        for s, accuracy in found.by_subject.items():
            mine = subject[keep] == s
            assert accuracy == pytest.approx((predicted == label[keep])[mine].mean())
    assert 0.3 < identification_accuracy(x, subject, label) < 1


def test_all_rows_of_a_subject_are_left_out():
    # Each subject's rows are alike, so that one of its own would always be the nearest; labels say nothing.
    x, subject, label = draw(signal=0.0)
    alike = x + 1000 * np.eye(5, 12)[subject]
    assert identification_accuracy(alike, subject, label) < 0.6
    assert identification_accuracy(np.eye(4, 12)[label] * 9 + x, subject, label) == 1


def test_identical_systems_are_always_identified_and_noise_by_chance():
    _, subject, label = draw()
    layers = np.random.default_rng(0).random((4, 12))
    assert identification_accuracy(layers[label], subject, label) == 1
    found = [identification_accuracy(*draw(8, 5, 20, signal=0.0, seed=seed)) for seed in range(60)]
    assert np.mean(found) == pytest.approx(1 / 5, abs=0.03)


@given(st.integers(0, 50), st.floats(0.01, 100), st.floats(-5, 5))
def test_a_shift_a_scale_and_a_rotation_change_nothing(seed, scale, shift):
    x, subject, label = draw(signal=0.5, seed=seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(12, 12)))
    found = identification(x, subject, label)
    assert np.array_equal(identification(scale * x @ rotation + shift, subject, label).confusion, found.confusion)


def test_equally_near_centroids_go_to_the_first_label():
    # Layers b and c are the same, so that c is told to be b.
    rows = np.array([[0.0, 1.0], [5.0, 5.0], [5.0, 5.0]])
    found = identification(np.concatenate([rows, rows, rows]), ["x"] * 3 + ["y"] * 3 + ["z"] * 3, ["a", "b", "c"] * 3)
    assert found.labels == ("a", "b", "c")
    assert found.confusion.tolist() == [[3, 0, 0], [0, 3, 0], [0, 3, 0]]


def test_a_label_of_one_subject_only_counts_as_wrong():
    x, subject, label = draw(signal=9.0)
    label[0] = 7
    found = identification(x, subject, label)
    assert found.confusion[-1].sum() == 1 and found.confusion[-1, -1] == 0
    assert found.by_subject[0] == 0.75 and isinstance(found, Identification)


def test_tensors_and_texts():
    x, subject, label = draw()
    names = np.array(["v1", "v2", "loc", "it"])[label]
    found = identification(torch.from_numpy(x).float(), torch.from_numpy(subject), list(names))
    assert found.labels == ("it", "loc", "v1", "v2")
    assert found.accuracy == identification_accuracy(x, subject, label)


def test_the_ratio_of_distances():
    x, subject, label = draw(signal=0.7)
    # By a loop over subjects and labels, as the authors' code does it.
    ratios = []
    for i in range(len(x)):
        distances = np.linalg.norm(x - x[i], axis=1)
        others = subject != subject[i]
        ratios.append(distances[others & (label == label[i])].mean() / distances[others & (label != label[i])].mean())
    assert distance_ratio(x, subject, label) == pytest.approx(np.mean(ratios))
    assert distance_ratio(*draw(signal=9.0)) < 0.5
    assert distance_ratio(*draw(40, 4, signal=0.0)) == pytest.approx(1, abs=0.03)
    with pytest.raises(InputError, match="no row has rows of other subjects both"):
        distance_ratio(x[:2], [0, 1], [0, 1])
    with pytest.raises(InputError, match="equals all rows of other labels"):
        distance_ratio(np.ones((4, 2)), [0, 0, 1, 1], [0, 1, 0, 1])


def test_the_grid_is_the_accuracy_of_each_window():
    x, subject, label = draw(features=45)
    found = trsa_grid(np.abs(x), subject, label, step=0.25)
    assert list(found.columns) == ["l", "u", "accuracy"]
    windows = [(0, 1), (0, 0.75), (0, 0.5), (0, 0.25), (0.25, 1), (0.25, 0.75), (0.25, 0.5), (0.25, 0.25)]
    windows += [(0.5, 1), (0.5, 0.75), (0.5, 0.5), (0.75, 1), (0.75, 0.75)]
    assert list(zip(found["l"], found["u"])) == windows
    for low, high, accuracy in found.itertuples(index=False):
        assert accuracy == identification_accuracy(geotopological(np.abs(x), low, high), subject, label)
    # 20 values of l, with 20, 20, 19, ... of u.
    assert len(trsa_grid(np.abs(x), subject, label)) == 20 + 20 * 21 // 2 - 1
    with pytest.raises(InputError, match="step is 0; it must be above 0"):
        trsa_grid(x, subject, label, step=0)


def test_bad_arguments_are_refused():
    x, subject, label = draw()
    with pytest.raises(InputError, match="rdms has 20 rows but subject has 19"):
        identification(x, subject[1:], label)
    with pytest.raises(InputError, match="label is 1 in every row; identification needs at least two"):
        identification(x, subject, np.ones(20, int))
    with pytest.raises(InputError, match="subject is 'a' in every row"):
        identification(x, ["a"] * 20, label)
    with pytest.raises(InputError, match="rdms holds a value that is not finite, first in row 3"):
        identification(np.where(np.arange(20)[:, None] == 3, np.nan, x), subject, label)
    with pytest.raises(InputError, match="subject holds a value that is not finite"):
        identification(x, np.where(subject == 0, np.nan, subject), label)
    with pytest.raises(InputError, match="label must be one number or text for each row"):
        identification(x, subject, x)
