import pytest
import torch

from farfield.augment import RandomFieldNoise
from farfield.errors import InputError


@pytest.mark.parametrize("shape", [(50, 12), (50, 12, 3), (50, 2, 6, 5)])
def test_it_adds_a_field_of_this_strength_to_each_example_and_channel(shape):
    x = torch.ones(shape)
    added = RandomFieldNoise(0.5, gamma=2.0)(x) - x
    assert added.shape == x.shape
    over = {2: (1,), 3: (1,), 4: (2, 3)}[len(shape)]
    assert added.mean(over).abs().max() < 1e-5
    assert (added.std(over, correction=0) - 0.5).abs().max() < 1e-4
    assert torch.equal(RandomFieldNoise(0.0)(x), x)


def test_columns_are_independent_at_gamma_0_and_neighbours_alike_above():
    def neighbours(gamma):
        noise = RandomFieldNoise(1.0, gamma=gamma)(torch.zeros(4000, 20))
        return float((noise[:, 1:] * noise[:, :-1]).mean())

    # Less the mean over 20 columns: -1 / 19.
    assert abs(neighbours(0.0) + 1 / 19) < 0.02
    assert neighbours(3.0) > 0.8


def test_channels_of_a_sequence_have_fields_of_their_own():
    noise = RandomFieldNoise(1.0, gamma=3.0)(torch.zeros(3000, 16, 2))
    assert abs(float((noise[..., 0] * noise[..., 1]).mean())) < 0.05


def test_the_seed_decides_and_p_of_the_rows_are_changed():
    x = torch.zeros(2000, 5)
    out = RandomFieldNoise(1.0, p=0.25, seed=3)(x)
    assert torch.equal(out, RandomFieldNoise(1.0, p=0.25, seed=3)(x))
    assert abs(float((out != 0).any(1).float().mean()) - 0.25) < 0.04


@pytest.mark.parametrize("x", [torch.zeros(4), torch.zeros(2, 3, dtype=torch.long), torch.zeros(1, 1, 1, 2, 2)])
def test_other_shapes_and_types_are_refused(x):
    with pytest.raises(InputError, match=r"expected \(n, d\), \(n, t, c\) or \(n, c, height, width\)"):
        RandomFieldNoise(0.1)(x)


def test_a_single_column_has_no_field():
    with pytest.raises(InputError, match="at least two pixels"):
        RandomFieldNoise(0.1)(torch.zeros(4, 1))
