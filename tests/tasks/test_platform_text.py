import numpy as np
import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import PlatformText
from farfield.tasks.task import column


def kinds(data):
    """Return for each token what it is."""
    names = np.array([w.rstrip("0123456789") if "x" not in w else w.partition("x")[0] for w in data.words])
    return names[data.tokens]


def test_every_post_has_words_of_its_own_target_and_platform_alone():
    data = PlatformText(300, seed=1)
    what = kinds(data)
    for i in range(0, len(data), 17):
        found = dict(zip(*np.unique(what[i], return_counts=True)))
        assert found[f"target{data.target[i]}"] == 2 and found[f"slang{data.platform[i]}"] == 3
        assert set(found) <= {f"target{data.target[i]}", f"slang{data.platform[i]}", "hate", "word"}
        assert sum(found.values()) == 20 and found.get("hate", 0) <= 2


def test_hate_words_say_the_same_on_every_platform():
    data = PlatformText(5000, clarity=0.6, noise=0.2)
    count = (kinds(data) == "hate").sum(1)
    for q in range(4):
        for label, share in ((1, 0.6), (0, 0.2)):
            mine = count[(data.platform == q) & (data.y == label)]
            assert mine.mean() / 2 == pytest.approx(share, abs=0.03)


def test_what_a_target_says_of_hate_is_kept_dropped_and_reversed():
    data = PlatformText(8000, p=0.9)
    for q, (first, rest) in enumerate([(0.9, 0.1), (0.5, 0.5), (0.3, 0.7), (0.1, 0.9)]):
        mine, side = data.platform == q, data.target < 3
        assert data.y[mine & side].mean() == pytest.approx(first, abs=0.04)
        assert data.y[mine & ~side].mean() == pytest.approx(rest, abs=0.04)


def test_platforms_differ_in_what_they_talk_about():
    data = PlatformText(5000)
    shares = np.array([np.bincount(data.target[data.platform == q], minlength=7) / 5000 for q in range(4)])
    assert shares.min() > 0.5 / 7 - 0.02 and np.abs(shares[0] - shares[1:]).sum(1).min() > 0.1


def test_texts_seed_and_cues():
    data, again, other = PlatformText(50, seed=3), PlatformText(50, seed=3), PlatformText(50, seed=4)
    assert np.array_equal(data.tokens, again.tokens) and not np.array_equal(data.tokens, other.tokens)
    assert data.texts(np.array([7]))[0].split() == [data.words[t] for t in data.tokens[7]]
    first, second = (set(words) for words in data.cues.values())
    hate = {w for w in data.words if w.startswith("hate")}
    assert not first & second and hate < first | second and len(first & hate) == len(second & hate) == 3


def test_the_task_trains_on_the_first_platform():
    task = tasks.load("platform-text?n=500", seed=2)
    assert task.far == ("platform 1", "platform 2", "platform 3") and len(task.domains) == 7
    for name, split in {"train": task.train, "iid": task.tests["iid"], **dict(task.tests)}.items():
        q = name[-1] if name.startswith("platform") else "0"
        assert all(f"slang{q}x" in x for x in split.columns["x"])
        assert column(split, "domain").max() <= 6
    assert len(task.train) + len(task.val) + len(task.tests["iid"]) == 500
    assert task.fingerprint != tasks.load("platform-text?n=500", seed=3).fingerprint
    assert torch.equal(column(task.train, "y"), column(tasks.load("platform-text?n=500", seed=2).train, "y"))


@pytest.mark.parametrize(
    "bad", [{"n": 0}, {"platforms": 1}, {"targets": 1}, {"length": 7}, {"p": 1.1}, {"clarity": -0.1}, {"noise": 2}]
)
def test_bad_settings_are_named(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        PlatformText(**{"n": 10, **bad})


def test_bad_names_are_named():
    for name, says in (("platform-text?n=5", "at least 100"), ("platform-text/b", "unknown task")):
        with pytest.raises(InputError, match=says):
            tasks.load(name)
