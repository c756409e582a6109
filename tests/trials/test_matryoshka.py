"""One trial: what a network of each kind may know of a prefix, and readers against a library's."""

import numpy as np
import pytest
import torch

from farfield import measure
from farfield.papers.matryoshka import study
from farfield.study.stage import VARIABLE
from farfield.trials import matryoshka, nested_networks

pytest.importorskip("faiss")


@pytest.fixture(scope="module", autouse=True)
def stages(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("stages")))
        yield


def point(**changes):
    smoke = next(t.point for t in study.trials("smoke") if t.point["way"] == "mrl")
    return {**smoke, **changes}


def test_all_sizes_are_read_from_the_first_features_of_one_network():
    trained = nested_networks.network(point(), 0, "mrl")
    result = matryoshka.trial(point(), 0)
    for m in (2, 8, 32):
        right = (trained.head.logits_at(trained.test[:, :m], m).argmax(1) == trained.y_test).double().mean()
        assert result["accuracy"][str(m)] == pytest.approx(float(right))
    assert result["accuracy"]["3"] is None and result["knn"]["3"] is not None
    assert result["accuracy_at"]["smallest"] == result["accuracy"]["2"]
    assert result["accuracy_at"]["full"] == result["accuracy"]["32"] > 0.5
    assert result["macs"]["8"] == 8 * len(trained.train)
    assert result["map"]["8"] == result["retrieval"]["8"]["map"]["10"]
    expected = measure.nested_knn(trained.train, trained.y_train, trained.test, trained.y_test, [8, 3])
    # Equally near neighbours may be taken in another order.
    assert (result["knn"]["8"], result["knn"]["3"]) == pytest.approx(expected, abs=0.01)


def test_one_head_for_all_sizes_is_read_at_any():
    result = matryoshka.trial(point(way="mrl-e"), 0)
    assert all(value is not None for value in result["accuracy"].values())


def test_a_network_for_one_size_keeps_its_width_and_reads_the_first_features():
    trained = nested_networks.network(point(), 0, "ff", 4)
    assert trained.train.shape[1] == 32 and trained.head.heads[0].weight.shape == (10, 4)
    # Beyond them nothing was learned: the loss has no gradient there, so the last layer's other rows only decayed.
    full = nested_networks.network(point(), 0, "ff", 32)
    spread = [measure.nested_knn(t.train, t.y_train, t.test, t.y_test, [4])[0] for t in (trained, full)]
    assert spread[0] > spread[1]


def test_the_same_seed_gives_the_same_numbers(tmp_path, monkeypatch):
    first = matryoshka.trial(point(way="mrl-e"), 1)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert matryoshka.trial(point(way="mrl-e"), 1) == first


def test_cuts_of_the_full_network_agree_at_its_full_size():
    found = {m: matryoshka.trial(point(way=m), 0) for m in ("svd", "random", "prefix", "ff")}
    accuracies = [found[m]["accuracy"]["32"] for m in ("svd", "random", "prefix")]
    assert max(accuracies) - min(accuracies) < 0.1
    # A rotation of all features changes no distance.
    assert found["svd"]["map"]["32"] == pytest.approx(found["prefix"]["map"]["32"], abs=2e-3)
    assert found["svd"]["knn"]["2"] > found["prefix"]["knn"]["2"]
    assert found["random"]["map"]["2"] is None
    assert found["ff"]["map"]["32"] == found["prefix"]["map"]["32"]


def test_readers_are_logistic_regression():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    centres, y = rng.normal(size=(5, 6)) * [1, 100, 1, 0.01, 1, 0], rng.integers(5, size=1500)
    z = centres[y] + rng.normal(size=(1500, 6)) * [1, 100, 1, 0.01, 1, 0]
    choices = np.array([[0, 1, 5], [2, 3, 4]])
    expected = [
        make_pipeline(StandardScaler(), LogisticRegression(C=1e4))
        .fit(z[:1000, c], y[:1000])
        .score(z[1000:, c], y[1000:])
        for c in choices
    ]
    rows, labels = torch.from_numpy(z).float(), torch.from_numpy(y)
    found = matryoshka._probe(
        rows[:1000], labels[:1000], rows[1000:], labels[1000:], torch.from_numpy(choices), epochs=60, seed=0
    )
    assert found == pytest.approx(np.mean(expected), abs=0.012)


@pytest.mark.parametrize("way", ["adaptive", "funnel"])
def test_a_search_in_stages_keeps_to_its_budget(way):
    db = torch.randn(2000, 32, generator=torch.Generator().manual_seed(0))
    index = matryoshka._staged(way, db, (2, 4, 8, 16, 32), 2, 2000 * 32 / 8)
    assert 0.97 * 8000 < index.macs <= 8000
    assert index.dims == ((4, 8, 16, 32) if way == "funnel" else (32,))
    # Equal shares: what a stage costs is the same for all.
    costs = [m * k for m, k in zip(index.dims, index.shortlists)]
    assert max(costs) - min(costs) <= 32


def test_a_cascade_uses_more_dimensions_where_it_may():
    result = matryoshka.trial(point(way="cascade"), 0)
    dims = [result["dims"][str(m)] for m in (2, 4, 8, 16, 32)]
    assert dims[0] == 2 and dims == sorted(dims) and dims[-1] < 32
    assert result["accuracy"]["32"] > result["accuracy"]["2"]
    assert result["cascade_dims"] <= 9


def test_a_pair_of_squares_is_turned_square_by_square():
    image = torch.zeros(1, 1, 2, 4)
    image[..., 0] = 1.0
    turned = nested_networks._turn(image, 90).round()
    assert turned[0, 0].tolist() == [[0, 0, 0, 0], [1, 1, 0, 0]]
    assert nested_networks._turn(torch.rand(1, 1, 5, 5), 0).shape == (1, 1, 5, 5)
