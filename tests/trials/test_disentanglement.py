import pytest
import torch

from farfield.papers.catch import study
from farfield.study.stage import VARIABLE
from farfield.tasks import Classes, Table, Task, Vector
from farfield.trials import text_features
from farfield.trials.disentanglement import RECIPES, CuedClassifier, _fit_weighted, trial


@pytest.fixture(scope="module", autouse=True)
def own_stages(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("stages")))
    text_features._embedded.cache_clear()
    yield
    patch.undo()


def point(recipe, **changed):
    first = next(t for t in study.trials("smoke") if t.point["recipe"] == "CATCH").point
    return {**first, "recipe": recipe, "steps": 40, **changed}


@pytest.mark.parametrize("recipe", [r for r in RECIPES if "tokens" not in r])
def test_every_recipe_is_deterministic_and_reports_every_test(recipe):
    first, again = trial(point(recipe), 0), trial(point(recipe), 0)
    assert first.pop("seconds") > 0 and again.pop("seconds") > 0
    assert first == again
    assert set(first["f1"]) == {"iid", "platform 1", "platform 2", "platform 3"}
    assert first["worst"] == min(first["f1"].values()) and first["near"] == first["f1"]["iid"]
    far = [v for k, v in first["f1"].items() if k != "iid"]
    assert first["unseen"] == first["unseen_texts"] == pytest.approx(sum(far) / 3)
    assert ("probe" in first) == (recipe.startswith("CATCH") and "draws" not in recipe)


def test_the_target_loss_is_what_makes_the_second_part_tell_the_target():
    with_loss, without = (trial(point(r, steps=300), 0) for r in ("CATCH", "CATCH, no target loss"))
    assert with_loss["target_gained"] > 0.6 > 0.4 > without["target_gained"]
    probe = with_loss["probe"]
    assert with_loss["probe_drop"] == probe["z"] - probe["x_c"] and 1 / 7 <= probe["chance"] < 0.5


def test_named_tests_count_as_unseen_and_another_method_can_be_named():
    found = trial(point("coral", unseen_tests=["platform 3"]), 0)
    assert found["unseen"] == found["f1"]["platform 3"]


def test_a_task_without_texts_has_no_cues(tmp_path, monkeypatch):
    (tmp_path / "my_vectors.py").write_text(
        """
import torch
from farfield.tasks import Classes, Table, Task, Vector

def make(seed=0):
    g = torch.Generator().manual_seed(seed)
    def rows(n):
        y = torch.randint(2, (n,), generator=g)
        return Table(x=torch.randn(n, 6, generator=g) + y[:, None], y=y, domain=torch.arange(n) % 3)
    far = rows(60)
    return Task("v", rows(200), rows(50), {"iid": rows(60), "far": Table(x=far.columns["x"], y=far.columns["y"])},
                Vector(6), Classes(2), ("a", "b", "c"))
"""
    )
    monkeypatch.chdir(tmp_path)
    assert trial(point("PEACE", task="my_vectors:make", encoder="tfidf"), 0) == {}
    found = trial(point("CATCH", task="my_vectors:make", encoder="tfidf", probe_test="far"), 0)
    assert set(found["f1"]) == {"iid", "far"} and "unseen_texts" not in found
    # The far rows do not say their nuisance, so nothing is probed there.
    assert "probe" not in found


def test_weights_make_classes_alike_within_each_target():
    # Of target 0 nine in ten are class 1; its features say nothing else.
    y = torch.tensor([1] * 90 + [0] * 10 + [0] * 90 + [1] * 10)
    target = torch.arange(200) // 100
    x = torch.nn.functional.one_hot(target, 2).float()
    rows = Table(x=x, y=y, domain=target)
    task = Task("t", rows, rows, {"iid": rows}, Vector(2), Classes(2), ("a", "b"))
    sizes = {"steps": 400, "batch_size": 200, "seed": 0}
    rates = {"learning_rate": 0.05, "weight_decay": 0.0}
    found = {}
    for kind in ("classes", "classes and targets"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = torch.nn.Linear(2, 2)
        _fit_weighted(model, task, kind, sizes, rates)
        found[kind] = model(torch.eye(2)).softmax(1)[0, 1].item()
    assert found["classes"] == pytest.approx(0.9, abs=0.03)
    assert found["classes and targets"] == pytest.approx(0.5, abs=0.05)


def test_cues_are_read_beside_the_embedding():
    model = CuedClassifier([4, 2, 2], hidden=8, classes=2).eval()
    x = torch.randn(3, 8)
    fused = model.fusion(x[:, :4], x[:, 4:6], x[:, 6:])
    assert torch.equal(model.features(x), fused) and torch.equal(model(x), model.head(fused))
