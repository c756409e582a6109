import pytest
import torch
from torch import nn

from farfield.methods._annealing import Annealed


def losses(weight, annealing, steps, optimizer=None):
    optimizer = optimizer or torch.optim.SGD([nn.Parameter(torch.zeros(()))], lr=1.0)
    both = lambda model, batch: (torch.tensor(2.0), torch.tensor(3.0))  # noqa: E731
    loss = Annealed(both, optimizer, weight=weight, annealing=annealing, steps=steps)
    return [loss(nn.Identity(), {}).item() for _ in range(steps)]


@pytest.mark.parametrize(
    "weight, annealing, expected",
    [
        (4.0, 0.5, [5.0, 5.0, 3.5, 3.5]),  # 2 + 3, then (2 + 4 * 3) / 4
        (0.5, 0.25, [5.0, 3.5, 3.5, 3.5]),  # not divided where the weight is below 1
        (0.0, 0.0, [2.0, 2.0, 2.0, 2.0]),
        (4.0, 1.0, [5.0, 5.0, 5.0, 5.0]),
    ],
)
def test_the_weight_switches_after_the_share_of_the_steps(weight, annealing, expected):
    assert losses(weight, annealing, 4) == expected


def test_the_optimizers_state_is_cleared_once_at_the_switch():
    parameter = nn.Parameter(torch.ones(()))
    optimizer = torch.optim.AdamW([parameter], lr=0.1)
    loss = Annealed(lambda m, b: (parameter**2, parameter), optimizer, weight=2.0, annealing=0.5, steps=4)
    counts = []
    for _ in range(4):
        optimizer.zero_grad()
        loss(nn.Identity(), {}).backward()
        optimizer.step()
        counts.append(int(optimizer.state[parameter]["step"]))
    assert counts == [1, 2, 1, 2]
