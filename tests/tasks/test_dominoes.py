import pytest
import torch

from farfield.errors import InputError
from farfield.tasks import Dominoes
from farfield.tasks.sources import load_source


def pictures(counts, channels=1, side=4, seed=0):
    """Pictures of distinct grey levels, so that each can be recognised in a half."""
    labels = torch.cat([torch.full((c,), i) for i, c in enumerate(counts)])
    level = torch.arange(1, len(labels) + 1) / (len(labels) + 1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return level[order].reshape(-1, 1, 1, 1).expand(-1, channels, side, side), labels[order]


def test_halves_are_whole_pictures_of_the_matching_classes_each_used_once():
    top, bottom = pictures((5, 7, 6)), pictures((9, 3, 8), seed=1)
    data = Dominoes(top, bottom, (0, 2), (2, 1), seed=3)
    # As many pairs as the smaller set has: of 5 and 8, and of 6 and 3.
    assert data.x.shape == (8, 1, 8, 4) and data.y.bincount().tolist() == [5, 3]
    for half, (images, labels), classes in ((data.x[:, :, :4], top, (0, 2)), (data.x[:, :, 4:], bottom, (2, 1))):
        level = half.amax((1, 2, 3))
        assert torch.equal(level, half.amin((1, 2, 3))) and len(level.unique()) == 8
        source = (images[:, 0, 0, 0][None] == level[:, None]).int().argmax(1)
        assert torch.equal(labels[source], torch.tensor(classes)[data.y])


def test_smaller_and_grey_halves_are_padded_and_repeated():
    data = Dominoes(pictures((3, 3)), pictures((3, 3), channels=3, side=8), (0, 1), (0, 1))
    assert data.x.shape == (6, 3, 16, 8)
    top = data.x[:, :, :8]
    assert (top[:, :, 2:6, 2:6] > 0).all() and top.gt(0).sum() == 6 * 3 * 16
    assert torch.equal(top[:, 0], top[:, 2])


def test_groups_are_the_places_of_the_halves():
    data = Dominoes(pictures((3, 3), channels=3), pictures((3, 3), channels=3), (0, 1), (0, 1))
    groups, flat = data.groups(), data.x.flatten(1)
    assert torch.equal(flat[:, groups["top"]].reshape(6, 3, 4, 4), data.x[:, :, :4])
    assert torch.equal(flat[:, groups["bottom"]].reshape(6, 3, 4, 4), data.x[:, :, 4:])
    assert len(data.table()) == 6


def test_the_seed_decides_the_pairs():
    a, b, c = (Dominoes(pictures((9, 9)), pictures((9, 9)), (0, 1), (0, 1), seed=s) for s in (0, 0, 1))
    assert torch.equal(a.x, b.x) and not torch.equal(a.x, c.x)


@pytest.mark.needs_data("mnist-10k")
def test_digits_over_digits():
    data = Dominoes("mnist", "mnist", (0, 1), (4, 9), size=14, seed=1)
    assert data.x.shape[1:] == (1, 28, 14) and 1900 < len(data) < 2000 and 0 <= data.x.min() <= data.x.max() <= 1
    source = load_source("mnist")
    counts = torch.as_tensor(source.labels).bincount()
    assert data.y.bincount().tolist() == [min(counts[0], counts[4]), min(counts[1], counts[9])]
    # A one has less ink than a zero.
    ink = data.x[:, :, :14].sum((1, 2, 3))
    assert ink[data.y == 1].median() < 0.6 * ink[data.y == 0].median()
    with pytest.raises(InputError, match="top is mnist, which has no published test split"):
        Dominoes("mnist", "mnist", (0, 1), (4, 9), official="test")


@pytest.mark.needs_data("cifar10-jpeg")
@pytest.mark.needs_data("mnist-10k")
def test_digits_over_cars_and_trucks():
    data = Dominoes("mnist", "cifar10", (0, 1), (1, 9), seed=0)
    assert data.x.shape == (int(data.y.bincount().sum()), 3, 64, 32) and data.y.bincount().tolist() == [980, 1135]
    # The digit has a black border of two pixels and three equal channels.
    top = data.x[:, :, :32]
    assert not top[:, :, :2].any() and torch.equal(top[:, 0], top[:, 1]) and top.amax() == 1


def test_bad_arguments_are_refused():
    good = pictures((3, 3))
    for arguments, options, match in (
        ((good, good, (0, 1), (0,)), {}, "as many of each"),
        ((good, good, (0,), (0,)), {}, "at least two"),
        ((good, good, (0, 1), (0, 5)), {}, "bottom has no picture of class 5"),
        (((good[0][:, 0], good[1]), good, (0, 1), (0, 1)), {}, "top has images of shape"),
        (((2 * good[0], good[1]), good, (0, 1), (0, 1)), {}, "top has values from .* expected uint8"),
        ((pictures((3, 3), channels=2), pictures((3, 3), channels=3), (0, 1), (0, 1)), {}, "top has 2 channels"),
        ((good, good, (0, 1), (0, 1)), {"size": 5}, "size is 5"),
        ((good, good, (0, 1), (0, 1)), {"official": "val"}, "official is 'val'"),
        (("mnits", good, (0, 1), (0, 1)), {}, "unknown image data set 'mnits'"),
    ):
        with pytest.raises(InputError, match=match):
            Dominoes(*arguments, **options)
