import pytest
import torch

from farfield.errors import InputError
from farfield.measure import feature_design
from farfield.tasks.coloured_digits import ColouredDigits, coloured_environments
from farfield.tasks.sources import area_average, load_source


@pytest.mark.needs_data("mnist-10k")
def test_colours_are_independent_of_the_digits_and_splits_disjoint():
    train, test = ColouredDigits("train", seed=1), ColouredDigits("test", seed=1)
    assert (len(train), len(test)) == (8000, 2000) and train.x.shape[1:] == (3, 28, 28)
    found = feature_design(test.features())
    assert found.association["colour", "parity"] < 0.005 and found.balance["colour"] > 0.9999
    # A green digit has no more red and blue than 0.15 of its ink.
    green = test.y[:, 0] == 1
    ink = test.x.amax(1)
    assert torch.allclose(test.x[green][:, 1], ink[green]) and torch.allclose(test.x[green][:, 0], 0.15 * ink[green])
    assert torch.allclose(test.x[~green][:, 0], ink[~green])
    # Together they are MNIST's images, each once.
    whole = load_source("mnist").images.double().sum((1, 2, 3)).sort().values
    both = 255 * torch.cat([train.x, test.x]).amax(1).double().sum((1, 2)).sort().values
    assert torch.allclose(whole, both, rtol=1e-5)
    assert not torch.equal(test.x, ColouredDigits("test", seed=2).x)


@pytest.mark.needs_data("mnist-10k")
def test_smaller_digits_hold_the_same_ink():
    large, small = ColouredDigits("test"), ColouredDigits("test", 14)
    assert small.x.shape[1:] == (3, 14, 14) and torch.equal(small.y, large.y)
    assert torch.allclose(small.x.mean((2, 3)), large.x.mean((2, 3)), atol=1e-5)


def test_another_split_is_refused():
    with pytest.raises(InputError, match="split is 'val'; it must be 'train' or 'test'"):
        ColouredDigits("val")
    with pytest.raises(InputError, match="size is 29"):
        ColouredDigits("test", 29)


def test_environments_flip_labels_and_colours_as_often_as_asked():
    tables = coloured_environments((0.1, 0.9), flip_label=0.25, source="digits", size=4, seed=0)
    digits = load_source("digits")
    reduced = area_average(digits.images, 4, 4)
    homes = []
    for table, flip in zip(tables, (0.1, 0.9)):
        x, y = table.columns["x"], table.columns["y"]
        # One channel holds the digit, the other nothing.
        assert ((x.sum((2, 3)) > 0).sum(1) == 1).all()
        colour = x.sum((2, 3)).argmax(1)
        assert float((colour != y).double().mean()) == pytest.approx(flip, abs=0.04)
        image = x.sum(1)
        distances = torch.cdist(image.flatten(1), reduced.flatten(1))
        home = distances.argmin(1)
        assert float(distances.min(1).values.max()) < 1e-4
        half = torch.from_numpy(digits.labels)[home] >= 5
        assert float((half.long() != y).double().mean()) == pytest.approx(0.25, abs=0.05)
        homes.append(set(home.tolist()))
    assert not homes[0] & homes[1] and len(tables[0]) == 1797 // 2
    assert [t.columns["domain"].unique().tolist() for t in tables] == [[0], [1]]


def test_environments_are_decided_by_the_seed():
    a, b, c = (
        coloured_environments((0.1,), source="digits", size=8, rows=50, seed=s)[0].columns["x"] for s in (0, 0, 1)
    )
    assert torch.equal(a, b) and not torch.equal(a, c) and a.shape == (50, 2, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colour_flips": (0.1, 1.2)}, "colour_flips is"),
        ({"colour_flips": ()}, "colour_flips is"),
        ({"flip_label": -0.1}, "flip_label is"),
        ({"source": "omniglot"}, "source is 'omniglot'"),
        ({"rows": 2000}, "rows is 2000; digits has 898 for each of 2"),
        ({"size": 9}, "size is 9; images of digits have sides of 8"),
    ],
)
def test_environments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        coloured_environments(**{"source": "digits", "size": 8, **arguments})
