"""Inductive-bias complexity: the bits that must be known beyond the data in order to generalize, from six numbers of a task."""

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

from farfield.errors import InputError

LN2 = math.log(2)


@dataclass(frozen=True)
class Difficulty:
    """How hard a task is to generalize on, whatever learns it, with the numbers that it was computed from.

    **Fields:** the arguments of `inductive_bias_complexity`, with ``n_discrete`` as ``classes`` (``log2_n`` and ``log2_out_dim`` may
    lie beyond float's range), and ``terms`` of the formula, which ``components`` names. From them follow:

    - ``bits``: bits of inductive bias, at least 0; infinite from 2^1024 on, where ``log2_bits`` still tells.
    - ``log2_bits``: its base-2 logarithm, -inf where ``bits`` is 0.
    - ``determined_by_data``: the formula has left its domain: the data leave no function to choose from, or any function
      reaches the error. ``bits`` is then 0, and such a task must not be ranked among others.
    - ``formula_bits``: what the formula gives all the same, negative numbers included.

    >>> found = inductive_bias_complexity(0.1, n=10, m=2, radius=1, n_discrete=2, delta=0.5, out_dim=1)
    >>> round(found.bits, 4), found.determined_by_data, round(found.components["K"], 4)
    (4912.0486, False, 12.0763)
    """

    error: float
    log2_n: float
    m: float
    radius: float
    classes: float
    delta: float
    log2_out_dim: float
    bound: float
    terms: tuple[float, ...]

    NAMES: ClassVar = ("M", "K", "log2_E", "log_W", "log2_L_f", "log2_dimensions", "bits_per_dimension")

    @property
    def determined_by_data(self) -> bool:
        return self._free()[0] <= 0 or self.terms[-1] <= 0

    @property
    def bits(self) -> float:
        return 0.0 if self.determined_by_data else self.formula_bits

    @property
    def formula_bits(self) -> float:
        sign, log2_free = self._free()
        bracket = self.terms[-1]
        return sign * math.copysign(1.0, bracket) * _power(log2_free + _log2(abs(bracket)))

    @property
    def log2_bits(self) -> float:
        return -math.inf if self.determined_by_data else self._free()[1] + _log2(self.terms[-1])

    @property
    def n(self) -> float:
        return _power(self.log2_n)

    @property
    def out_dim(self) -> float:
        return _power(self.log2_out_dim)

    @property
    def components(self) -> dict[str, float]:
        """The formula's parts, in the paper's symbols.

        ``M`` largest frequency; ``K`` degree and ``E`` (``log2_E``) number of spherical harmonics up to it; ``log_W`` nats, bound
        on the Wasserstein distance between data and their distribution; ``L_f`` (``log2_L_f``) Lipschitz constant;
        ``log2_dimensions`` of ``dim Theta``; ``free_dimensions`` those that the data leave (dim Theta_q, may be negative);
        ``bits_per_dimension`` the bracket of the formula.
        """
        named = dict(zip(self.NAMES, self.terms))
        for log, name in (("log2_E", "E"), ("log2_L_f", "L_f"), ("log2_dimensions", "dimensions")):
            named[name] = _power(named[log])
        sign, log2_free = self._free()
        return named | {"free_dimensions": sign * _power(log2_free)}

    def _free(self) -> tuple[int, float]:
        """Return sign and log2 magnitude of dim Theta_q = dim Theta - n D."""
        return log2_difference(self.terms[self.NAMES.index("log2_dimensions")], self.log2_n + self.log2_out_dim)


def inductive_bias_complexity(
    error: float,
    n: float,
    m: float,
    radius: float,
    n_discrete: float,
    delta: float,
    out_dim: float,
    bound: float = 1.0,
) -> Difficulty:
    """Return the inductive-bias complexity of a task: the bits needed beyond its data to reach a test error.

    ``dim Theta_q * [log2 B + log2(D)/2 + log2(d)/2 - log2 error + log2 L_f + log2 W]``, where ``dim Theta_q = 2 D d E - n D`` counts
    the functions on an m-dimensional sphere, up to the frequency that separates the classes, that the data leave undecided.
    An upper bound, exponential in ``m`` (while the largest frequency ``2 pi R / delta`` is well above m) and polynomial in
    ``1/delta``; scaling radius and delta together changes nothing.
    Everything is computed in logarithms, so nothing overflows.

    **Arguments:**
    - ``error``: test error to reach, above 0, relative to the Lipschitz constant of the loss; compare tasks at the same one.
    - ``n``: training points, at least 1 (a float: few-shot tasks count sets of images).
    - ``m``: intrinsic dimension of the inputs, at least 1. The published code rounds it; here it may be real.
    - ``radius``: R, largest norm of an input, not centred; ``delta``: smallest distance of inputs of different class; both in
      the inputs' unit, above 0.
    - ``n_discrete``: d, combinations of discrete outputs: the number of classes.
    - ``out_dim``: D, output dimension: classes - 1 in classification.
    - ``bound``: B, largest absolute value of the function.

    Where the formula gives 0 or less (more data than functions, or an error that any function reaches) it has left its domain:
    ``bits`` is 0, ``determined_by_data`` is True and a UserWarning says so.

    Raises InputError on an argument out of range.

    Source: Boopathy et al., ICML 2023, theorem 1; the numbers are those of the released code.

    >>> mnist = inductive_bias_complexity(0.001, 60_000, 14, 17.179, 10, 2.39871, 9)
    >>> f"{mnist.bits:.3g}"
    '1.48e+16'
    """
    for name, value, least in (("n", n, 1), ("m", m, 1), ("n_discrete", n_discrete, 1), ("out_dim", out_dim, 1)):
        if not (value >= least and math.isfinite(value)):
            raise InputError(f"{name} is {value}; it must be a finite number of at least {least}")
    return evaluate(error, math.log2(n), m, radius, n_discrete, delta, math.log2(out_dim), bound)


def evaluate(
    error: float,
    log2_n: float,
    m: float,
    radius: float,
    n_discrete: float,
    delta: float,
    log2_out_dim: float,
    bound: float,
) -> Difficulty:
    """Return what `inductive_bias_complexity` does, from base-2 logarithms of ``n`` and ``out_dim`` that may be beyond any float.

    >>> round(evaluate(0.01, 20.0, 5, 10, 1, 2, 3000.0, 1).log2_bits)  # an output of 2^3000 dimensions
    3028
    """
    for name, value in {"error": error, "radius": radius, "delta": delta, "bound": bound}.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(f"{name} is {value}; it must be above 0 and finite")
    frequency = 2 * math.pi * radius / delta
    degree = _degree(m, frequency)
    log2_count = log_harmonics(m, frequency) / LN2
    log_w = log_wasserstein(log2_n * LN2, m, radius, n_discrete)
    log2_lipschitz = math.log2(degree) + log2_out_dim / 2 - math.log2(radius)
    log2_dimensions = 1 + log2_out_dim + math.log2(n_discrete) + log2_count
    bracket = (
        math.log2(bound)
        + log2_out_dim / 2
        + math.log2(n_discrete) / 2
        - math.log2(error)
        + log2_lipschitz
        + log_w / LN2
    )
    found = Difficulty(
        float(error),
        log2_n,
        float(m),
        float(radius),
        float(n_discrete),
        float(delta),
        log2_out_dim,
        float(bound),
        (frequency, degree, log2_count, log_w, log2_lipschitz, log2_dimensions, bracket),
    )
    if found.determined_by_data:
        warnings.warn(
            "the inductive-bias complexity has left its domain (more data than functions to choose from, or an error that "
            "every function reaches): the task is determined by its data, and its 0 bits cannot be ranked",
            UserWarning,
            stacklevel=3,
        )
    return found


def log_harmonics(m: float, frequency: float) -> float:
    """Return ln E: how many eigenfunctions of the Laplacian on the sphere S^m have a frequency of at most M.

    ``K (K + m - 1) = M^2`` gives their largest degree K, a real number, and E is ``C(m+K, m) + C(m+K-1, m)``.

    **Arguments:** ``m`` at least 1; ``frequency`` M, above 0.

    >>> round(math.exp(log_harmonics(1, 3.0)), 9), round(math.exp(log_harmonics(2, 12**0.5)), 9)  # 2 K + 1 and (K + 1)^2
    (7.0, 16.0)
    """
    degree = _degree(m, frequency)
    # C(m+K-1, m) = C(m+K, m) K / (m+K)
    return _log_gamma_ratio(degree + 1, m) - math.lgamma(m + 1) + math.log1p(degree / (m + degree))


def log_wasserstein(log_n: float, m: float, radius: float, n_discrete: float) -> float:
    """Return ln W in nats: a bound on the Wasserstein distance between n points and the distribution that they come from.

    >>> round(log_wasserstein(math.log(10), 2, 1.0, 2), 6)
    -0.088513
    """
    volume = LN2 + (m + 1) / 2 * math.log(math.pi) + math.log(n_discrete) - math.lgamma((m + 1) / 2)
    return math.log(m / 6) / 2 + volume / m + math.log(radius) - log_n / m


def _degree(m: float, frequency: float) -> float:
    # (hypot(m-1, 2M) - (m-1)) / 2, written so that nothing cancels where M is far below m.
    return frequency * (2 * frequency / (math.hypot(m - 1, 2 * frequency) + m - 1))


def _log_gamma_ratio(x: float, m: float) -> float:
    """Return ln Gamma(x + m) - ln Gamma(x); for large x by Stirling's series, in which the large terms have cancelled."""
    if x < 20:
        return math.lgamma(x + m) - math.lgamma(x)

    def rest(z: float) -> float:
        return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * z * z)) / (z * z)) / (z * z)) / z

    return (x - 0.5) * math.log1p(m / x) + m * math.log(x + m) - m + rest(x + m) - rest(x)


def log2_difference(a: float, b: float) -> tuple[int, float]:
    """Return sign and log2 magnitude of 2^a - 2^b."""
    if a == b:
        return 0, -math.inf
    return (1 if a > b else -1), max(a, b) + math.log2(-math.expm1(-abs(a - b) * LN2))


def _power(log2: float) -> float:
    return math.inf if log2 >= 1024 else 2.0**log2


def _log2(value: float) -> float:
    return math.log2(value) if value > 0 else -math.inf
