import pytest
import torch

from farfield import nn


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("hidden", "depth"), [(5, 1), (7, 2), (4, 3)])
def test_parameter_count(vector_task, hidden, depth):
    model = nn.load(f"mlp?hidden={hidden}&depth={depth}", vector_task(size=6))
    assert count(model) == (6 + 1) * hidden + (depth - 1) * (hidden + 1) * hidden + (hidden + 1) * 3


def test_linear_is_one_affine_map_of_the_vector(vector_task):
    model = nn.load("linear", vector_task(size=6))
    assert count(model) == (6 + 1) * 3
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(x), x @ model.head.weight.T + model.head.bias)
    assert model.features(x).equal(x)


def test_vectors_are_taken_as_they_are_and_images_standardised(vector_task, image_task):
    assert not list(nn.load("mlp", vector_task()).buffers())
    task = image_task(2, 4, n=40)
    features = nn.load("linear", task).features(task.train.columns["x"]).reshape(40, 2, 16)
    torch.testing.assert_close(features.mean((0, 2)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std((0, 2), correction=0), torch.ones(2), atol=1e-4, rtol=0)


def test_relu_after_each_layer_makes_features_positive(vector_task):
    features = nn.load("mlp", vector_task()).features(torch.randn(50, 6))
    assert features.min() == 0 and features.max() > 0


def test_dropout_acts_in_training_only(vector_task):
    model = nn.load("mlp?dropout=0.5", vector_task())
    x = torch.ones(2, 6)
    assert not model.train()(x).equal(model(x))
    assert model.eval()(x).equal(model(x))


def test_the_order_of_rows_does_not_matter(vector_task):
    model, x = nn.load("mlp", vector_task()), torch.randn(9, 6)
    order = torch.randperm(9)
    torch.testing.assert_close(model(x)[order], model(x[order]))
