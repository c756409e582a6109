"""One replacement of an embedding model, and a chain of them, on scikit-learn's digits."""

import pytest

from farfield.errors import InputError
from farfield.papers.bt2 import SETTINGS
from farfield.study.stage import VARIABLE
from farfield.study.study import Per
from farfield.trials.generations import Kind, generation
from farfield.trials.replacement import VARIANTS, trial

POINT = {
    **{name: value.otherwise if isinstance(value, Per) else value for name, value in SETTINGS.items()},
    "task": "digits", "update": "pair", "upgrade_models": ("mlp?hidden=16&depth=1", "mlp?hidden=32&depth=1"),
    "dims": 6, "extra_dims": 2, "epochs": 8, "learning_rate": 1e-2, "test_rows": 200,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def stages(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("stages")))
        yield


def test_a_replacement():
    found = {variant: trial({**POINT, "variant": variant}, 0) for variant in VARIANTS}
    bt2, alone = found["bt2"], found["independent"]
    # Five digits were known to the old network, ten to the new one.
    assert alone["star_star"]["map"] > alone["old_old"]["map"] + 0.05
    assert alone["new_new"] == alone["star_star"] and alone["new_old"] == alone["star_old"]
    assert bt2["new_old"]["map"] > bt2["star_old"]["map"] + 0.2 and bt2["error"] < 1e-5
    assert bt2["over_old"]["map"] == pytest.approx(bt2["new_old"]["map"] - bt2["old_old"]["map"])
    assert found["bct"]["new_old"]["map"] > found["bct"]["star_old"]["map"] + 0.2 and found["bct"]["error"] is None
    assert found["concatenation"]["new_old"] == bt2["old_old"]
    assert {v: found[v]["dims"] for v in VARIANTS} == {
        "independent": 6, "bct": 6, "bct-wide": 8, "bt2": 8, "bt2-no-q": 8, "bt2-none": 6, "bt2-quarter": 6, "bt2-all": 12,
        "concatenation": 12,
    }  # fmt: skip
    assert {v: r["sweep"] for v, r in found.items() if r["sweep"] is not None} == {
        "bt2": 2, "bt2-none": 0, "bt2-quarter": 0, "bt2-all": 6,
    }  # fmt: skip
    assert found["bt2-no-q"]["new_old"] != bt2["new_old"] and not any(bt2["chain"].values())
    # The references do not depend on the variant.
    assert all(r["old_old"] == bt2["old_old"] and r["star_star"] == bt2["star_star"] for r in found.values())


def test_a_chain_of_replacements_grows_by_the_extra_dimensions():
    point = {**POINT, "variant": "bt2", "upgrade_models": ("linear", *POINT["upgrade_models"]), "epochs": 4}
    found = trial(point, 0)
    assert set(found["chain"]) == {"0-0", "1-0", "2-0", "1-1", "2-1", "2-2", "oldest", "own", "middle"}
    assert found["dims"] == 6 + 2 * 2 and found["chain"]["2-1"] == found["new_old"]["top1"]
    assert found["chain"]["oldest"] == found["chain"]["2-0"] and found["chain"]["middle"] == found["chain"]["1-0"]
    assert found["chain"]["2-0"] > 0.3 and found["error"] < 1e-5


def test_targets_of_each_view():
    images = {**POINT, "shift": 1, "epochs": 2, "variant": "bt2"}
    cached, online = (trial({**images, "targets": targets}, 0) for targets in ("cached", "online"))
    assert cached["new_old"] != online["new_old"] and cached["star_star"] == online["star_star"]


def test_without_views_cached_and_online_targets_are_the_same():
    point = {**POINT, "epochs": 2, "variant": "bt2"}
    cached, online = (generation({**point, "targets": t}, 0, Kind("bt2", 2), 1).test for t in ("cached", "online"))
    assert cached.allclose(online, atol=1e-4)


def test_input_that_does_not_fit():
    with pytest.raises(InputError, match="unknown variant 'bt3'"):
        trial({**POINT, "variant": "bt3"}, 0)
    for name, value, message in (
        ("targets", "none", "targets is 'none'"),
        ("classes", 11, "classes is 11; the task digits has 10"),
        ("old_classes", (3,), r"old_classes is \[3\]; expected two or more"),
    ):
        with pytest.raises(InputError, match=message):
            trial({**POINT, "variant": "bt2", name: value}, 0)
