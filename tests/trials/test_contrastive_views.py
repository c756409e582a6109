"""One trial of learning from two views: the arms, the probes, a user's own parts."""

import sys

import pytest
import torch

from farfield import tasks
from farfield.augment import RandomFieldAffine, RandomFieldColor
from farfield.errors import InputError
from farfield.papers.random_field_augmentations import SETTINGS
from farfield.trials.contrastive_views import networks, probe, resnet50, transforms, trial

SMALL = {
    **SETTINGS,
    "task": "digits",
    "probe_tasks": ("digits/noise?train=3",),
    "size": 8,
    "steps": 3,
    "batch_size": 16,
    "labels": 200,
}


def test_a_trial_is_decided_by_its_seed_and_reports_plain_numbers():
    first, again, other = trial(SMALL, 0), trial(SMALL, 0), trial({**SMALL, "strength": 0.5}, 0)
    assert first == again and first["loss"] != other["loss"]
    assert first["far"] == pytest.approx(first["probes"]["digits/noise?train=3"])
    assert first["excess"] == pytest.approx(first["far"] - first["near"])
    assert (first["structure_loss"], first["displacement"], first["folded"]) == (0, 0, 0)
    assert other["structure_loss"] > 0.1 and other["displacement"] > 0.2
    assert torch.tensor(other["examples"]).shape == (5, 8, 8, 1)


def test_training_makes_features_better_than_chance_and_the_loss_fall():
    short, long = trial({**SMALL, "steps": 1}, 0), trial({**SMALL, "steps": 60, "batch_size": 64}, 0)
    assert long["near"] > 0.8 and long["loss"] < short["loss"] + 1  # of 64 images and not of 16
    assert long["near"] > short["near"]


def test_coloured_backgrounds_and_larger_images():
    found = trial({**SMALL, "background": True, "size": 16, "strength": 0.5}, 0)
    assert torch.tensor(found["examples"]).shape == (5, 16, 16, 3)


def test_each_kind_of_fields_has_its_transformations():
    def kinds(**changes):
        return [type(t) for t in transforms({**SETTINGS, "strength": 0.5, **changes}, 3, 0)]

    assert kinds() == [RandomFieldAffine, RandomFieldColor]
    assert kinds(fields="spatial") == [RandomFieldAffine]
    assert kinds(fields="colour") == [RandomFieldColor]
    (elastic,) = transforms({**SETTINGS, "strength": 1.0, "fields": "elastic", "length": 0.2}, 1, 0)
    assert elastic.kernel == "rbf" and elastic.strengths["rotation"] == 0 < elastic.strengths["translation"] == 0.15
    assert kinds(strength=0.0) == []
    with pytest.raises(InputError, match="fields is 'local'"):
        kinds(fields="local")


def test_a_probe_of_raw_pixels_reads_digits_and_few_of_many_classes():
    task = tasks.load("digits")
    pixels = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 64))
    torch.nn.init.eye_(pixels[1].weight)
    all_classes = probe(pixels, task, {"labels": 1000, "ways": None}, 0)
    assert all_classes > 0.9
    # Two classes at a time are easier than ten.
    assert probe(pixels, task, {"labels": 1000, "ways": 2}, 0) > all_classes
    assert probe(pixels, task, {"labels": 60, "ways": None}, 0) < all_classes


def test_any_model_and_ones_own_objective_take_part(tmp_path, monkeypatch):
    (tmp_path / "my_objective.py").write_text("def apart(a, b):\n    return (a - b).square().mean()\n")
    monkeypatch.chdir(tmp_path)
    try:
        found = trial({**SMALL, "model": "cnn?width=4", "objective": "my_objective:apart"}, 0)
    finally:
        sys.modules.pop("my_objective", None)
    assert 0 <= found["near"] <= 1 and found["loss"] < 1
    several = trial({**SMALL, "probe_tasks": "digits/noise?train=3+digits/blur?train=3"}, 0)
    assert set(several["probes"]) == {"digits/noise?train=3", "digits/blur?train=3"}


def test_resnet_50_is_the_real_one_with_random_weights():
    transformers = pytest.importorskip("transformers")
    task = tasks.load("digits")
    model = resnet50(task)
    body = model.encoder[1].body
    assert isinstance(body, transformers.ResNetModel) and list(body.config.depths) == [3, 4, 6, 3]
    point = {**SMALL, "model": "farfield.trials.contrastive_views:resnet50"}
    encoder, project = networks(point, task, 0)
    with torch.no_grad():
        assert encoder.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 2048)
    assert project[0].in_features == 2048


def test_tasks_without_images_and_coloured_photographs_on_backgrounds_are_refused(tmp_path, monkeypatch):
    (tmp_path / "my_table.py").write_text(
        "import torch\nfrom farfield.tasks import Classes, Image, Table, Task, Vector\n"
        "def make(inputs):\n"
        "    shape = (8, 4) if isinstance(inputs, Vector) else (8, 3, 4, 4)\n"
        "    rows = Table(x=torch.zeros(shape), y=torch.arange(8) % 2, domain=torch.zeros(8, dtype=torch.long))\n"
        "    return Task('mine', rows, rows, {'iid': rows, 'far': rows}, inputs, Classes(2), ('a',))\n"
        "def table(seed=0):\n    return make(Vector(4))\n"
        "def photographs(seed=0):\n    return make(Image(3, 4, 4))\n"
    )
    monkeypatch.chdir(tmp_path)
    try:
        with pytest.raises(InputError, match="has vectors of 4 features; expected images"):
            trial({**SMALL, "task": "my_table:table"}, 0)
        with pytest.raises(InputError, match="images of 3 channels; backgrounds need grey ones"):
            trial({**SMALL, "task": "my_table:photographs", "background": True}, 0)
    finally:
        sys.modules.pop("my_table", None)
