"""Image sets of the hub, read from a small data set of the same columns and features."""

import numpy as np
import pytest

from farfield import tasks
from farfield.tasks import image_transfer
from farfield.tasks.image_transfer import SOURCES


@pytest.fixture
def rows():
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    def made(values):
        images = [Image.fromarray(np.full((48, 48, 3), v, np.uint8)) for v in values]
        features = datasets.Features(
            {"img": datasets.Image(), "fine_label": datasets.ClassLabel(names=["dark", "light"])}
        )
        labels = [int(v > 100) for v in values]
        return datasets.Dataset.from_dict({"img": images, "fine_label": labels}, features=features)

    return made


def test_images_become_squares_and_the_official_test_is_the_test(rows):
    source = SOURCES["image-transfer/cifar100"]
    task = image_transfer.task("image-transfer/cifar100", rows([10, 200] * 10), rows([30, 220, 40]), source, seed=0)
    assert len(task.train) == 18 and len(task.val) == 2 and task.far == ()
    test = task.tests["iid"]
    assert test.columns["x"].shape == (3, 3, 32, 32) and test.columns["x"][:, 0, 0, 0].tolist() == [30, 220, 40]
    assert test.columns["y"].tolist() == [0, 1, 0] and task.outputs.names == ("dark", "light")


def test_the_seed_decides_which_training_images_validate(rows):
    source = SOURCES["image-transfer/cifar100"]
    train = rows(list(range(0, 200, 10)))
    held_out = [
        image_transfer.task("n", train, train, source, seed=seed).val.columns["x"][:, 0, 0, 0].tolist()
        for seed in (0, 0, 1)
    ]
    assert held_out[0] == held_out[1] != held_out[2]


def test_fine_tuning_without_a_far_test_reports_the_near_score_as_far(rows, monkeypatch):
    from farfield.trials import finetune

    source = SOURCES["image-transfer/cifar100"]
    made = image_transfer.task("n", rows([10, 200] * 10), rows([30, 220] * 3), source, seed=0)
    monkeypatch.setattr(finetune.tasks, "load", lambda name, seed=0: made)
    point = {
        "task": "n", "model": "linear", "method": "erm", "steps": 30, "batch_size": 8, "learning_rate": 1e-2,
        "betas": (0.9, 0.99), "pretraining_steps": 0, "sharpness": 1e-3, "device": "cpu",
    }  # fmt: skip
    found = finetune.trial(point, seed=0)
    assert found["near"] == found["far"] == 1.0 and found["near_cka"] == found["far_cka"]


def test_every_name_says_where_it_comes_from():
    assert tasks.hub_ids("image-transfer/cars") == ("tanganke/stanford_cars",)
