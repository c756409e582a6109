import pytest
import torch

from farfield.augment import RandomShift
from farfield.errors import InputError


def test_every_shift_occurs_and_equals_a_padded_crop():
    images = torch.rand(300, 2, 5, 4, generator=torch.Generator().manual_seed(0)) + 1
    moved = RandomShift(2, seed=1)(images)
    found = set()
    for before, after in zip(images, moved):
        padded = torch.nn.functional.pad(before, [2] * 4)
        crops = {(i, j): padded[:, i : i + 5, j : j + 4] for i in range(5) for j in range(5)}
        found.add(next(at for at, crop in crops.items() if torch.equal(crop, after)))
    assert len(found) == 25


def test_draws_go_on_and_are_repeatable():
    images = torch.rand(40, 1, 6, 6)
    shift, again = RandomShift(seed=3), RandomShift(seed=3)
    first = shift(images)
    assert torch.equal(first, again(images)) and not torch.equal(first, shift(images))
    assert torch.equal(RandomShift(0)(images), images)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="most is -1"):
        RandomShift(-1)
    for shape in ((3, 5, 5), (1, 1, 2, 5)):
        with pytest.raises(InputError, match="images have shape"):
            RandomShift(2)(torch.ones(shape))
