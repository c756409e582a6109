import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks import images
from farfield.tasks.omniglot import NAMES, WRITERS, expand, load
from farfield.tasks.sources import drawings
from farfield.tasks.task import column

real = pytest.mark.needs_data("omniglot-small")


def rows_of(split) -> np.ndarray:
    """Row numbers among all drawings, which hold no image twice."""
    rows = {image.tobytes(): i for i, image in enumerate(drawings().images)}
    return np.array([rows[image.tobytes()] for image in column(split, "x").numpy()])


def all_rows(task) -> dict[str, np.ndarray]:
    return {k: rows_of(s) for k, s in {"train": task.train, "val": task.val, **task.tests}.items()}


@real
@pytest.mark.parametrize("test", WRITERS)
def test_no_drawing_of_the_left_out_writers_is_trained_on(test):
    task = load(parse(f"omniglot/writers?test={test}"), seed=0)
    first, last = map(int, test.split("-"))
    rows, d = all_rows(task), drawings()
    for label, part in rows.items():
        left_out = (d.drawing[part] >= first) & (d.drawing[part] <= last)
        assert left_out.all() if label == f"writers {test}" else not left_out.any()
    assert sorted(np.concatenate(list(rows.values()))) == list(range(4840))
    assert len(rows[f"writers {test}"]) == 242 * 5
    assert (np.bincount(column(task.train, "y"), minlength=242) > 0).all()
    # The domain column names the group that drew it.
    for split, part in ((task.train, rows["train"]), (task.tests["iid"], rows["iid"])):
        names = [task.domains[i] for i in column(split, "domain")]
        assert names == [f"writers {WRITERS[(k - 1) // 5]}" for k in d.drawing[part]]
        assert np.array_equal(column(split, "y"), d.character[part])


@real
def test_unseen_characters_are_a_quarter_of_each_alphabet_and_never_trained_on():
    task = load(parse("omniglot/characters"), seed=0)
    rows, d = all_rows(task), drawings()
    unseen = set(d.character[rows["unseen characters"]])
    for label in ("train", "val", "iid"):
        assert not unseen & set(d.character[rows[label]])
    assert sorted(np.concatenate(list(rows.values()))) == list(range(4840))
    for alphabet in range(8):
        members = set(d.character[d.alphabet == alphabet])
        assert len(unseen & members) == round(len(members) / 4)
    assert task.outputs.names == d.alphabets
    assert np.array_equal(column(task.train, "y"), d.alphabet[rows["train"]])


@real
def test_the_seed_decides_the_unseen_characters():
    first, again, other = (load(parse("omniglot/characters"), seed).tests["unseen characters"] for seed in (0, 0, 1))
    assert torch.equal(column(first, "x"), column(again, "x"))
    assert first.columns["x"].shape != other.columns["x"].shape or not torch.equal(
        column(first, "x"), column(other, "x")
    )


@real
def test_the_image_shifts_apply_to_characters():
    task = images.load(parse("omniglot/rotation?train=0"), seed=0)
    assert task.outputs.count == 242
    rows = all_rows(images.load(parse("omniglot"), seed=0))
    assert sorted(np.concatenate(list(rows.values()))) == list(range(4840))
    assert {k: len(s) for k, s in task.tests.items()} == dict.fromkeys(task.tests, len(rows["iid"]))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("omniglot/writers", r"several tasks; load one of omniglot/writers\?test=1-5, "),
        ("omniglot/writers?test=1-6", "unknown group of writers '1-6'; nearest: 1-5"),
        ("omniglot/writers?left=1-5", "unknown option"),
        ("omniglot/characters?test=1-5", "unknown option"),
        ("omniglot/charcters", "unknown task 'omniglot/charcters'; nearest: omniglot/characters"),
    ],
)
def test_bad_input_is_named(name, says):
    with pytest.raises(InputError, match=says):
        load(parse(name), seed=0)


def test_every_name_expands_to_itself():
    assert [str(n) for path in NAMES for n in expand(parse(path))] == list(NAMES)
    assert [str(n) for path in NAMES for n in images.expand(parse(path))] == list(NAMES)
