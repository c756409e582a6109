"""Presets, replaced axes and records of a study, and what is kept of it."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from farfield.errors import InputError
from farfield.study.claims import greater
from farfield.study.execute import execute, needs
from farfield.study.figures import curves, differences, near_far
from farfield.study.results import summary
from farfield.study.study import Per, Preset, Study


def measure(point, seed):
    if point["method"] == "broken" and seed == 0:
        raise ValueError("it broke")
    bonus = {"a": 0.0, "b": 0.1, "broken": 0.05}[point["method"]]
    return {
        "near": 0.9 + 0.001 * seed,
        "far": 0.5 + bonus + 0.01 * seed + 0.001 * seed * bonus,
        "tests": {"x": 0.5},
        "curve": [1.0, 0.5, 0.1 * point["steps"]],
    }


@pytest.fixture
def study():
    return Study(
        paper="demo",
        question="Is b better than a?",
        trial=measure,
        grid={"task": ["t1", "t2"], "method": ["a", "b"]},
        presets={"small": Preset(3, settings={"steps": 5}), "smoke": Preset(2, {"task": ["t1"]}, {"steps": 1})},
        claims=[
            greater(
                "b", than="a", metric="far", along="method", says="b | beats a", reported="by 3 points", scale="tiny"
            ),
            greater("a", than="b", metric="far", along="method", says="a beats b", reported="-", scale="tiny"),
        ],
        figures=[
            differences("far", baseline="a", along="method", label="points", caption="d"),
            near_far("near", "far", along="method", labels=("near", "far"), caption="n"),
            curves("curve", along="method", labels=("step", "y"), caption="c"),
        ],
        metrics={"far": "far"},
    )


def test_points_seeds_and_replaced_axes(study):
    assert len(study.trials("small")) == 2 * 2 * 3
    assert {t.point["steps"] for t in study.trials("smoke")} == {1} and len(study.trials("smoke")) == 4
    assert {t.point["task"] for t in study.trials("small", {"task": ["mine"]})} == {"mine"}
    assert {t.point["steps"] for t in study.trials("small", {"steps": [9]})} == {9}
    assert len(study.trials("small", seeds=1)) == 4
    keys = {t.key for t in study.trials("small")} | {t.key for t in study.trials("small", {"steps": [9]})}
    assert len(keys) == 24


@pytest.mark.parametrize(
    ("preset", "replaced", "words"),
    [
        ("big", {}, "unknown preset of demo 'big'"),
        ("small", {"taks": ["x"]}, "unknown axis of demo 'taks'; nearest: task"),
        ("small", {"task": []}, "was given no value"),
        ("small", {"steps": [1, 2]}, "takes one value, 2 came"),
    ],
)
def test_what_is_not_there_is_refused(study, preset, replaced, words):
    with pytest.raises(InputError, match=words):
        study.trials(preset, replaced)


def test_a_study_is_run_judged_written_and_not_run_again(study, tmp_path):
    finished = execute(study, out=tmp_path, workers=1, command="farfield run demo")
    results = json.loads((tmp_path / "demo.json").read_text())
    assert results == json.loads(json.dumps(finished.results))
    assert [c["verdict"] for c in results["claims"]] == ["holds", "fails"]
    assert results["claims"][0]["effect"] == pytest.approx(0.1 + 0.0001, abs=1e-4) and results["claims"][0]["n"] == 3
    # Why it may be so is said where it does not hold, and only there.
    assert [c["scale"] for c in results["claims"]] == ["", "tiny"]
    assert results["figures"] == ["demo/differences.svg", "demo/near-far.svg", "demo/curves.svg"]
    for figure in results["figures"]:
        ElementTree.parse(tmp_path / figure)
    html = finished.report.read_text()
    assert "b | beats a" in html and "by 3 points" in html and html.count("<svg") == 3
    kept = []
    execute(study, out=tmp_path, workers=1, watch=lambda total, outcome: kept.append(outcome.kept))
    assert kept == [True] * 12
    table = {(row["task"], row["method"]): row["far"]["mean"] for row in results["table"]}
    assert table["t1", "b"] - table["t1", "a"] == pytest.approx(0.1, abs=1e-3)


def test_a_failed_trial_is_shown_and_its_seed_left_out(study, tmp_path):
    finished = execute(study, out=tmp_path, workers=1, replaced={"method": ["a", "b", "broken"]})
    assert len(finished.results["failed"]) == 2 and "it broke" in finished.report.read_text()
    assert finished.results["claims"][0]["verdict"] == "holds"


def test_the_summary_counts_verdicts_and_keeps_its_table_whole(study, tmp_path):
    execute(study, out=tmp_path, workers=1)
    text = summary(tmp_path)
    assert "| [demo](#demo) | 1 | 1 | 0 | 12 |" in text
    row = next(line for line in text.splitlines() if "beats a" in line)
    assert r"b \| beats a" in row and "**holds**" in row
    assert "![d](results/demo/differences.svg)" in text


def test_needs_say_what_is_missing(study):
    found = {need.name: need.state for need in needs(study, "small", {"task": ["digits/noise", "digits/nosie"]})}
    assert found["digits/noise"] == "here" and found["digits/nosie"] == "missing"
    assert found["a"] == "missing"


def test_a_setting_can_differ_by_task_and_a_replaced_one_is_the_same_for_all():
    preset = Preset(1, settings={"steps": Per("task", {"a": 5}, otherwise=7)})
    study = Study("demo", "", rows_seen, {"task": ["a", "b"]}, {"small": preset}, [])
    assert [t.point["steps"] for t in study.trials()] == [5, 7]
    assert [t.point["steps"] for t in study.trials(replaced={"task": ["mine"]})] == [7]
    assert [t.point["steps"] for t in study.trials(replaced={"steps": [9]})] == [9, 9]


def rows_seen(point, seed):
    from farfield import tasks

    return {"far": len(tasks.load(point["task"], seed=seed).train) + 0.0}


def test_a_users_data_that_changed_is_another_trial(tmp_path):
    """The name of a file says nothing of what is in it."""
    file = tmp_path / "shops.csv"
    name = f"csv:{file}?target=sold&domain=shop&test=c"
    line = "\n".join(f"{i % 7},{i % 2},{'abc'[i % 3]}" for i in range(60))
    study = Study("demo", "", rows_seen, {"task": [name]}, {"small": Preset(1)}, [], metrics={"far": "rows"})

    def run():
        found = execute(study, out=tmp_path / "out", workers=1)
        return found.results["table"][0]["far"]["mean"]

    file.write_text(f"size,sold,shop\n{line}\n")
    before = run()
    file.write_text(f"size,sold,shop\n{line}\n{line}\n")
    assert run() > before


def test_only_what_a_point_names_is_in_its_key():
    study = Study("demo", "", rows_seen, {"task": ["a", "b"]}, {"small": Preset(1)}, [])
    before = study.trials(sources={"a": "1", "b": "1"})
    after = study.trials(sources={"a": "1", "b": "2"})
    assert before[0].key == after[0].key and before[1].key != after[1].key
