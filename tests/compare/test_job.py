"""Planning refuses what cannot run; a comparison writes what it found and goes on where it stopped."""

import json
import sys
import textwrap

import pandas as pd
import pytest

from farfield.compare import compare, plan
from farfield.compare.job import default_steps
from farfield.errors import InputError

SMALL = {"methods": ["erm", "coral"], "model": "linear", "seeds": 2, "steps": 20, "workers": 1}


def test_results_agree_wherever_they_are_written(tmp_path):
    found = compare("digits/rotation", out=tmp_path, **SMALL)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results == json.loads(json.dumps(found.results))
    board = pd.read_csv(tmp_path / "results.csv")
    assert board["far"].tolist() == pytest.approx([row["far"]["mean"] for row in results["leaderboard"]])
    trials = pd.read_csv(tmp_path / "trials.csv")
    far = trials[(trials["method"] == "coral") & (trials["test"] != "iid")].groupby("seed")["accuracy"].mean()
    row = board.set_index("method").loc["coral"]
    assert row["far"] == pytest.approx(far.mean())
    assert (tmp_path / "report.html").stat().st_size > 10_000
    # Seeds decide the split, and all methods of a seed share it.
    assert len(trials) == 2 * 2 * 4
    # The leaderboard's difference is the effect of the study's claim, judged from the trials' own records.
    (claim,) = results["claims"]
    coral = next(row for row in results["leaderboard"] if row["method"] == "coral")
    assert claim["text"].startswith("coral holds up better than erm")
    assert (claim["effect"], *claim["interval"]) == pytest.approx(tuple(coral["difference"].values()))


def test_the_same_call_is_not_run_again_and_more_seeds_only_add(tmp_path):
    first = compare("digits/rotation", out=tmp_path, **SMALL)
    outcomes = []
    more = compare(
        "digits/rotation", out=tmp_path, **{**SMALL, "seeds": 3}, watch=lambda plan, outcome: outcomes.append(outcome)
    )
    assert sorted(o.kept for o in outcomes) == [False] * 2 + [True] * 4
    kept = [t for t in more.results["trials"] if t["seed"] < 2]
    assert [t["accuracy"] for t in kept] == [t["accuracy"] for t in first.results["trials"]]


def test_one_process_and_two_give_the_same_numbers(tmp_path):
    here = compare("digits/noise", out=tmp_path / "a", **SMALL)
    there = compare("digits/noise", out=tmp_path / "b", **{**SMALL, "workers": 2})
    assert [t["accuracy"] for t in here.results["trials"]] == [t["accuracy"] for t in there.results["trials"]]


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """A module as a user writes it, with a method whose loss is not finite and one that raises."""
    (tmp_path / "my_methods.py").write_text(
        textwrap.dedent(
            '''
            import torch
            from farfield.methods import Fitted
            from farfield.methods.method import cross_entropy, minimise

            def explode(model, task, *, steps, batch_size=64, seed=0, hooks=(), learning_rate=None, weight_decay=0.0):
                """Divides by zero in the loss."""
                loss = lambda model, batch: cross_entropy(model, batch) / torch.zeros(())
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)
            '''
        )
    )
    monkeypatch.chdir(tmp_path)
    yield "my_methods:explode"
    sys.modules.pop("my_methods", None)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_loss_that_is_not_finite_fails_that_trial_only(tmp_path, user_module, workers):
    found = compare("digits/rotation", out=tmp_path, **{**SMALL, "methods": ["erm", user_module], "workers": workers})
    board = {row["method"]: row for row in found.results["leaderboard"]}
    assert board[user_module]["trials_failed"] == 2 and board[user_module]["far"] is None
    assert board["erm"]["trials_done"] == 2
    errors = {t["error"] for t in found.results["trials"] if t["method"] == user_module}
    assert all("the loss is inf at step 1" in e or "the loss is nan at step 1" in e for e in errors)
    assert "at step 1" in (tmp_path / "report.html").read_text()


def test_the_baseline_is_always_there():
    assert plan("digits/rotation", methods=["sam"], model="linear").methods == ("erm", "sam")


def test_methods_that_need_domains_leave_all_and_are_refused_by_name(monkeypatch):
    """A task with one training domain has nothing to compare for them."""
    made = plan("digits/rotation?train=0", methods="all", model="linear", seeds=1)
    assert "coral" not in made.methods and "sam" in made.methods
    assert any(note.startswith("coral compares training domains") for note in made.notes)
    with pytest.raises(InputError, match="coral compares training domains"):
        plan("digits/rotation?train=0", methods=["coral"], model="linear")


def test_methods_for_other_inputs_leave_all_and_are_refused_by_name(tmp_path):
    rows = "".join(f"{(37 * i) % 90},{(7 * i) % 5},{i % 2},{'abc'[i % 3]}\n" for i in range(120))
    (tmp_path / "clinic.csv").write_text("age,dose,ill,site\n" + rows)
    name = f"csv:{tmp_path}/clinic.csv?target=ill&domain=site"
    made = plan(name, methods="all", model="linear", seeds=1)
    assert "random-fields" not in made.methods and "sam" in made.methods
    (note,) = [note for note in made.notes if note.startswith("random-fields")]
    assert "takes inputs of the kind image" in note and note.endswith("it was left out.")
    with pytest.raises(InputError, match=r"random-fields takes inputs of the kind image, and the task .* has vectors"):
        plan(name, methods=["random-fields"], model="linear")
    assert "random-fields" in plan("digits/rotation", methods="all", model="linear", seeds=1).methods


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"methods": ["samm"]}, "unknown method 'samm'; nearest: sam"),
        ({"model": "cnm"}, "unknown model 'cnm'; nearest: cnn"),
        ({"selection": "test"}, "unknown model selection 'test'"),
        ({"seeds": 0}, "seeds is 0; it must be at least 1"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"device": "cuda:99"}, "the device 'cuda:99' cannot be used here"),
        ({"device": "tpu"}, "the device 'tpu' cannot be used here"),
        ({"data": "digits"[:-1] + "z/rotation"}, "unknown"),
    ],
)
def test_bad_input_is_refused_before_any_training(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        plan(**{"data": "digits/rotation", **arguments})


def test_default_steps_are_twenty_epochs_within_bounds():
    assert default_steps(6400, 64) == 2000
    assert default_steps(10, 64) == 300
    assert default_steps(10**6, 64) == 3000


def test_a_changed_user_module_is_another_trial(user_module, tmp_path):
    def keys():
        made = plan("digits/rotation", methods=[user_module], model="linear", seeds=1)
        return {t.point["method"]: t.key for t in made.trials}

    before = keys()
    path = tmp_path / "my_methods.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert keys()[user_module] != before[user_module]
