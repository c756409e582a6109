import pytest
import torch

from farfield.errors import InputError
from farfield.measure import feature_design
from farfield.tasks.coloured_digits import ColouredDigits
from farfield.tasks.sources import load_source


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
