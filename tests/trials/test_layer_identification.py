import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from farfield import measure
from farfield.errors import InputError
from farfield.study.stage import VARIABLE
from farfield.tasks import Table
from farfield.trials.layer_identification import (
    chosen_stimuli,
    identified,
    noisy_rdms,
    plane,
    responses,
    transformed,
    trial,
)

NETWORKS = {
    "task": "digits",
    "model": "mlp?hidden=16&depth=2",
    "method": "erm",
    "steps": 10,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "layers": None,
    "stimuli": 12,
    "device": "cpu",
}
SIZES = {"systems": 4, "windows": 2, "draws": 2, "step": 0.25, "bootstraps": 3}
POINT = {**NETWORKS, **SIZES, "statistic": "rank", "noise": 0.2, "noise_on": "rdms"}


@pytest.fixture(scope="module", autouse=True)
def stages(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("stages")))
        yield


def test_stimuli_are_as_even_over_the_classes_as_they_come():
    y = torch.tensor([3, 3, 0, 1, 0, 0, 2, 2, 3])
    assert chosen_stimuli(Table(y=y), 6).tolist() == [0, 1, 2, 3, 4, 6]
    assert chosen_stimuli(Table(y=y), 9).tolist() == list(range(9))
    for count in (2, 10):
        with pytest.raises(InputError, match=f"stimuli is {count}; the near test has 9 examples"):
            chosen_stimuli(Table(y=y), count)


def test_networks_of_a_seed_are_the_same_and_others_differ():
    first, other = responses(seed=0, **NETWORKS), responses(seed=1, **NETWORKS)
    again = responses.__wrapped__(seed=0, **NETWORKS)
    assert list(first) == list(other) and all(len(rows) == 12 for rows in first.values())
    assert all(torch.equal(first[name], again[name]) for name in first)
    # The first layers only shape and standardise the images, which all networks share.
    assert not torch.equal(list(first.values())[-1], list(other.values())[-1])


def test_noise_is_relative_to_what_it_is_added_to():
    generator = torch.Generator().manual_seed(0)
    acts = [[torch.randn(40, 20, generator=generator) * s for s in (1.0, 100.0)] for _ in range(3)]
    clean = noisy_rdms(acts, 0.0, "rdms", generator)
    np.testing.assert_allclose(clean, [pdist(x, "correlation") for layers in acts for x in layers], rtol=1e-4)
    noisy = noisy_rdms(acts, 0.2, "rdms", torch.Generator().manual_seed(1))
    assert np.std(noisy - clean) == pytest.approx(0.2 * np.std(clean), rel=0.05)
    strong = noisy_rdms(acts, 50.0, "rdms", torch.Generator().manual_seed(1))
    assert strong.min() == 0 and (strong == 0).mean() == pytest.approx(0.5, abs=0.1)
    # On activations both layers get noise of their own size: with as much noise as signal half of the variance is noise.
    far = noisy_rdms(acts, 1.0, "activations", torch.Generator().manual_seed(1))
    likeness = [np.corrcoef(a, b)[0, 1] for a, b in zip(clean, far)]
    assert np.ptp(likeness) < 0.25 and 0.2 < np.mean(likeness) < 0.8


def test_statistics_are_those_of_the_library():
    rdms = np.random.default_rng(0).random((3, 45))
    assert [np.array_equal(rows, rdms) for rows in transformed("rdm", rdms, 5)] == [True]
    assert [np.array_equal(rows, measure.rank_minmax(rdms)) for rows in transformed("rank", rdms, 5)] == [True]
    windows = measure.sample_lu("topology", 5, torch.Generator().manual_seed(0))
    for rows, (low, high) in zip(transformed("topology", rdms, 5), windows, strict=True):
        assert np.array_equal(rows, measure.geotopological(rdms, low, high))
    windows = measure.sample_lu("local", 2, torch.Generator().manual_seed(0))
    for rows, (low, high) in zip(transformed("geodesic", rdms, 2), windows, strict=True):
        assert np.array_equal(rows, measure.geodesic_rdm(rdms, l=low, u=high))


def test_the_plane_keeps_distances_of_what_is_flat():
    flat = np.random.default_rng(0).normal(size=(9, 2))
    lifted = flat @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0][:2] + 3
    np.testing.assert_allclose(pdist(plane(lifted).numpy()), pdist(flat), rtol=1e-9)


def test_a_trial_is_the_accuracy_of_its_network():
    asked = {"networks": NETWORKS, **SIZES, "statistic": "rank"}
    clean, noisy = identified(noise=0.0, noise_on="rdms", **asked), identified(noise=0.2, noise_on="rdms", **asked)
    for seed in range(4):
        found = trial(POINT, seed)
        assert found["accuracy"] == float(noisy["accuracy"][seed])
        assert found["accuracy_lost"] == pytest.approx(float(clean["accuracy"][seed] - noisy["accuracy"][seed]))
    acts = [list(responses(seed=seed, **NETWORKS).values()) for seed in range(4)]
    rows = measure.rank_minmax(noisy_rdms(acts, 0.0, "rdms", torch.Generator()))
    layers = len(acts[0])
    subject, label = np.repeat(np.arange(4), layers), np.tile(np.arange(layers), 4)
    whole = measure.identification(rows, subject, label)
    assert clean["accuracy"].tolist() == pytest.approx(list(whole.by_subject.values()))
    halves = [measure.identification(rows[h], subject[h], label[h]).by_subject for h in (subject < 2, subject >= 2)]
    assert clean["half_accuracy"].tolist() == pytest.approx([(halves[0] | halves[1])[s] for s in range(4)])
    without = trial({**POINT, "noise": 0.0}, 1)
    assert without["accuracy_lost"] == 0 and without["bootstrap_sd"] >= 0 and "bootstrap_sd" not in trial(POINT, 1)


def test_a_window_is_chosen_on_the_other_half():
    asked = {"networks": NETWORKS, **SIZES, "noise": 0.0, "noise_on": "rdms"}
    found = identified(statistic="chosen", **asked)
    acts = [list(responses(seed=seed, **NETWORKS).values()) for seed in range(4)]
    rows = noisy_rdms(acts, 0.0, "rdms", torch.Generator())
    layers = len(acts[0])
    subject, label = np.repeat(np.arange(4), layers), np.tile(np.arange(layers), 4)
    expected = {}
    for mine in (subject < 2, subject >= 2):
        grid = measure.trsa_grid(rows[~mine], subject[~mine], label[~mine], 0.25)
        window = grid.iloc[grid["accuracy"].to_numpy().argmax()]
        seen = measure.geotopological(rows[mine], window["l"], window["u"])
        expected |= measure.identification(seen, subject[mine], label[mine]).by_subject
    assert found["half_accuracy"].tolist() == pytest.approx([expected[s] for s in range(4)])
    assert "accuracy" not in found and found["points"].shape == (4 * layers, 4)
    result = trial({**POINT, "statistic": "chosen", "noise": 0.0}, 0)
    assert np.array(result["points"]).shape == (layers, 4) and len(result["grid"]) == 13


def test_bad_points_are_refused():
    with pytest.raises(InputError, match="statistic is 'rankk' and noise_on 'rdms'; expected one of rdm, rank"):
        trial({**POINT, "statistic": "rankk"}, 0)
    with pytest.raises(InputError, match="noise_on 'both'"):
        trial({**POINT, "noise_on": "both"}, 0)
    with pytest.raises(InputError, match=r"noise is -0\.1"):
        trial({**POINT, "noise": -0.1}, 0)
    with pytest.raises(InputError, match="systems is 3; rank and seed 0 need at least 4"):
        trial({**POINT, "systems": 3}, 0)
    with pytest.raises(InputError, match="systems is 4; rank and seed 4 need at least 5"):
        trial(POINT, 4)
