import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks.images import ALL, NAMES, expand, load, share_out
from farfield.tasks.shifts import SHIFTS
from farfield.tasks.sources import load_source
from farfield.tasks.task import column
from farfield.tasks.transforms import rotate

DIGITS = load_source("digits").images


def x_of(split) -> torch.Tensor:
    return column(split, "x")


def which_digits(images: torch.Tensor) -> list[int]:
    """Row numbers of these unshifted images among scikit-learn's digits, which hold no image twice."""
    rows = {image.tobytes(): i for i, image in enumerate(DIGITS.numpy())}
    return [rows[image.tobytes()] for image in images.numpy()]


def undo_contrast(x: torch.Tensor, label: str) -> torch.Tensor:
    """Images before a contrast shift, which is linear around each image's mean; digits hold multiples of 1/16."""
    factor = float(label.removeprefix("contrast "))
    mean = x.mean((2, 3), keepdim=True)
    return ((mean + (x - mean) / factor) * 16).round().abs() / 16


def by_domain(split, task):
    for d, label in enumerate(task.domains):
        rows = column(split, "domain") == d
        yield label, {"x": x_of(split)[rows], "y": column(split, "y")[rows]}


def test_every_image_lies_in_one_split_and_at_one_level():
    task = load(parse("digits/contrast"), seed=0)
    seen = []
    for split in (task.train, task.val, task.tests["iid"]):
        for label, part in by_domain(split, task):
            rows = which_digits(undo_contrast(part["x"], label))
            assert (load_source("digits").labels[rows] == part["y"].numpy()).all()
            seen += rows
    assert sorted(seen) == list(range(1797))


def test_far_tests_hold_the_near_tests_images_in_one_order():
    task = load(parse("digits/contrast"), seed=0)
    near = sorted(
        row
        for label, part in by_domain(task.tests["iid"], task)
        for row in which_digits(undo_contrast(part["x"], label))
    )
    assert task.far == ("contrast 0.4", "contrast 0.25", "contrast 0.15")
    orders = [which_digits(undo_contrast(x_of(task.tests[label]), label)) for label in task.far]
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == near


def test_an_image_has_the_same_draws_near_and_at_every_far_level():
    task = load(parse("digits/noise?train=2"), seed=0)
    clean = x_of(task.tests["noise 0"])
    assert len(which_digits(clean)) == len(task.tests["iid"])
    fields = {
        label: (x_of(task.tests[label]) - clean) / float(label.split()[1]) for label in ("noise 0.06", "noise 0.3")
    }
    # With one training level the near test is in the order of the far tests.
    fields["iid"] = (x_of(task.tests["iid"]) - clean) / 0.12
    inside = torch.ones_like(clean, dtype=torch.bool)
    for label in ("noise 0.06", "noise 0.3", "iid"):
        inside &= (x_of(task.tests[label]) > 0) & (x_of(task.tests[label]) < 1)
    assert inside.sum() > 1000
    for field in fields.values():
        assert torch.allclose(field[inside], fields["noise 0.06"][inside], atol=1e-4)


def test_splits_do_not_share_their_draws():
    task = load(parse("digits/translation?train=5"), seed=0)
    task0 = load(parse("digits/translation?train=0"), seed=0)
    moves = []
    for split, clean in ((task.val, task0.val), (task.tests["iid"], task0.tests["iid"])):
        change = x_of(split)[:100].mean(1) - x_of(clean)[:100].mean(1)
        at = torch.arange(8.0)
        moves.append((change.sum(1) * at).sum(1))
    assert abs(float(torch.corrcoef(torch.stack(moves))[0, 1])) < 0.5


def test_training_levels_are_mild_and_rotated_as_said():
    task = load(parse("digits/rotation"), seed=3)
    assert task.domains == ("rotation 0°", "rotation 15°", "rotation 30°")
    parts = dict(by_domain(task.train, task))
    turned = {image.numpy().round(4).tobytes() for image in rotate(DIGITS, 15).clamp(0, 1)}
    found = sum(image.numpy().round(4).tobytes() in turned for image in parts["rotation 15°"]["x"])
    assert found >= 0.99 * len(parts["rotation 15°"]["x"])
    assert sum(image.numpy().round(4).tobytes() in turned for image in parts["rotation 30°"]["x"]) == 0


def test_severity_is_the_level_of_every_domain_and_far_test():
    for path in ("digits/rotation?train=0,4", "digits/scale", "digits/color"):
        task = load(parse(path), seed=0)
        assert [task.severity[label] for label in (*task.domains, *task.far)] == (
            [0, 4, 1, 2, 3, 5] if "rotation" in path else [0, 1, 2, 3, 4, 5]
        )


def test_shares_and_classes_are_balanced():
    task = load(parse("digits/rotation"), seed=1)
    sizes = [len(task.train), len(task.val), len(task.tests["iid"])]
    assert sum(sizes) == 1797
    assert np.allclose(np.array(sizes) / 1797, [0.6, 0.2, 0.2], atol=0.01)
    for split in (task.train, task.val, task.tests["iid"]):
        counts = np.zeros((3, 10))
        np.add.at(counts, (column(split, "domain").numpy(), column(split, "y").numpy()), 1)
        assert np.ptp(counts.sum(1)) <= 1
        assert np.ptp(counts, axis=0).max() <= 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 6), st.integers(0, 9))
def test_share_out_differs_by_one_in_all_and_in_each_class(labels, parts, seed):
    labels = np.array(labels)
    part = share_out(labels, parts, seed)
    assert part.min() >= 0 and part.max() < parts
    for rows in (part, *(part[labels == c] for c in np.unique(labels))):
        assert np.ptp(np.bincount(rows, minlength=parts)) <= 1
    assert np.array_equal(part, share_out(labels, parts, seed))


def test_the_seed_decides_split_and_draws_and_not_the_fingerprint():
    first, again, other = (load(parse("digits/noise"), seed) for seed in (0, 0, 1))
    for label in first.tests:
        assert torch.equal(x_of(first.tests[label]), x_of(again.tests[label]))
        assert not torch.equal(x_of(first.tests[label]), x_of(other.tests[label]))
    assert torch.equal(x_of(first.train), x_of(again.train))
    assert first.fingerprint == other.fingerprint
    fingerprints = {
        load(parse(n), 0).fingerprint for n in ("digits", "digits/noise", "digits/blur", "digits/noise?train=0")
    }
    assert len(fingerprints | {first.fingerprint}) == 4


def test_color_is_colored_mnist():
    task = load(parse("digits/color"), seed=0)
    assert task.inputs.channels == 2
    assert task.outputs.names == ("0 to 4", "5 to 9")
    assert task.domains == ("color 0.1", "color 0.2")
    assert task.far == ("color 0.3", "color 0.5", "color 0.7", "color 0.9")

    def agreement(part) -> float:
        return float((part["x"].sum((2, 3)).argmax(1) == part["y"]).float().mean())

    agreements = [agreement(part) for _, part in by_domain(task.train, task)]
    assert agreements == pytest.approx([0.9, 0.8], abs=0.05)
    far = [agreement({"x": x_of(s), "y": column(s, "y")}) for s in (task.tests[label] for label in task.far)]
    assert far == pytest.approx([0.7, 0.5, 0.3, 0.1], abs=0.1)

    # The shape gives the label away three times out of four: 5 to 9 is 1, before a quarter is flipped.
    digits = load_source("digits").labels[which_digits(x_of(task.train).sum(1, keepdim=True))]
    assert float(np.mean((digits >= 5) == column(task.train, "y").numpy())) == pytest.approx(0.75, abs=0.04)


def test_a_data_set_alone_has_one_domain_and_no_far_test():
    task = load(parse("digits"), seed=0)
    assert task.domains == ("digits",)
    assert (task.far, dict(task.severity)) == ((), {})
    parts = [which_digits(x_of(s)) for s in (task.train, task.val, task.tests["iid"])]
    assert sorted(row for part in parts for row in part) == list(range(1797))


def test_every_name_of_the_digits_loads_and_expands_to_itself():
    for path in NAMES:
        if path.startswith("digits/"):
            assert [n.path for n in expand(parse(path))] == [path]
            task = load(parse(path), seed=0)
            assert task.name == path
            assert len(task.tests) == 1 + 6 - len(task.domains)


def test_families_expand():
    usual = ["rotation", "noise", "background"]
    assert [n.path for n in expand(parse("digits"))] == [f"digits/{s}" for s in usual]
    assert [n.path for n in expand(parse("mnist/all"))] == [f"mnist/{s}" for s in SHIFTS]
    assert [n.path for n in expand(parse("cifar10"))] == [f"cifar10/{s}" for s in (*usual[:2], "blur")]
    assert {n.path for n in expand(parse("cifar10/all"))} == {f"cifar10/{s}" for s in SHIFTS} - {
        "cifar10/color",
        "cifar10/background",
    }
    assert len(expand(parse("omniglot/writers"))) == 4
    assert str(expand(parse("digits?train=0,1"))[0]) == "digits/rotation?train=0,1"
    assert set(ALL) == {"digits", "mnist", "mnist-full", "cifar10", "omniglot"}


@pytest.mark.parametrize("name", ["digits/rotaton", "cifar10/color", "digits/color/x", "mnsit", "omniglot/writer"])
def test_expand_refuses_what_load_refuses(name):
    for call in (expand, lambda n: load(n, 0)):
        with pytest.raises(InputError, match=r"unknown task|does not take"):
            call(parse(name))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digits/rotaton", "unknown task 'digits/rotaton'; nearest: digits/rotation"),
        ("cifar10/color", "cifar10 does not take the shift color: its images are photographs"),
        ("digits/all", "stands for several tasks; load one of digits/rotation, "),
        ("digits/rotation?trian=0", "unknown option of builtin:digits/rotation 'trian'; nearest: train"),
        ("digits?train=0", "unknown option"),
        ("digits/rotation?train=0,6", "is '0,6'; it must be different levels out of"),
        ("digits/rotation?train=0,0", "is '0,0'"),
        ("digits/rotation?train=0,1,2,3,4,5", "leave one to test on"),
        ("digits/rotation?train=", "is ''"),
        ("digits/rotation?rows=many", "is 'many'; it must be a number of images"),
        ("digits/rotation?rows=-5", "is '-5'"),
        ("digits/rotation?rows=5", "rows is 5; digits takes from 100"),
    ],
)
def test_bad_input_is_named(name, says):
    with pytest.raises(InputError, match=says):
        load(parse(name), seed=0)


@pytest.mark.needs_data("mnist-10k")
def test_bytes_stay_bytes_and_are_rounded_to_the_nearest():
    task = load(parse("mnist/contrast?rows=600&train=0"), seed=0)
    clean, shifted = x_of(task.tests["iid"]), x_of(task.tests["contrast 0.4"])
    assert shifted.dtype == torch.uint8
    expected = SHIFTS["contrast"].apply(clean.float() / 255, 3) * 255
    assert (shifted.float() - expected).abs().max() <= 0.5 + 1e-3
    assert any("CC BY-SA" in note for note in task.notes)
    batch = task.train[torch.arange(2)]["x"]
    assert (batch.dtype, float(batch.max())) == (torch.float32, pytest.approx(1, abs=0.02))


@pytest.mark.needs_data("mnist-10k")
def test_draws_do_not_repeat_from_chunk_to_chunk(monkeypatch):
    from farfield.tasks import images

    monkeypatch.setattr(images, "CHUNK", 60)
    task = load(parse("mnist/noise?rows=600&train=0"), seed=0)
    change = x_of(task.tests["noise 0.4"]).float() - x_of(task.tests["iid"]).float()
    assert len(change) == 120
    first, second = change[:60].flatten(), change[60:].flatten()
    # Strokes alone, where noise can only darken, correlate a little; the same noise twice correlates above 0.5.
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.2


@pytest.mark.needs_data("cifar10-jpeg")
def test_an_official_test_set_is_the_near_test():
    task = load(parse("cifar10/noise?rows=1500"), seed=0)
    assert (len(task.tests["iid"]), len(task.train), len(task.val)) == (500, 800, 200)
    assert task.inputs.channels == 3
    official = {
        i.tobytes() for i in load_source("cifar10", 1500).images[load_source("cifar10", 1500).official_test].numpy()
    }
    clean = load(parse("cifar10/noise?rows=1500&train=0"), seed=0)
    assert {i.tobytes() for i in x_of(clean.tests["iid"]).numpy()} == official
    assert not {i.tobytes() for i in x_of(clean.train).numpy()} & official
    assert "lossy" in task.notes[0]


@pytest.mark.parametrize("shift", [s for s in SHIFTS if s != "color"])
def test_a_linear_classifier_is_worse_far_away(shift):
    from sklearn.linear_model import LogisticRegression

    task = load(parse(f"digits/{shift}"), seed=0)
    model = LogisticRegression(C=0.1, max_iter=200).fit(x_of(task.train).flatten(1), column(task.train, "y"))
    accuracy = [model.score(x_of(s).flatten(1), column(s, "y")) for s in task.tests.values()]
    assert accuracy[0] > 0.8
    assert accuracy[-1] < accuracy[0] - 0.03
    assert accuracy[1] >= accuracy[2] >= accuracy[3]
