"""The dynamics of the two control problems, and what is observed of them."""

import math

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.tasks.classic_control import (
    GAIN,
    cartpole_observations,
    cartpole_step,
    pendulum_policy,
    pendulum_step,
)


def test_a_pole_at_rest_is_pushed_as_newton_says_and_mirrored_by_the_other_push():
    # Upright and at rest: total a = F - m l t, (4/3) l t = -a (uniform rod about its end, small mass).
    position, velocity, angle, spin = cartpole_step(np.zeros((1, 4)), np.array([True]))[0]
    turn = -(10 / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1))
    assert (position, angle) == (0, 0)
    assert spin == pytest.approx(0.02 * turn)
    assert velocity == pytest.approx(0.02 * (10 / 1.1 - 0.05 * turn / 1.1))
    states = np.random.default_rng(0).standard_normal((50, 4))
    right = np.arange(50) % 2 == 0
    assert np.allclose(cartpole_step(-states, ~right), -cartpole_step(states, right))


def test_a_pole_that_nobody_holds_falls_and_the_controller_holds_it():
    held, left = np.full((1, 4), 0.02), np.full((1, 4), 0.02)
    for step in range(500):
        held = cartpole_step(held, held @ GAIN > 0)
        left = cartpole_step(left, np.array([step % 2 == 0]))
    assert abs(held[0, 2]) < 0.1 and abs(held[0, 0]) < 2.4
    assert abs(left[0, 2]) > 0.5


def test_observations_hold_the_state_the_label_belongs_to_their_last_step():
    full = cartpole_observations(500, seed=3)
    state = full.columns["x"].double().numpy() * [2.4, 3, 12 * math.pi / 180, 3]
    assert full.columns["y"].tolist() == (state @ GAIN > 0).astype(int).tolist()
    assert 0.3 < full.columns["y"].float().mean() < 0.7
    one = cartpole_observations(500, velocities=False, seed=3).columns["x"]
    assert torch.equal(one, full.columns["x"][:, [0, 2]])
    # Two steps of positions determine the velocity: x' = x + 0.02 v.
    two = cartpole_observations(300, horizon=2, seed=3).columns["x"].double()
    assert torch.allclose((two[:, 4] - two[:, 0]) * 2.4, 0.02 * 3 * two[:, 1], atol=1e-6)


def test_a_pendulum_keeps_its_energy_and_is_swung_up_and_held():
    state = torch.tensor([[math.pi / 2, 0.0]], dtype=torch.float64)
    energies = []
    for _ in range(200):
        state = pendulum_step(state, torch.zeros(1))
        energies.append(float(state[0, 1] ** 2 / 6 + 5 * state[0, 0].cos()))
    assert np.mean(energies) == pytest.approx(0, abs=0.3)
    hanging = torch.tensor([[math.pi, 0.1], [math.pi - 1, 0.0]], dtype=torch.float64)
    for _ in range(400):
        hanging = pendulum_step(hanging, pendulum_policy(hanging))
    assert (hanging[:, 0].cos() > 0.999).all() and (hanging[:, 1].abs() < 1e-2).all()


def test_the_policy_is_odd_and_within_its_limits():
    state = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)) * 4
    torque = pendulum_policy(state)
    assert torch.allclose(pendulum_policy(-state), -torque) and 1.9 < torque.abs().max() <= 2
    assert torch.allclose(pendulum_policy(state + torch.tensor([2 * math.pi, 0])), torque, atol=1e-3)


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="horizon 0"):
        cartpole_observations(10, horizon=0)
    with pytest.raises(InputError, match="no pole stands for horizon = 200"):
        cartpole_observations(10, horizon=200, noise=1.0)
