"""How fast the loss falls with the number of examples, against the rate that the data's dimension allows."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float

from farfield.errors import InputError
from farfield.measure._arrays import Array, tensor


@dataclass(frozen=True)
class ScalingFit:
    """The fit of ``ln L = ln K_L + ln max(1, K_F) - slope * ln(N) / d``.

    **Fields:** ``slope``: 1 where the loss falls as ``N^(-1/d)``, above 1 where it falls faster; ``constant``: K_L; ``r2``: the
    share of the variance of ``ln L - ln max(1, K_F)`` that is explained; ``n``: runs that were fitted.

    >>> fit = ScalingFit(slope=1.0, constant=2.0, r2=0.9, n=12)
    >>> fit.predict(100, d=1) > fit.predict(200, d=1), fit.predict(100, d=2) > fit.predict(100, d=1)
    (True, True)
    """

    slope: float
    constant: float
    r2: float
    n: int

    def predict(self, n: float, d: float, kf: float = 1.0) -> float:
        """Return the loss to expect from n examples of dimension d and label sharpness kf.

        Raises InputError unless n, d and kf are above 0.

        >>> ScalingFit(slope=1.0, constant=2.0, r2=1.0, n=3).predict(100, d=2)
        0.2
        """
        for name, value in {"n": n, "d": d, "kf": kf}.items():
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"{name} is {value}; it must be above 0")
        return self.constant * max(1.0, kf) * n ** (-self.slope / d)


def scaling_fit(
    n: Float[Array, "m"],
    loss: Float[Array, "m"],
    d: float | Float[Array, "m"],
    kf: float | Float[Array, "m"] = 1.0,
) -> ScalingFit:
    """Fit the scaling law ``L = K_L max(1, K_F) N^(-slope/d)`` to the test losses of several runs, by least squares of logarithms.

    The paper's law ``L <~ K_L max(1, K_F) N^(-1/d)`` is an upper bound that comes from covering the data's manifold, so a slope
    above 1 agrees with it. Runs over a factor of a few in N say little about the slope.

    **Arguments:**
    - ``n``: number of training examples of each run; ``loss``: its test loss. Both above 0, at least 2 runs.
    - ``d``: intrinsic dimension of each run's data, or one for all; the representation's in the second form of the law.
    - ``kf``: label sharpness of each run's data, or one for all.

    Raises InputError where lengths differ, a value is not above 0, or ``ln(N) / d`` is the same in all runs.

    Source: Konz & Mazurowski, ICLR 2024, theorems 1 and 2.

    >>> fit = scaling_fit(torch.tensor([10.0, 100.0, 1000.0]), torch.tensor([3.0, 0.3, 0.03]), d=1.0)
    >>> round(fit.slope, 6), round(fit.constant, 4), round(fit.r2, 6), round(fit.predict(10_000, d=1), 6)
    (1.0, 30.0, 1.0, 0.003)
    """
    sizes = tensor(n, "n", dims=1, rows=2)
    given = {"n": sizes, "loss": loss, "d": d, "kf": kf}
    columns = {}
    for name, values in given.items():
        if isinstance(values, int | float):
            values = torch.full_like(sizes, float(values))
        columns[name] = tensor(values, name, dims=1).to(sizes.device)
        if len(columns[name]) != len(sizes):
            raise InputError(f"n has {len(sizes)} runs but {name} has {len(columns[name])}")
        if not (columns[name] > 0).all():
            raise InputError(f"{name} holds {float(columns[name].min()):g}; it must be above 0")
    x = -columns["n"].log() / columns["d"]
    y = columns["loss"].log() - columns["kf"].clamp(min=1).log()
    x_centred, y_centred = x - x.mean(), y - y.mean()
    spread = float(x_centred @ x_centred)
    if spread <= 1e-24 * float(x @ x):
        raise InputError("ln(n) / d is the same in all runs, so that there is no slope; vary n or d")
    slope = float(x_centred @ y_centred) / spread
    left = float((y_centred - slope * x_centred).square().sum())
    total = float(y_centred @ y_centred)
    # Losses that are all the same are explained whole by a slope of 0.
    r2 = 1 - left / total if total > 0 else 1.0
    return ScalingFit(slope, math.exp(float(y.mean()) - slope * float(x.mean())), r2, len(sizes))
