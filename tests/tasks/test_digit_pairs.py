import pytest
import torch

from farfield.errors import InputError
from farfield.tasks import digit_pairs
from farfield.tasks.sources import load_source


@pytest.mark.needs_data("mnist-10k")
def test_no_image_is_in_both_parts_and_classes_are_pairs():
    train, test = digit_pairs(3000, 1000, seed=1, size=28)
    assert train.columns["x"].shape == (3000, 1, 28, 56) and test.columns["x"].shape == (1000, 1, 28, 56)

    def halves(table):
        return torch.cat(table.columns["x"].split(28, dim=3)).flatten(1)

    source = load_source("mnist")
    digit = {image.numpy().tobytes(): y for image, y in zip(source.images.float() / 255, source.labels)}
    a, b = ({row.numpy().tobytes() for row in halves(t)} for t in (train, test))
    assert not a & b and a | b <= set(digit)
    # The class is the left digit's and the right digit's.
    for image, y in zip(train.columns["x"][:200], train.columns["y"][:200].tolist()):
        left, right = (digit[half.contiguous().numpy().tobytes()] for half in image.split(28, dim=2))
        assert y == 10 * left + right
    assert not torch.equal(train.columns["y"], digit_pairs(3000, 10, seed=2)[0].columns["y"])


@pytest.mark.needs_data("mnist-10k")
def test_only_the_wanted_digits_occur():
    train, test = digit_pairs(500, 500, digits=range(5))
    for table in (train, test):
        y = table.columns["y"]
        assert table.columns["x"].shape[1:] == (1, 14, 28) and int((y // 10).max()) == int((y % 10).max()) == 4
        assert len(y.unique()) == 25


@pytest.mark.parametrize("arguments", [{"digits": [1, 1]}, {"digits": []}, {"train": 0}, {"test": 0}, {"size": 29}])
def test_what_cannot_be_is_refused(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        digit_pairs(**arguments)
