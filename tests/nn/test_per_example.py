"""Gradients of single examples: what a loop of backward passes gives, for models that vmap can take and for others."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield import nn as models
from farfield import tasks
from farfield.errors import InputError
from farfield.nn import per_example_gradients


def losses(outputs, y):
    return cross_entropy(outputs, y, reduction="none")


def one_by_one(model, x, y):
    found = []
    for row, label in zip(x, y):
        model.zero_grad()
        cross_entropy(model(row[None]), label[None]).backward()
        found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    model.zero_grad()
    return {name: torch.stack([f[name] for f in found]) for name in found[0]}


class Branching(nn.Module):
    """A model whose forward looks at the values of its input, as the masks of transformers' text models do."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, x):
        pooled = self.embedding(x).mean(1)
        return self.head(pooled if (x > 0).all() else 2 * pooled)


@pytest.mark.parametrize(
    "name", ["linear", "mlp?hidden=16", "cnn?width=8", "vit?dim=16&depth=1&heads=2", "resnet?width=4"]
)
def test_equals_a_loop_of_backward_passes(name):
    task = tasks.load("digits/rotation")
    model = models.load(name, task).eval()
    batch = task.train[torch.arange(5)]
    values, gradients = per_example_gradients(model, losses, batch["x"], batch["y"])
    expected = one_by_one(model, batch["x"], batch["y"])
    assert set(gradients) == set(expected)
    assert all(torch.allclose(gradients[n], expected[n], atol=1e-5) for n in expected)
    assert torch.allclose(values, losses(model(batch["x"]), batch["y"]), atol=1e-5)


def test_a_model_that_vmap_cannot_take_gives_the_same():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Branching()
    x, y = torch.tensor([[1, 2, 3], [0, 4, 5], [6, 7, 8]]), torch.tensor([0, 1, 2])
    values, gradients = per_example_gradients(model, losses, x, y)
    expected = one_by_one(model, x, y)
    assert all(torch.allclose(gradients[n], expected[n], atol=1e-6) for n in expected)
    assert values.shape == (3,) and not values.requires_grad


def test_frozen_parameters_have_none_and_the_models_own_gradients_stay():
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    model[0].requires_grad_(False)
    model[2].bias.grad = held = torch.ones(3)
    _, gradients = per_example_gradients(model, losses, torch.zeros(2, 2), torch.tensor([0, 1]))
    assert set(gradients) == {"2.weight", "2.bias"}
    assert model[2].bias.grad is held and held.tolist() == [1, 1, 1]


def test_dropout_draws_a_mask_for_each_example():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 2, bias=False)).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, gradients = per_example_gradients(model, losses, torch.ones(2, 50), torch.tensor([0, 0]))
    seen = gradients["1.weight"][:, 0] != 0
    assert not torch.equal(seen[0], seen[1]) and 0 < seen.float().mean() < 1


def test_what_does_not_fit_is_refused():
    model = nn.Linear(2, 3)
    x, y = torch.zeros(2, 2), torch.tensor([0, 1])
    with pytest.raises(InputError, match=r"loss_fn returned shape \(\) for 1 example; expected \(1,\)"):
        per_example_gradients(model, cross_entropy, x, y)
    with pytest.raises(InputError, match="x has 2 rows and y has 1"):
        per_example_gradients(model, losses, x, y[:1])
    with pytest.raises(InputError, match="no trainable parameter"):
        per_example_gradients(model.requires_grad_(False), losses, x, y)
    tied = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with pytest.raises(InputError, match="batch normalisation in training mode"):
        per_example_gradients(tied, losses, x, y)
    assert set(per_example_gradients(tied.eval(), losses, x, y)[1]) == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_an_error_of_the_model_itself_is_shown():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        per_example_gradients(nn.Linear(2, 3), losses, torch.zeros(2, 5), torch.tensor([0, 1]))
