import copy

import pytest
import torch
from torch import nn

from farfield.nn import disable_running_stats

X = torch.arange(24.0).reshape(4, 2, 3)


def statistics(model):
    return {name: value.clone() for name, value in model.named_buffers()}


def layers():
    return nn.Sequential(
        nn.BatchNorm1d(2), nn.BatchNorm1d(2, momentum=None), nn.InstanceNorm1d(2, track_running_stats=True)
    )


def unchanged(model, before):
    return all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_statistics_and_counts_stay_within_and_move_again_after():
    model = layers()
    before = statistics(model)
    with disable_running_stats(model):
        model(X)
    assert unchanged(model, before)
    model(X)
    assert model[0].num_batches_tracked == model[1].num_batches_tracked == 1
    assert not torch.equal(model[0].running_mean, before["0.running_mean"])
    assert not torch.equal(model[2].running_mean, before["2.running_mean"])


def test_the_output_is_that_of_training_mode():
    model = layers()
    expected = copy.deepcopy(model)(X)
    with disable_running_stats(model):
        assert torch.equal(model(X), expected)


def test_a_cumulative_average_counts_the_batches_outside_alone():
    model = nn.BatchNorm1d(2, momentum=None)
    for shift in (0.0, 4.0):
        model(X + shift)
        with disable_running_stats(model):
            model(X + 1000)
    assert torch.allclose(model.running_mean, X.mean((0, 2)) + 2)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(2), nn.InstanceNorm1d(2, track_running_stats=True)])
def test_layers_in_evaluation_mode_go_on_using_their_statistics(layer):
    layer.eval()
    expected = layer(X)
    with disable_running_stats(layer):
        assert torch.equal(layer(X), expected)
    assert torch.equal(layer(X), expected)
    assert layer.track_running_stats and layer.momentum == 0.1


def test_an_error_within_puts_the_layers_back():
    model = nn.BatchNorm1d(2)
    with pytest.raises(KeyError), disable_running_stats(model):
        raise KeyError
    assert model.track_running_stats


def test_layers_that_never_tracked_stay_so():
    model = nn.BatchNorm1d(2, track_running_stats=False)
    with disable_running_stats(model):
        model(X)
    assert not model.track_running_stats
