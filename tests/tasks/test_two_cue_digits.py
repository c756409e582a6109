import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import TwoCueDigits
from farfield.tasks.two_cue_digits import CUES, PIXELS, load, set_cue

digits = pytest.mark.needs_data("mnist-10k")


def agreement(table, cue):
    return float((table.columns["x"][:, CUES[cue]].argmax(1) == table.columns["y"]).float().mean())


@digits
@pytest.mark.parametrize("p", [0.9, 0.5, 0.0])
def test_a_cue_equals_the_label_as_often_as_it_should_and_only_where_it_should(p):
    data = TwoCueDigits(rows=1500, pretrain_cue=p, finetune_cue=p, seed=1)
    wanted = p + (1 - p) / 10
    informative = {"pretraining": (data.pretraining,), "fine-tuning": (data.train, data.val, data.tests["iid"])}
    everything = (data.pretraining, data.train, data.val, *data.tests.values())
    for cue in CUES:
        for table in everything:
            here = any(table is t for t in informative[cue])
            n = len(table)
            expected = wanted if here else 0.1
            assert abs(agreement(table, cue) - expected) < 4 * (0.25 / n) ** 0.5
            block = table.columns["x"][:, CUES[cue]]
            assert torch.equal(block.sum(1), torch.ones(n)) and set(block.unique().tolist()) == {0.0, 1.0}


@digits
def test_pretraining_lacks_three_digits_and_shares_no_row_with_the_rest():
    data = TwoCueDigits(rows=1500, noise=0.0)
    assert data.pretraining.columns["y"].unique().tolist() == list(range(7))
    assert len(data.train.columns["y"].unique()) == 10
    pixels = [t.columns["x"][:, :PIXELS] for t in (data.pretraining, data.train, data.val, data.tests["iid"])]
    rows = [{r.numpy().tobytes() for r in part} for part in pixels]
    assert len(set.union(*rows)) == sum(map(len, rows))
    assert [len(p) for p in pixels[1:]] == [1500, 500, 3000]


@digits
def test_the_far_test_is_the_near_one_but_for_one_cue():
    tests = TwoCueDigits().tests
    near, far = tests["iid"].columns, tests["cue at random"].columns
    same = torch.ones(216, dtype=torch.bool)
    same[CUES["fine-tuning"]] = False
    assert torch.equal(near["x"][:, same], far["x"][:, same]) and torch.equal(near["y"], far["y"])
    assert not torch.equal(near["x"], far["x"])


@digits
def test_more_rows_contain_fewer_and_leave_validation_alone():
    few, many = TwoCueDigits(rows=50, seed=2), TwoCueDigits(rows=300, seed=2)
    assert torch.equal(few.train.columns["x"][:, :PIXELS], many.train.columns["x"][:50, :PIXELS])
    assert torch.equal(few.val.columns["x"], many.val.columns["x"])
    other = TwoCueDigits(rows=50, seed=3)
    assert not torch.equal(few.train.columns["y"], other.train.columns["y"])


@digits
def test_noise_has_its_standard_deviation():
    noisy, clean = TwoCueDigits(noise=0.3).tests["iid"], TwoCueDigits(noise=0.0).tests["iid"]
    difference = (noisy.columns["x"] - clean.columns["x"])[:, :PIXELS]
    assert abs(difference.std() - 0.3) < 0.002 and abs(difference.mean()) < 0.002


@digits
def test_it_is_a_task_by_name():
    task = tasks.load("two-cue-digits?rows=30", seed=1)
    assert len(task.train) == 30 and task.far == ("cue at random",) and task.domains == ("cue agrees",)
    assert tasks.expand("two-cue-digits") == ["two-cue-digits"]
    with pytest.raises(InputError, match="rows=few"):
        tasks.load("two-cue-digits?rows=few")
    with pytest.raises(InputError, match="unknown option"):
        tasks.load("two-cue-digits?row=30")


def test_another_name_is_refused():
    with pytest.raises(InputError, match="unknown task 'two-cue-letters'"):
        load(parse("two-cue-letters"), 0)


@pytest.mark.parametrize(
    "bad",
    [{"rows": 9}, {"rows": 1501}, {"pretrain_cue": 1.1}, {"finetune_cue": -0.1}, {"digits": 1}, {"noise": -1.0}],
)
def test_arguments_out_of_range_are_refused(bad):
    with pytest.raises(InputError, match=f"{next(iter(bad))} is"):
        TwoCueDigits(**bad)


def test_setting_a_cue_changes_it_alone():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 216, generator=g)
    before = x.clone()
    drawn = set_cue(x, "pretraining", g)
    assert torch.equal(x, before)
    rest = torch.ones(216, dtype=torch.bool)
    rest[CUES["pretraining"]] = False
    assert torch.equal(drawn[:, rest], x[:, rest])
    assert (drawn[:, CUES["pretraining"]].sum(0) - 200).abs().max() < 60
    with pytest.raises(InputError, match="unknown cue 'pre'"):
        set_cue(x, "pre", g)
    with pytest.raises(InputError, match="no labels came"):
        set_cue(x, "pretraining", g, agree=0.5)
