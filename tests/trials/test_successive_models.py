"""One trial of successive models: what it reports, and that classes and slots are apart."""

import pytest
import torch

from farfield.errors import InputError
from farfield.papers.stationary_representations import study
from farfield.study.stage import VARIABLE
from farfield.tasks import Table
from farfield.trials.replacement_scenario import scenario
from farfield.trials.successive_models import _augment, resnet18, trial

SMOKE = study.trials("smoke", seeds=1)[0].point


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_numbers_fit_each_other_and_come_again():
    found = trial({**SMOKE, "variant": "simplex-hoc"}, 0)
    assert found == trial({**SMOKE, "variant": "simplex-hoc"}, 0)
    c = found["matrix"]
    assert [[v is None for v in row] for row in c] == [[False, True, True], [False, False, True], [False] * 3]
    cells = [v for row in c for v in row if v is not None]
    assert found["am"] == pytest.approx(100 * sum(cells) / 6) == found["am_by_task"][-1]
    assert found["am_by_task"][0] == 100 * c[0][0] and found["last_row"] == c[2]
    assert found["own"] == pytest.approx((c[0][0] + c[1][1] + c[2][2]) / 3)
    # One came at the second task: between it and the third there is none.
    assert found["cross"] == pytest.approx((c[1][0] + c[2][0]) / 2) and found["chance"] == 1 / 3
    assert found["ac"] == sum([c[1][0] > c[0][0], c[2][0] > c[0][0], c[2][1] > c[1][1]]) / 3
    assert found["models"] == ["1", "2*", "3"] and found["replaced"] == [2]
    assert set(found["violations"]) == {"same", "different"}


def test_variants_share_pretrained_models_and_differ():
    found = {v: trial({**SMOKE, "variant": v}, 0)["matrix"] for v in ("simplex-hoc", "simplex-ce", "er")}
    assert found["simplex-hoc"] != found["er"] != found["simplex-ce"]


def test_classes_are_in_one_place():
    found = scenario(SMOKE, 3)
    labels = [set(t.columns["label"].tolist()) for t in (found.server, *found.local, found.gallery)]
    assert sum(map(len, labels)) == len(set.union(*labels)) == 10
    assert set(found.queries.columns["label"].tolist()) == labels[-1]
    assert [sorted(set(t.columns["y"].tolist())) for t in (found.server, *found.local)] == [[0, 1, 2], [0, 1], [2], [3]]
    assert abs(len(found.gallery) - len(found.queries)) <= 3
    # No drawing is searched in itself.
    rows = torch.cat([found.gallery.columns["x"], found.queries.columns["x"]]).flatten(1)
    assert len(rows.unique(dim=0)) == len(rows)


@pytest.mark.needs_data("omniglot-small")
def test_characters_of_the_small_preset():
    found = scenario(study.trials("small", seeds=1)[0].point, 0)
    assert len(found.server) == 2400 and [len(t) for t in found.local] == [240] * 6
    for part in (found.gallery, found.queries):
        assert torch.bincount(part.columns["y"]).tolist() == [10] * 50


def test_data_of_other_names(tmp_path, monkeypatch):
    """Pretraining and evaluation on tasks of their own, as in the full preset."""
    point = {**SMOKE, "pretraining_tasks": ["digits"], "evaluation_tasks": ["digits"], "held_out": 0}
    found = scenario(point, 0)
    assert sorted(found.gallery.columns["y"].unique().tolist()) == list(range(10))
    assert len(found.queries) > 2 * len(found.gallery)
    assert [sorted(set(t.columns["y"].tolist())) for t in (found.server, *found.local)] == [[0, 1, 2], [0, 1], [2], [3]]


def test_images_are_mirrored_and_moved():
    x = torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    mirrored = _augment({"shift": 0, "flip": True}, 0)(x)
    turned = (mirrored == x.flip(3)).flatten(1).all(1)
    assert 60 < turned.sum() < 140 and torch.equal(mirrored[~turned], x[~turned])
    assert torch.equal(_augment({"shift": 0, "flip": False}, 0)(x), x)
    assert not torch.equal(_augment({"shift": 1, "flip": False}, 0)(x), x)


def test_the_network_of_the_full_preset():
    from dataclasses import replace

    from farfield import tasks
    from farfield.tasks import Image

    model = resnet18(replace(tasks.load("digits/rotation"), inputs=Image(3, 32, 32)))
    # ResNet-18 has 11.2 million weights before its head, and halves the image three times.
    assert sum(p.numel() for p in model.encoder.parameters()) == 11_168_832
    assert model.encoder[:-2](torch.zeros(1, 3, 32, 32)).shape == (1, 512, 4, 4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"variant": "simplex"}, "unknown variant 'simplex'"),
        ({"num_classes": 6, "variant": "simplex-ce"}, "num_classes is 6; pretrained models and tasks have 7 classes"),
        ({"first": 9}, "the data has 10"),
        ({"held_out": 0}, "held_out is 0"),
    ],
)
def test_bad_settings_are_named(change, says):
    with pytest.raises(InputError, match=says):
        trial({**SMOKE, **change}, 0)


def test_tables_keep_images_as_they_are_stored():
    from farfield.trials.replacement_scenario import _table

    rows = Table(x=torch.zeros(2, 1, 2, 2, dtype=torch.uint8), y=torch.arange(2), domain=torch.zeros(2))
    assert sorted(_table(rows).columns) == ["x", "y"] and _table(rows).columns["x"].dtype == torch.uint8
