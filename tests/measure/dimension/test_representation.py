import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.measure import intrinsic_dimension, representation_dimension


@pytest.fixture
def x():
    return torch.randn(300, 6, generator=torch.Generator().manual_seed(0))


def test_a_layer_of_two_units_has_two_dimensions_at_most(x):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 2), nn.Dropout(0.5), nn.Linear(2, 20), nn.ReLU(), nn.Linear(20, 3))
    narrow = representation_dimension(model, "2", x, method="twonn")
    assert intrinsic_dimension(x, "twonn") > 4
    assert 1.5 < narrow < 2.3
    # Dropout would add dimensions: the model ran in evaluation mode, and its modes are back.
    assert model.training and model[1].training


def test_it_is_the_dimension_of_the_activations_in_batches(x):
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
    expected = intrinsic_dimension(model(x).detach())
    batches = [{"x": part, "y": torch.zeros(len(part))} for part in x.split(64)]
    assert representation_dimension(model, "1", batches) == pytest.approx(expected, rel=1e-5)
    few = representation_dimension(model, "1", x, max_samples=100)
    assert few == pytest.approx(intrinsic_dimension(model(x).detach(), max_samples=100), rel=1e-5)


def test_feature_maps_are_flattened(x):
    model = nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 1))
    assert representation_dimension(model, "1", x) == pytest.approx(intrinsic_dimension(x), rel=1e-4)


def test_dead_units_add_nothing_and_a_dead_layer_is_named(x):
    alive = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    wider = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
    with torch.no_grad():
        wider[0].weight[:8], wider[0].bias[:8] = alive[0].weight, alive[0].bias
        wider[0].weight[8:], wider[0].bias[8:] = 0, -1
    found = representation_dimension(wider, "1", x)
    assert found == pytest.approx(representation_dimension(alive, "1", x), rel=1e-5)
    with torch.no_grad():
        wider[0].weight.zero_()
        wider[0].bias.fill_(-1)
    with pytest.raises(InputError, match="x has 1 different rows; mle needs at least 21"):
        representation_dimension(wider, "1", x)


def test_an_unknown_layer_is_refused(x):
    with pytest.raises(InputError, match="'2'"):
        representation_dimension(nn.Sequential(nn.Linear(6, 8), nn.ReLU()), "2", x)
