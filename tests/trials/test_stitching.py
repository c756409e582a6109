"""The trial of stitching on real digits, small: what its numbers are made of, and where the user's own encoders enter."""

import sys
import textwrap

import pytest
import torch
from torch.nn.functional import mse_loss

from farfield import nn, tasks
from farfield.papers.relative_representations import SETTINGS
from farfield.reuse import select_anchors
from farfield.study.stage import VARIABLE, folder
from farfield.tasks.task import column
from farfield.trials import stitching

SMALL = {**SETTINGS, "task": "digits", "anchors": 40, "counts": (10,), "steps": 40, "head_steps": 30}


@pytest.fixture(autouse=True)
def stages(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stages"))


def test_errors_are_those_of_the_pair_in_both_directions():
    found = stitching.trial({**SMALL, "space": "absolute"}, 3)
    task = tasks.load("digits", seed=3)
    x = task.tests["iid"][torch.arange(len(task.tests["iid"]))]["x"]
    inputs = task.train[select_anchors(column(task.train, "y"), 40, "stratified", seed=3)]["x"]
    first, second = stitching._autoencoders(SMALL, task, inputs, "absolute", 3)
    with torch.no_grad():
        own = mse_loss(first(x), x) / 2 + mse_loss(second(x), x) / 2
        crossed = mse_loss(second.decoder(first.encoder(x)), x) / 2 + mse_loss(first.decoder(second.encoder(x)), x) / 2
    assert found["mse"] == pytest.approx(float(own)) and found["stitched_mse"] == pytest.approx(float(crossed))
    assert found["mean_image_mse"] == pytest.approx(0.074, abs=0.003)
    # Trained apart: no weight in common.
    for a, b in zip(first.parameters(), second.parameters()):
        assert not torch.allclose(a, b, atol=1e-3)


def test_the_same_seed_gives_the_same_numbers_and_another_others():
    point = {**SMALL, "space": "relative"}
    first = stitching.trial(point, 0)
    for file in sorted(folder().glob("*.safetensors")):
        file.unlink()
    assert stitching.trial(point, 0) == first
    assert stitching.trial(point, 1)["mse"] != first["mse"]


def test_seven_encoders_and_the_pairs_of_equal_width():
    absolute, relative = (stitching.trial({**SMALL, "space": s}, 0) for s in ("absolute", "relative"))
    assert len(absolute["encoders"]) == 7 and absolute["encoders"] == relative["encoders"]
    pca = absolute["encoders"].index("pca 48")
    missing = {(i, j) for i in range(7) for j in range(7) if absolute["matrix"][i][j] is None}
    assert missing == {(i, j) for i in range(7) for j in range(7) if (i == pca) != (j == pca)}
    others = [(i, j) for i in range(7) for j in range(7) if i != j]
    for found in (absolute, relative):
        same = [found["matrix"][i][j] for i, j in others if (i, j) not in missing]
        assert found["swapped_accuracy"] == pytest.approx(sum(same) / 30)
    assert relative["swapped_all"] == pytest.approx(sum(relative["matrix"][i][j] for i, j in others) / 42)
    assert relative["own_accuracy"] == pytest.approx(sum(relative["matrix"][i][i] for i in range(7)) / 7)


def test_principal_components_are_those_of_the_training_images():
    from sklearn.decomposition import PCA

    found = stitching.latents(
        task="digits",
        fingerprint="",
        seed=0,
        models=[],
        anchors=[0, 1],
        kind="mlp",
        steps=1,
        batch_size=10,
        device="cpu",
    )
    expected = PCA(48, svd_solver="full").fit(found["pixels/train"].double())
    for part in ("train", "test"):
        theirs = torch.from_numpy(expected.transform(found[f"pixels/{part}"].double()))
        torch.testing.assert_close(found[f"pca 48/{part}"].abs().double(), theirs.abs(), rtol=0, atol=1e-3)


def test_encoders_by_name_take_the_place_of_the_seven():
    point = {**SMALL, "space": "relative", "image_models": ("linear", "cnn"), "kind": "conv"}
    found = stitching.trial(point, 0)
    assert found["encoders"] == ["linear", "cnn"] and len(found["matrix"]) == 2
    assert found["swapped_accuracy"] is None and found["swapped_all"] > 0.15
    assert found["mse"] > 0
    prepared = tasks.load("digits", seed=0)
    model = nn.load("cnn", prepared, seed=0).eval()
    kept = stitching.latents(
        task="digits", fingerprint=prepared.fingerprint, seed=0, models=["linear", "cnn"], kind="conv", steps=40,
        anchors=select_anchors(column(prepared.train, "y"), 40, "stratified", seed=0).tolist(), batch_size=100, device="cpu",
    )  # fmt: skip
    with torch.no_grad():
        torch.testing.assert_close(kept["cnn/test"][:5], model.encoder(prepared.tests["iid"][torch.arange(5)]["x"]))


def test_texts_have_heads_only(tmp_path, monkeypatch):
    (tmp_path / "my_reviews.py").write_text(
        textwrap.dedent(
            """
            import torch
            from farfield.tasks import Classes, Table, Task, Text

            def make(seed=0):
                words = [["good", "fine", "great"], ["bad", "poor", "awful"]]
                def rows(n, start):
                    x = [f"a {words[i % 2][(i // 2 + start) % 3]} book {i}" for i in range(n)]
                    return Table(x=x, y=torch.arange(n) % 2, domain=torch.zeros(n, dtype=torch.long))
                return Task("reviews", rows(120, 0), rows(20, 1), {"iid": rows(60, 2), "far": rows(10, 0)}, Text(),
                            Classes(2), ("here",))
            """
        )
    )
    monkeypatch.chdir(tmp_path)
    models = ("mlp?hidden=64&depth=1", "mlp?hidden=32&depth=1")
    try:
        found = stitching.trial(
            {**SMALL, "task": "my_reviews:make", "space": "relative", "text_models": models, "head_steps": 300}, 0
        )
    finally:
        sys.modules.pop("my_reviews", None)
    assert found["encoders"] == list(models) and found["mse"] is None and found["agreement"]["mrr"] is None
    # Random hashed features keep which words are there: heads read each other's encoder.
    assert found["swapped_all"] > 0.8
