import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from farfield.errors import InputError
from farfield.reuse import layer_features
from farfield.tasks import Table

X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))


def network():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))


def test_rows_keep_the_order_of_the_data_however_it_comes():
    model = network()
    model.train()
    whole = layer_features(model, ["0", "3"], X)
    with torch.no_grad():
        model.eval()
        assert torch.allclose(whole["3"], model(X), atol=1e-6)
        model.train()
    for data in (Table(x=X), DataLoader(TensorDataset(X), batch_size=3)):
        found = layer_features(model, ["0", "3"], data, batch_size=4)
        assert all(torch.allclose(found[name], whole[name], atol=1e-6) for name in whole)
    assert model.training and not whole["3"].requires_grad


def test_pooling_and_its_errors():
    conv = nn.Sequential(nn.Conv2d(1, 2, 3))
    x = torch.rand(3, 1, 5, 5)
    assert torch.allclose(layer_features(conv, "0", x)["0"], conv(x).mean((2, 3)), atol=1e-6)
    with pytest.raises(InputError, match="pool is 'none'"):
        layer_features(conv, "0", x, "none")
    with pytest.raises(InputError, match="several rows"):
        layer_features(conv, "0", x, "space")
    with pytest.raises(InputError, match="unknown layer of Sequential 'conv'"):
        layer_features(conv, "conv", x)
