"""The windows (l, u) of the geo-topological transform by what they keep, and windows drawn at random from each kind."""

from typing import Literal

import torch

from farfield.errors import InputError, unknown_name
from farfield.measure.dissimilarity.geotopology import check_window

WindowClass = Literal["local", "global", "geometry", "topology", "intermediate"]
CLASSES = ("local", "global", "geometry", "topology", "intermediate")
_TOLERANCE = 1e-3


def lu_class(l: float, u: float) -> str:  # noqa: E741 (the paper's symbol)
    """Return what a window of the geo-topological transform keeps, the first of these that applies:

    - ``local``: ``(l + u) / 2 <= 0.2``, it tells small dissimilarities apart.
    - ``global``: ``(l + u) / 2 >= 0.8``, it tells large ones apart.
    - ``geometry``: ``u - l >= 0.8``, it keeps nearly all.
    - ``topology``: ``l >= 0.4`` and ``u <= 0.6``, it keeps who is a neighbour of whom.
    - ``intermediate``: any other.

    All within 0.001. Raises InputError where it is no window ``0 <= l <= u <= 1``.

    Source: Lin & Kriegeskorte, PNAS 2024; `utils_analysis.get_rgtm_type` of the authors' code.

    >>> lu_class(0, 0.1), lu_class(0, 1), lu_class(0.45, 0.55), lu_class(0.2, 0.8)
    ('local', 'geometry', 'topology', 'intermediate')
    """
    check_window(l, u)
    if (l + u) / 2 <= 0.2 + _TOLERANCE:
        return "local"
    if (l + u) / 2 >= 0.8 - _TOLERANCE:
        return "global"
    if u - l >= 0.8 - _TOLERANCE:
        return "geometry"
    if l >= 0.4 - _TOLERANCE and u <= 0.6 + _TOLERANCE:
        return "topology"
    return "intermediate"


def sample_lu(cls: WindowClass, n: int, generator: torch.Generator) -> list[tuple[float, float]]:
    """Return n windows (l, u) of a class, see `lu_class`: uniform over the part of the triangle ``l < u`` that belongs to it.

    As in the authors' code both ends are rounded to two digits and 1e-5 is added to u (up to 1), so that ``l < u``; windows
    with ``l + u`` at most 0.01 or at least 1.99 are drawn again. The class is that of the rounded window.

    **Arguments:** ``n``: at least 1; ``generator``: of the draws, on the CPU.

    Raises InputError on an unknown class or n below 1.

    >>> [lu_class(l, u) for l, u in sample_lu("topology", 2, torch.Generator().manual_seed(0))]
    ['topology', 'topology']
    """
    if cls not in CLASSES:
        raise unknown_name("class of windows", str(cls), CLASSES)
    if n < 1:
        raise InputError(f"n is {n}; it must be at least 1")
    found: list[tuple[float, float]] = []
    while len(found) < n:
        # The rarest class is a twenty-fifth of the triangle, so that one round is nearly always enough.
        drawn = torch.rand(100 * n, 2, generator=generator, dtype=torch.float64).sort(1).values
        drawn = drawn[(drawn.sum(1) > 0.01) & (drawn.sum(1) < 1.99)]
        pairs = [(round(low, 2), min(round(high, 2) + 1e-5, 1.0)) for low, high in drawn.tolist()]
        found += [pair for pair in pairs if lu_class(*pair) == cls]
    return found[:n]
