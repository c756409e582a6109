"""Networks for arbitrary pairs: their shapes, and gates that are random or open."""

import torch

from farfield import nn
from farfield.papers.hydra import study
from farfield.tasks import Classes, Image, Table, Task
from farfield.trials.pair_networks import _RandomGate, build, small

ROWS = Table(x=torch.rand(8, 1, 4, 4), y=torch.arange(8) % 4, domain=torch.zeros(8, dtype=torch.long))
TASK = Task("four", ROWS, ROWS, {"iid": ROWS}, Image(1, 4, 4), Classes(4), ("here",))


def point(way, **settings):
    (found,) = study.trials("smoke", {"task": ["digits"], "way": [way]}, seeds=1)
    return {**found.point, **settings}


def test_without_a_projection_the_loss_reads_the_features():
    made = build(point("hydra"), TASK, 0).eval()
    z = made["encoder"](ROWS.columns["x"])
    assert z.shape == (8, 64) and torch.equal(made["project"](z), z)
    assert made["head"](z).shape == (8, 4)
    assert isinstance(made["gate"], nn.PairGate) and made["gate"](torch.tensor([1]), torch.tensor([2])).shape == (1, 64)


def test_with_one_the_gate_is_as_wide_as_it():
    made = build(point("hydra", projection=3, dims=10), TASK, 0).eval()
    assert made["project"](made["encoder"](ROWS.columns["x"])).shape == (8, 10)
    assert sum(isinstance(m, torch.nn.Linear) for m in made["project"]) == 3
    assert made["gate"](torch.tensor([1]), torch.tensor([2])).shape == (1, 10)


def test_ways_of_a_seed_start_from_the_same_encoder():
    one, other, third = (
        build(point(way), TASK, s)["encoder"].state_dict() for way, s in (("hydra", 0), ("simclr", 0), ("simclr", 1))
    )
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert any(not torch.equal(one[k], third[k]) for k in one)


def test_an_open_gate_is_all_ones():
    gate = build(point("arbitrary"), TASK, 0)["gate"]
    assert torch.equal(gate(torch.tensor([0, 3]), torch.tensor([1, 3])), torch.ones(2, 64))


def test_a_random_gate_is_a_fixed_half_of_the_features_for_each_pair():
    gate = _RandomGate(5, 16, seed=0)
    a, b = torch.cartesian_prod(torch.arange(5), torch.arange(5)).T
    found = gate(a, b)
    assert torch.equal(found, gate(b, a)) and found.sum(1).tolist() == [8] * 25
    # One for each of 15 pairs.
    assert len(gate.kept) == 15 and len(found.unique(dim=0)) == len(gate.kept.unique(dim=0)) == 15
    assert not list(gate.parameters())


def test_the_small_network_is_the_one_of_the_study():
    model = small(TASK)
    widths = [(m.in_features, m.out_features) for m in model.encoder if isinstance(m, torch.nn.Linear)]
    assert widths == [(16, 256), (256, 64)]
