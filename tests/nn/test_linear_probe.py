"""The probe behind batch normalisation, as it starts."""

import pytest
import torch
from torch import nn

from farfield.errors import InputError
from farfield.nn import BNLinearProbe, plain_head


def test_scales_and_offsets_of_the_features_play_no_role_in_training_mode():
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    probe = BNLinearProbe(3, 2)
    assert torch.allclose(probe(x), probe(x * torch.tensor([1.0, 50.0, 9.0]) + 4), atol=1e-4)


def test_it_starts_as_published_and_by_the_seed():
    head = plain_head(400, 100, seed=1)
    assert float(head.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert float(head.weight.detach().mean()) == pytest.approx(0, abs=2e-4)
    assert not head.bias.detach().any()
    assert torch.equal(head.weight, plain_head(400, 100, seed=1).weight)
    assert not torch.equal(head.weight, plain_head(400, 100, seed=2).weight)


def test_weight_decay_is_for_the_linear_layer_alone():
    probe = BNLinearProbe(3, 2)
    linear, norm = probe.parameter_groups(0.5)
    assert linear["weight_decay"] == 0.5 and norm["weight_decay"] == 0
    assert {id(p) for p in linear["params"]} == {id(p) for p in probe.linear.parameters()}
    assert {id(p) for p in norm["params"]} == {id(p) for p in probe.norm.parameters()}
    assert isinstance(probe.norm, nn.BatchNorm1d) and probe.norm.affine


@pytest.mark.parametrize(("d", "classes"), [(0, 2), (3, 0)])
def test_sizes_below_one_are_refused(d, classes):
    with pytest.raises(InputError, match=f"d is {d} and classes {classes}"):
        BNLinearProbe(d, classes)
