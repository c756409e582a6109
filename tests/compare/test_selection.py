"""Model selection: what it may look at, and which moment of training it takes."""

import pytest
import torch
from torch import nn

from farfield import methods
from farfield.compare.evaluate import score
from farfield.compare.selection import SELECTIONS, _Watch, check, fit, leave_out
from farfield.compare.trial import fit_and_evaluate
from farfield.errors import InputError
from farfield.methods import Fitted, Method
from farfield.nn import Classifier
from farfield.tasks import Classes, Table, Task, Vector, column
from farfield.train import History

BUDGET = {"steps": 20, "batch_size": 32, "seed": 0}


def linear():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier(nn.Identity(), nn.Linear(64, 10))


def point(method, selection, trials=3):
    return {"model": "linear", "method": method, "steps": 20, "batch_size": 32} | {
        "selection": selection,
        "trials": trials,
        "device": "cpu",
    }


@pytest.mark.parametrize("selection", ["iid", "leave-one-domain-out"])
@pytest.mark.parametrize("method", ["erm", "coral", "swad", "weight-average"])
def test_labels_of_the_test_domains_enter_nothing(digits_task, method, selection):
    """Permuting the far labels changes no chosen hyper-parameter and no trained weight, bit for bit."""
    runs = [
        fit_and_evaluate(digits_task(permute_far_labels=permuted), point(method, selection), seed=0)
        for permuted in (False, True)
    ]
    (plain, plain_model), (permuted, permuted_model) = runs
    for what in ("chosen", "candidates", "step", "validation", "curve"):
        assert plain[what] == permuted[what], what
    weights = permuted_model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in plain_model.state_dict().items())
    assert plain["accuracy"]["iid"] == permuted["accuracy"]["iid"]
    assert plain["accuracy"]["inverted"] != permuted["accuracy"]["inverted"]


def test_oracle_does_look_at_them(digits_task):
    """The test above would catch a leak: under the oracle, which has one, it fails."""
    scores = [
        fit_and_evaluate(digits_task(permute_far_labels=permuted), point("erm", "oracle"), seed=0)[0]["validation"]
        for permuted in (False, True)
    ]
    assert scores[0] != scores[1]


def scripted(accuracies):
    """A method that does not train: at each step it makes the model right on the first rows of a split of ten."""

    def fit(model, task, *, steps, batch_size, seed, hooks):
        for step in range(1, steps + 1):
            with torch.no_grad():
                model.bias.fill_(accuracies[step - 1])
            for hook in hooks:
                hook(step, model, 0.0)
        return Fitted(model, History([0.0] * steps, 0.0))

    return Method("scripted", fit, "", "")


class RightUpTo(nn.Module):
    """Is right on the rows whose number is below its bias."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        right = (x[:, 0] < self.bias).float()
        return torch.stack([right, 1 - right], 1)


def counting_task(domains=1):
    rows = Table(
        x=torch.arange(10.0)[:, None],
        y=torch.zeros(10, dtype=torch.long),
        domain=torch.arange(10) % domains,
    )
    names = tuple("abc"[:domains])
    return Task("counting", rows, rows, {"iid": rows, "far": rows}, Vector(1), Classes(2), names)


def test_iid_takes_the_best_checkpoint_and_its_weights():
    accuracies = [1, 3, 7, 2, 9, 4, 9, 1, 0, 5]
    found = fit(RightUpTo, counting_task(), scripted(accuracies), {}, selection="iid", steps=10, batch_size=4, seed=0)
    assert found.step == 5  # the first of two equals
    assert found.score == pytest.approx(0.9)
    assert found.model.bias.item() == 9
    assert found.curve["validation"] == pytest.approx([a / 10 for a in accuracies])


def test_oracle_takes_the_last_step():
    found = fit(
        RightUpTo, counting_task(), scripted([9, 9, 9, 2]), {}, selection="oracle", steps=4, batch_size=4, seed=0
    )
    assert (found.step, found.score, found.model.bias.item()) == (4, pytest.approx(0.2), 2)


def test_leave_one_domain_out_takes_the_step_that_is_best_on_average():
    task = counting_task(domains=2)  # domain a holds the even numbers, b the odd ones
    found = fit(
        RightUpTo, task, scripted([1, 8, 5, 2]), {}, selection="leave-one-domain-out", steps=4, batch_size=4, seed=0
    )
    assert (found.step, found.score, found.model.bias.item()) == (2, pytest.approx(0.8), 8)


def test_a_method_that_averages_its_own_weights_is_left_alone(digits_task):
    task = digits_task()
    found = fit(linear, task, methods.load("swad"), {}, selection="iid", **BUDGET)
    alone = methods.load("swad")(linear(), task, **BUDGET)
    assert all(torch.equal(a, b) for a, b in zip(found.model.state_dict().values(), alone.model.state_dict().values()))
    assert found.score == score(alone.model, task.val).accuracy


def test_leave_out_keeps_the_domain_out_of_training_and_validation(digits_task):
    task = digits_task()
    inner, left_out = leave_out(task, 1)
    rows = {name: len(split) for name, split in (("train", inner.train), ("val", inner.val), ("out", left_out))}
    counts = {n: int((column(s, "domain") == 1).sum()) for n, s in (("train", task.train), ("val", task.val))}
    assert rows == {
        "train": len(task.train) - counts["train"],
        "val": len(task.val) - counts["val"],
        "out": counts["train"] + counts["val"],
    }
    assert inner.domains == ("brightness 1.0", "brightness 0.6")
    assert column(inner.train, "domain").unique().tolist() == [0, 1]
    assert "inverted" not in inner.tests
    # Brightness 0.8 never exceeds 0.8, 1.0 does: the rows that were left out are the right ones.
    assert left_out[slice(None)]["x"].max() == pytest.approx(0.8)


def test_watch_looks_ten_times_and_at_the_end():
    watch = _Watch(counting_task().val, 35)
    assert len(watch.at) == 10 and watch.at[-1] == 35 and watch.at == sorted(watch.at)
    assert _Watch(counting_task().val, 3).at == [1, 2, 3]


def test_what_a_task_cannot_serve_is_refused():
    with pytest.raises(InputError, match="unknown model selection 'idd'; nearest: iid"):
        check("idd", counting_task(), methods.load("erm"))
    with pytest.raises(InputError, match="needs at least 2 training domains for erm"):
        check("leave-one-domain-out", counting_task(), methods.load("erm"))
    with pytest.raises(InputError, match="needs at least 3 training domains for coral"):
        check("leave-one-domain-out", counting_task(domains=2), methods.load("coral"))
    for selection in SELECTIONS:
        check(selection, counting_task(domains=3), methods.load("coral"))
