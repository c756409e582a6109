import itertools

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from farfield.batches import uniform
from farfield.errors import InputError
from farfield.nn import Classifier
from farfield.reuse import lp_ft
from farfield.reuse.lp_ft import head_of
from farfield.tasks import Table

G = torch.Generator().manual_seed(0)
DATA = Table(x=torch.randn(40, 3, generator=G), y=torch.randint(2, (40,), generator=G))


def model(norm=False):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        middle = nn.BatchNorm1d(5) if norm else nn.Identity()
        return Classifier(nn.Sequential(nn.Linear(3, 5), middle, nn.ReLU()), nn.Linear(5, 2))


def test_it_is_a_probe_on_fixed_features_and_then_a_training_of_everything():
    found = model()
    history = lp_ft(found, DATA, probe_steps=4, steps=3, batch_size=10, learning_rate=0.01, probe_learning_rate=0.1)
    mine, losses = model(), []
    batches = [DATA[rows] for rows in itertools.islice(uniform(40, 10, seed=0), 7)]
    for part, parameters, rate in ((batches[:4], mine.head, 0.1), (batches[4:], mine, 0.01)):
        optimizer = torch.optim.AdamW(parameters.parameters(), lr=rate, weight_decay=0.0)
        for batch in part:
            optimizer.zero_grad()
            loss = cross_entropy(mine(batch["x"]), batch["y"])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert torch.allclose(torch.tensor(history.loss), torch.tensor(losses), atol=1e-5)
    for a, b in zip(found.parameters(), mine.parameters()):
        assert torch.allclose(a, b, atol=1e-5)


def test_while_the_head_is_probed_the_rest_and_its_statistics_stay():
    found, before = model(norm=True), model(norm=True).state_dict()
    lp_ft(found, DATA, probe_steps=5, steps=0)
    for name, value in found.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("encoder."), name
    assert all(p.requires_grad for p in found.parameters())


def test_frozen_parameters_stay_frozen_in_both_parts():
    found = model()
    found.encoder[0].bias.requires_grad_(False)
    lp_ft(found, DATA, probe_steps=2, steps=2)
    assert torch.equal(found.encoder[0].bias, model().encoder[0].bias) and not found.encoder[0].bias.requires_grad
    assert not torch.equal(found.encoder[0].weight, model().encoder[0].weight)


def test_hooks_see_one_count_of_steps_and_an_error_leaves_the_flags_as_they_were():
    seen = []
    lp_ft(model(), DATA, probe_steps=2, steps=3, hooks=[lambda step, m, loss: seen.append(step)])
    assert seen == [1, 2, 3, 4, 5]
    broken = model()
    with pytest.raises(KeyError):
        lp_ft(broken, Table(x=DATA.columns["x"]), probe_steps=2, steps=1)
    assert all(p.requires_grad for p in broken.parameters())


def test_the_head_of_any_model_is_the_last_linear_layer_that_runs():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(5, 2), nn.Linear(3, 5)

        def forward(self, x):
            return self.last(self.first(x))

    other = Backwards()
    assert head_of(other, DATA) is other.last
    assert head_of(model(), DATA).out_features == 2
    with pytest.raises(InputError, match=r"no nn\.Linear ran"):
        head_of(nn.Sequential(nn.BatchNorm1d(3)), DATA)


def test_steps_out_of_range_and_nothing_to_train_are_refused():
    for probe, steps in ((-1, 2), (0, 0), (2, -1)):
        with pytest.raises(InputError, match=f"probe_steps is {probe} and steps {steps}"):
            lp_ft(model(), DATA, probe_steps=probe, steps=steps)
    with pytest.raises(InputError, match="nothing to train"):
        lp_ft(model().requires_grad_(False), DATA, probe_steps=0, steps=1)
