"""Two classic control problems as data: observations of a balanced pole, and a policy that swings a pendulum up."""

import itertools
import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.tasks.task import Table

# Barto, Sutton & Anderson (1983): gravity, masses of cart and pole (kg), half the pole's length (m), force (N), step (s).
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
POSITION_LIMIT, ANGLE_LIMIT = 2.4, 12 * math.pi / 180
# Feedback that holds the pole up: position, velocity, angle, angular velocity.
GAIN = np.array([0.5, 1.0, 30.0, 4.0])
# The pendulum's: gravity, mass, length, largest torque.
G, MASS, LENGTH, TORQUE = 10.0, 1.0, 1.0, 2.0


def cartpole_step(state: Float[np.ndarray, "n 4"], right: np.ndarray) -> Float[np.ndarray, "n 4"]:
    """Return the next states of some carts with poles, pushed to the right (True) or left.

    **Arguments:** ``state`` (n, 4): position (m), velocity (m/s), angle from upright (rad), angular velocity (rad/s); ``right`` (n,)
    booleans.

    Source: Barto, Sutton & Anderson, IEEE Transactions SMC 13 (1983), by Euler steps of 0.02 s and without friction, as in
    gymnasium's CartPole-v1.

    >>> cartpole_step(np.zeros((1, 4)), np.array([True])).round(3).tolist()
    [[0.0, 0.195, 0.0, -0.293]]
    """
    position, velocity, angle, spin = state.T
    force = np.where(right, FORCE, -FORCE)
    cos, sin = np.cos(angle), np.sin(angle)
    total = CART + POLE
    push = (force + POLE * HALF_LENGTH * spin**2 * sin) / total
    turn = (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4 / 3 - POLE * cos**2 / total))
    slide = push - POLE * HALF_LENGTH * turn * cos / total
    return np.stack([position + STEP * velocity, velocity + STEP * slide, angle + STEP * spin, spin + STEP * turn], 1)


def cartpole_observations(
    n: int, *, velocities: bool = True, horizon: int = 1, noise: float = 0.3, seed: int = 0
) -> Table:
    """Return n observations of a balanced pole, labelled with the push (0 left, 1 right) that a good controller makes there.

    The controller is a linear feedback of the whole state; with probability ``noise`` the opposite push is made instead, so
    that many states are seen, while the label stays the controller's. A pole that falls, or a cart that leaves the track,
    starts anew near the middle. Each observation stacks ``horizon`` steps, the last of which the label is for.

    **Arguments:** ``n`` at least 2; ``velocities``: False leaves position and angle only, from which one step does not tell the
    push; ``horizon`` at least 1; ``noise`` from 0 to 1; ``seed``.

    **Returns:** `Table` with ``x`` (n, horizon * 4 or 2) float32, each number divided by its limit (2.4 m, 12 degrees) or 3 per
    second, and ``y`` (n,).

    Raises InputError on an argument out of range, and where poles fall before ``horizon`` steps.

    >>> cartpole_observations(6, velocities=False, horizon=3).columns["x"].shape
    torch.Size([6, 6])
    """
    if n < 2 or horizon < 1 or not 0 <= noise <= 1:
        raise InputError(f"n is {n}, horizon {horizon}, noise {noise}; expected at least 2, at least 1, and 0 to 1")
    rng = np.random.default_rng(seed)
    carts = 64
    state = rng.uniform(-0.05, 0.05, (carts, 4))
    age = np.zeros(carts, dtype=int)
    history, found, labels = np.zeros((carts, horizon, 4)), [], []
    for step in itertools.count():
        history = np.concatenate([history[:, 1:], state[:, None]], 1)
        push = state @ GAIN > 0
        age += 1
        # The first steps, in which all carts are still near their start, are left out; then every seventh is taken.
        if step >= 50 and step % 7 == 0:
            whole = age >= horizon  # a history does not reach over a fall
            found.append(history[whole])
            labels.append(push[whole])
            if sum(map(len, labels)) >= n:
                break
            if step >= 50 + 7 * horizon and not sum(map(len, labels)):
                raise InputError(f"no pole stands for horizon = {horizon} steps at noise = {noise}; lower one of them")
        state = cartpole_step(state, push ^ (rng.random(carts) < noise))
        fallen = (np.abs(state[:, 0]) > POSITION_LIMIT) | (np.abs(state[:, 2]) > ANGLE_LIMIT)
        state[fallen] = rng.uniform(-0.05, 0.05, (int(fallen.sum()), 4))
        age[fallen] = 0
    scaled = np.concatenate(found)[:n] / np.array([POSITION_LIMIT, 3.0, ANGLE_LIMIT, 3.0])
    x = scaled if velocities else scaled[:, :, [0, 2]]
    return Table(
        x=torch.from_numpy(x.reshape(len(x), -1)).float(), y=torch.from_numpy(np.concatenate(labels)[:n]).long()
    )


def pendulum_policy(state: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    """Return the torque that swings a pendulum up and holds it there, within [-2, 2] N m; smooth in the state.

    Far from the top it pumps energy, ``0.1 (E_top - E) spin``; near it, it is the feedback ``-12 sin(angle) - 3 spin``. A weight
    ``exp(-(2 - 2 cos(angle)) / 0.7^2 - spin^2 / 3^2)`` leads from one to the other, and ``2 tanh(u / 2)`` keeps the limits.

    **Arguments:** ``state`` (n, 2): angle from upright (rad), angular velocity (rad/s).

    Source: dynamics and limits of gymnasium's Pendulum-v1 (rod of mass 1 and length 1, g = 10); Astrom & Furuta, "Swinging
    up a pendulum by energy control", Automatica 2000. The weight and the gains are ours.

    >>> pendulum_policy(torch.tensor([[0.0, 0.0], [0.5, 0.0], [3.0, 1.0]])).round(decimals=2).tolist()
    [0.0, -1.87999..., 0.91000...]
    """
    angle, spin = state[:, 0], state[:, 1]
    energy = MASS * LENGTH**2 / 6 * spin.square() + MASS * G * LENGTH / 2 * angle.cos()
    pumping = 0.1 * (MASS * G * LENGTH / 2 - energy) * spin
    holding = -12 * angle.sin() - 3 * spin
    near = (-(2 - 2 * angle.cos()) / 0.7**2 - spin.square() / 3**2).exp()
    return TORQUE * ((near * holding + (1 - near) * pumping) / TORQUE).tanh()


def pendulum_step(state: Float[Tensor, "n 2"], torque: Float[Tensor, " n"]) -> Float[Tensor, "n 2"]:
    """Return the next states of some pendulums under a torque, after 0.05 s, spins within [-8, 8] rad/s.

    Source: gymnasium's Pendulum-v1.

    >>> pendulum_step(torch.tensor([[torch.pi / 2, 0.0]]), torch.zeros(1)).tolist()
    [[1.608..., 0.75]]
    """
    angle, spin = state[:, 0], state[:, 1]
    turn = 3 * G / (2 * LENGTH) * angle.sin() + 3 / (MASS * LENGTH**2) * torque.clamp(-TORQUE, TORQUE)
    spin = (spin + 0.05 * turn).clamp(-8, 8)
    return torch.stack([angle + 0.05 * spin, spin], 1)
