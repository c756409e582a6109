"""Point clouds along closed curves in space: some of one topology but another geometry, some the other way round."""

import math

import numpy as np

from farfield.errors import InputError, unknown_name

EIGHTS = ("flat_8", "twist_8", "untouched_flat_8", "untouched_twist_8")
RINGS = ("flat_ring", "twist_ring", "two_rings", "mixed_rings", "locked_rings")


def figure_eights(
    n: int = 50, noise: float = 0.0, *, shapes: tuple[str, ...] = EIGHTS, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return points along curves in space, n for each shape, by name: float64 arrays (n, 3).

    With t from 0 to 2 pi:

    - ``flat_8``: (cos t, sin 2t, 0), a lying eight that crosses itself. ``twist_8``: (cos t / 2, sin 2t / 2, cos 2t), bent
      up at its ends and down at its middle; it crosses itself too. These two share a topology, the eight.
    - ``untouched_flat_8``: (cos t, sin 2t, sin(t) / 3), ``untouched_twist_8``: (cos t / 2, sin 2t / 2, cos 2t (1 + sin(t) / 3)):
      nearly the same places, but the crossing is lifted apart. These two share the other topology, the loop.
    - ``flat_ring``: (sin t, cos t, 0), ``twist_ring``: (sin t, cos t, sin 2t): one loop each.
    - ``two_rings``: circles of radius 1 and 1/2 in a plane, ``mixed_rings``: two circles around one centre, at right angles to
      each other, which cross in two points, ``locked_rings``: two links of a chain. Half of the points (n // 2) go to the first.

    **Arguments:**
    - ``n``: points of a shape, at least 4; ``shapes``: names, the four eights by default.
    - ``noise``: standard deviation of Gaussian noise on every coordinate, drawn from ``seed``; 0 draws nothing. A shape's noise
      depends on ``seed`` and on n alone, not on which other shapes are asked for.

    Raises InputError on n below 4, a negative noise or an unknown shape.

    Source: Lin & Kriegeskorte, PNAS 2024, figure 2; `utils_analysis.get_shape` of the authors' code, whose two rings come from
    scikit-learn (`make_circles`), as here.

    >>> sorted(figure_eights(8))
    ['flat_8', 'twist_8', 'untouched_flat_8', 'untouched_twist_8']
    """
    if n < 4:
        raise InputError(f"n is {n}; a shape needs at least 4 points")
    if not (noise >= 0 and math.isfinite(noise)):
        raise InputError(f"noise is {noise}; it must be a standard deviation of at least 0")
    unknown = next((name for name in shapes if name not in (*EIGHTS, *RINGS)), None)
    if unknown is not None:
        raise unknown_name("shape", unknown, (*EIGHTS, *RINGS))
    clouds = {name: _eight(name, n) if name in EIGHTS else _ring(name, n) for name in shapes}
    if noise:
        for name, points in clouds.items():
            rng = np.random.default_rng([seed, (*EIGHTS, *RINGS).index(name)])
            points += noise * rng.normal(size=points.shape)
    return clouds


def _eight(name: str, n: int) -> np.ndarray:
    t = _around(n)
    x, y = np.cos(t), np.sin(2 * t)
    if name == "flat_8":
        return np.stack([x, y, np.zeros(n)], 1)
    if name == "untouched_flat_8":
        return np.stack([x, y, np.cos(t - np.pi / 2) / 3], 1)
    lift = 1 if name == "twist_8" else np.sin(t) / 3 + 1
    return np.stack([x / 2, y / 2, np.cos(2 * t) * lift], 1)


def _ring(name: str, n: int) -> np.ndarray:
    if name in ("flat_ring", "twist_ring"):
        t = _around(n)
        return np.stack([np.sin(t), np.cos(t), np.sin(2 * t) if name == "twist_ring" else np.zeros(n)], 1)
    s, t = _around(n // 2), _around(n - n // 2)
    flat, other = np.zeros(len(s)), np.zeros(len(t))
    if name == "two_rings":
        first, second = [np.cos(s), np.sin(s), flat], [np.cos(t) / 2, np.sin(t) / 2, other]
    else:
        shift = 1 if name == "locked_rings" else 0
        first, second = [np.sin(s), shift + np.cos(s), flat], [other, np.sin(t), np.cos(t)]
    return np.concatenate([np.stack(first, 1), np.stack(second, 1)])


def _around(n: int) -> np.ndarray:
    """Return n angles from 0 to below 2 pi."""
    return 2 * np.pi * np.arange(n) / n
