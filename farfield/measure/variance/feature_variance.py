"""How much of a representation's variance each feature of the input explains: in all, by principal component, by unit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError
from farfield.measure._arrays import Array, like
from farfield.measure.variance import _rows


def feature_variance(
    reps: Float[Array, "n h"],
    features: Mapping[str, Array],
    *,
    fit: float | Array = 0.5,
    denominator: Literal["test"] | float = "test",
    groups: Array | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Return for each feature the share R^2 of a representation's variance that it explains; 1 is all of it.

    The representation is regressed on the feature, not the feature on the representation: what can be decoded perfectly may
    still explain almost nothing. ``W* = argmin E_V |W f - phi|^2`` with an intercept on the rows V that fit, and
    ``R^2 = 1 - E_T |W* f - phi|^2 / E_T |phi|^2`` on the others, T, with phi centred by the mean over V. It is one number over
    all units, not a mean over units, in which near-dead ones would count as much as the others. Shifts, rotations and a
    common scale change nothing. A feature that explains nothing has about 0, on T slightly below. For independent, balanced
    features the values add up to at most 1; check that with `feature_design` first.

    **Arguments:**
    - ``reps``: (n, h), one row per example.
    - ``features``: by name (n,) whole numbers, truth values or texts (classes), or floats (one regressor), or (n, k) columns
      such as one-hot classes or several features whose joint share is wanted.
    - ``fit``: the share of rows that fit, drawn from ``seed``; 1 fits and scores on all rows, which is right for a full
      factorial design and optimistic for a sample; an array (n,) of truth values names the rows.
    - ``denominator``: ``"test"``, or a total variance (see `total_variance`) in place of ``E_T |phi|^2``: with the one at the
      end of training, growth during training shows.
    - ``groups``: (n,) rows of one group, such as views of one image, fit or score together.

    Raises InputError where rows do not match, a value is not finite, a feature has one value only (also among the rows that
    fit), all rows of ``reps`` are the same, or they do not vary around their mean among the rows that score. A class that no
    row of V has is predicted at the limit of the smallest weights.

    Source: Lampinen, Chan, Hermann, TMLR 2024, section 2.

    >>> import numpy as np
    >>> f1, f2 = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]).T
    >>> found = feature_variance(np.stack([3 * f1, f2, 0 * f1], 1), {"f1": f1, "f2": f2, "product": f1 * f2}, fit=1)
    >>> {name: round(share, 3) for name, share in found.items()}
    {'f1': 0.9, 'f2': 0.1, 'product': 0.0}
    """
    if isinstance(denominator, str):
        if denominator != "test":
            raise InputError(f"denominator is {denominator!r}; it must be 'test' or a total variance")
    elif not (math.isfinite(denominator) and denominator > 0):
        raise InputError(f"denominator is {denominator}; it must be a finite variance above 0")
    x, each = _checked(reps, features)
    fitting, scoring = _rows.sides(len(x), fit, groups, seed, x.device)
    centre = _rows.mean(x, fitting)
    whole = float(_rows.total(x, centre, scoring).sum())
    below = _varying(whole) if denominator == "test" else denominator
    return {
        name: (whole - float(_rows.residual(x, f, centre, fitting, scoring, f"features[{name!r}]").sum())) / below
        for name, f in each.items()
    }


def total_variance(
    reps: Float[Array, "n h"], *, fit: float | Array = 0.5, groups: Array | None = None, seed: int = 0
) -> float:
    """Return the mean squared distance of the rows that score from the mean of those that fit: the denominator of R^2.

    **Arguments:** as `feature_variance`. Raises InputError as there.

    >>> import numpy as np
    >>> total_variance(np.array([[0.0, 0.0], [2.0, 4.0]]), fit=1)
    5.0
    """
    x = _rows.representations(reps)
    fitting, scoring = _rows.sides(len(x), fit, groups, seed, x.device)
    return float(_rows.total(x, _rows.mean(x, fitting), scoring).sum())


@dataclass(frozen=True)
class VarianceByPart:
    """What features explain in each part (principal component or unit) of a representation.

    **Fields:** ``share`` (parts,): of the total variance that lies in each part; ``explained``: feature -> (parts,) R^2 within
    the part. Over all parts the sum of ``share * explained`` is the feature's R^2 of the whole.

    >>> import numpy as np
    >>> found = VarianceByPart(share=np.array([0.75, 0.25]), explained={"colour": np.array([1.0, 0.2])})
    >>> round(float((found.share * found.explained["colour"]).sum()), 3)
    0.8
    """

    share: Float[Array, " parts"]
    explained: dict[str, Float[Array, " parts"]]


def feature_variance_by_pc(
    reps: Float[Array, "n h"],
    features: Mapping[str, Array],
    *,
    components: int = 10,
    fit: float | Array = 0.5,
    groups: Array | None = None,
    seed: int = 0,
) -> VarianceByPart:
    """Return how much of each leading principal component every feature explains.

    The components are those of the rows that fit; shares and R^2 are measured on the rows that score.

    **Arguments:** ``components``: how many, at most h and at most the number of rows that fit; the others as
    `feature_variance`. A component without variance where it is scored has share 0 and R^2 0.

    Raises InputError as `feature_variance`, and on a number of components out of range.

    >>> import numpy as np
    >>> f1, f2 = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]).T
    >>> found = feature_variance_by_pc(np.stack([f2, 3 * f1], 1), {"f1": f1, "f2": f2}, components=2, fit=1)
    >>> found.share.round(3).tolist(), found.explained["f1"].round(3).tolist()
    ([0.9, 0.1], [1.0, 0.0])
    """
    x, each = _checked(reps, features)
    fitting, scoring = _rows.sides(len(x), fit, groups, seed, x.device)
    most = min(x.shape[1], len(fitting))
    if not 1 <= components <= most:
        raise InputError(
            f"components is {components}; {len(fitting)} rows that fit and {x.shape[1]} units have 1 to {most}"
        )
    centre = _rows.mean(x, fitting)
    whole = _varying(float(_rows.total(x, centre, scoring).sum()))
    # The scores of all rows: few columns, whatever the number of units.
    axes = principal_axes(x, fitting, centre, components)
    scores = torch.cat([(part - centre) @ axes for _, part in _rows.chunks(x, torch.arange(len(x), device=x.device))])
    return _by_part(scores, each, fitting, scoring, whole, reps)


def feature_variance_by_unit(
    reps: Float[Array, "n h"],
    features: Mapping[str, Array],
    *,
    fit: float | Array = 0.5,
    groups: Array | None = None,
    seed: int = 0,
) -> VarianceByPart:
    """Return how much of each unit every feature explains: whether a feature is coded densely or by few units.

    **Arguments:** as `feature_variance`. A dead unit, one without variance where it is scored, has share 0 and R^2 0.

    Raises InputError as `feature_variance`.

    >>> import numpy as np
    >>> f1, f2 = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]).T
    >>> found = feature_variance_by_unit(np.stack([3 * f1, f1 + f2, 0 * f1], 1), {"f1": f1}, fit=1)
    >>> found.explained["f1"].round(3).tolist()
    [1.0, 0.5, 0.0]
    """
    x, each = _checked(reps, features)
    fitting, scoring = _rows.sides(len(x), fit, groups, seed, x.device)
    whole = _varying(float(_rows.total(x, _rows.mean(x, fitting), scoring).sum()))
    return _by_part(x, each, fitting, scoring, whole, reps)


def principal_axes(x: Tensor, rows: Tensor, centre: Tensor, components: int) -> Tensor:
    """Return the leading principal axes (h, components) of these rows in float64, the widest first."""
    if len(rows) < x.shape[1]:
        centred = x[rows].double() - centre
        return torch.linalg.svd(centred, full_matrices=False).Vh[:components].T
    scatter = sum((part - centre).T @ (part - centre) for _, part in _rows.chunks(x, rows))
    return torch.linalg.eigh(scatter).eigenvectors.flip(1)[:, :components]


def _by_part(
    x: Tensor, each: Mapping[str, Tensor], fitting: Tensor, scoring: Tensor, whole: float, reps: Array
) -> VarianceByPart:
    centre = _rows.mean(x, fitting)
    total = _rows.total(x, centre, scoring)
    alive = total > 1e-24 * whole
    explained = {}
    for name, column in each.items():
        left = _rows.residual(x, column, centre, fitting, scoring, f"features[{name!r}]")
        ratio = torch.where(alive, 1 - left / torch.where(alive, total, 1), 0)
        explained[name] = like(ratio, reps)
    return VarianceByPart(like(torch.where(alive, total / whole, 0), reps), explained)


def _checked(reps: Array, features: Mapping[str, Array]) -> tuple[Tensor, dict[str, Tensor]]:
    x = _rows.representations(reps)
    return x, _rows.columns(features, x)


def _varying(whole: float) -> float:
    if whole == 0:
        raise InputError(
            "the rows of reps that score all lie on the mean of those that fit; there is no variance to explain"
        )
    return whole
