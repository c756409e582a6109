"""Tasks by name with wrong labels and rare classes."""

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import long_tail_counts, noise_matrix
from farfield.tasks.task import column


def test_training_and_validation_are_spoilt_and_no_test_is():
    clean, spoilt = tasks.load("digits/rotation"), tasks.load("digits/rotation?noise=0.4&noise_kind=asymmetric")
    assert spoilt.tests.keys() == clean.tests.keys()
    for name in clean.tests:
        assert torch.equal(column(spoilt.tests[name], "y"), column(clean.tests[name], "y"))
    for split in ("train", "val"):
        before, after = column(getattr(clean, split), "y"), column(getattr(spoilt, split), "y")
        wrong = before != after
        assert torch.equal(after[wrong], (before[wrong] + 1) % 10)
        assert 0.3 < wrong.float().mean() < 0.5
        assert torch.equal(column(getattr(clean, split), "x"), column(getattr(spoilt, split), "x"))
    assert spoilt.name == "digits/rotation?noise=0.4&noise_kind=asymmetric" and spoilt.fingerprint != clean.fingerprint
    assert any("40% of the labels of the split 'train'" in n or "% of the labels" in n for n in spoilt.notes)


def test_validation_can_stay_right():
    clean, spoilt = tasks.load("digits/noise"), tasks.load("digits/noise?imbalance=10&spoil=train")
    assert torch.equal(column(clean.val, "y"), column(spoilt.val, "y"))
    sizes = torch.bincount(column(spoilt.train, "y"))
    assert torch.equal(sizes.sort(descending=True).values, long_tail_counts(10, 10, int(sizes.max())))


def test_the_same_classes_are_rare_in_both_splits_and_noise_follows_the_tail():
    task = tasks.load("digits/rotation?imbalance=5", seed=2)
    train, val = (torch.bincount(column(s, "y")) for s in (task.train, task.val))
    assert torch.equal(train.argsort(descending=True)[[0, -1]], val.argsort(descending=True)[[0, -1]])
    noisy = tasks.load("digits/rotation?imbalance=5&noise=0.5&noise_kind=lt-asymmetric", seed=2)
    expected = train.double() @ noise_matrix(0.5, "lt-asymmetric", counts=train)
    found = torch.bincount(column(noisy.train, "y"), minlength=10).double()
    assert (found - expected).abs().max() < 4 * expected.max().sqrt()


def test_the_options_go_with_every_task_that_a_name_stands_for():
    assert tasks.expand("digits?noise=0.2")[0] == "digits/rotation?noise=0.2"
    assert tasks.load(tasks.expand("digits?noise=0.2")[1]).domains == tasks.load("digits/noise").domains


def test_a_users_table_takes_them_too(tmp_path):
    lines = ["x,z,site,y", *(f"{i * i % 31},{i % 7},{'ab'[i % 2]},{'np'[i // 2 % 2]}" for i in range(200))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    name = f"csv:{tmp_path}/t.csv?target=y&domain=site&noise=0.3&imbalance=3"
    (first, *_) = tasks.expand(name)
    assert "noise=0.3" in first and "test=" in first
    sizes = torch.bincount(column(tasks.load(first.replace("noise=0.3", "noise=0")).train, "y"))
    assert sizes.min() == sizes.max() // 3


@pytest.mark.parametrize(
    "options, sentence",
    [
        ("noise=1.5", "the option noise of digits/rotation.* is '1.5'; it must be a number from 0 to 1"),
        ("noise=much", "is 'much'; it must be a number"),
        ("imbalance=0.1", "it must be a number from 1"),
        ("noise=0.1&noise_kind=assymmetric", "nearest: asymmetric"),
        ("noise=0.1&spoil=val", "it must be all or train"),
        ("imbalance=5000", "the split 'train' of .*: n_max is"),
        ("nosie=0.1", "unknown option of"),
    ],
)
def test_what_cannot_be_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        tasks.load(f"digits/rotation?{options}")
