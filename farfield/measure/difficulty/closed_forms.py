"""The difficulty of few-shot learning, of control, of two tasks at once, and the bias that a trained model shows."""

import math
from collections.abc import Sequence

from farfield.errors import InputError
from farfield.measure.difficulty.complexity import LN2, Difficulty, evaluate, log2_difference, log_harmonics


def fewshot_difficulty(
    error: float,
    log2_n: float,
    m_within: float,
    m_across: float,
    radius: float,
    delta: float,
    ways: int = 20,
) -> Difficulty:
    """Return the difficulty of learning to classify from one example of each of some classes.

    The function to learn maps ``ways`` images to a classifier of further images. The classifier is one of
    ``D = 2 ways (ways - 1) E`` dimensions on an image's manifold, the input has ``m_across + (ways - 1) m_within`` dimensions:
    one class anywhere, and the others in the neighbourhood that classes of one set share.

    **Arguments:**
    - ``error``: to reach, above 0; ``log2_n``: base-2 logarithm of the number of sets of images to learn from, see
      `fewshot_sets`.
    - ``m_within``, ``m_across``: intrinsic dimension of the images of one set (an alphabet) and of all images, at least 1.
    - ``radius``: largest norm of an image; ``delta``: smallest distance of images of different class, above 0.
    - ``ways``: classes in a set, at least 2.

    Raises InputError on an argument out of range.

    Source: Boopathy et al., ICML 2023, appendix on few-shot tasks; the numbers are those of the released code.

    >>> omniglot = fewshot_difficulty(0.01, fewshot_sets([20] * 30), 22, 29, 49.4065, 5.4772)
    >>> round(omniglot.log2_bits / math.log2(10))  # about 10^145 bits
    145
    """
    if ways < 2:
        raise InputError(f"ways is {ways}; a set needs at least 2 classes")
    _at_least_one(m_within=m_within, m_across=m_across)
    if not (radius > 0 and delta > 0):
        raise InputError(f"radius is {radius} and delta is {delta}; both must be above 0")
    pairs = ways * (ways - 1)
    log2_out = 1 + math.log2(pairs) + log_harmonics(m_within, 2 * math.pi * radius / delta) / LN2
    m = m_across + (ways - 1) * m_within
    return evaluate(error, log2_n, m, radius * math.sqrt(ways), 1, delta, log2_out, math.sqrt(pairs))


def fewshot_sets(classes: Sequence[int], ways: int = 20, examples: int = 20) -> float:
    """Return log2 of how many sets of ``ways`` images there are, each set from one group (an alphabet).

    **Arguments:** ``classes``: the number of classes of each group; a group with fewer than ``ways`` counts as one with
    exactly that many, as in the released code; ``examples``: images of each class.

    Raises InputError where a number is below 1.

    >>> fewshot_sets([2, 3], ways=2, examples=1)  # 1 + 3 pairs of classes
    2.0
    """
    if not classes or min(classes) < 1 or ways < 1 or examples < 1:
        raise InputError(
            f"classes is {list(classes)}, ways {ways} and examples {examples}; expected numbers of at least 1"
        )
    return math.log2(sum(math.comb(max(c, ways), ways) for c in classes)) + ways * math.log2(examples)


def rl_difficulty(
    obs_dim: int, act_dim: int, n: float, delta: float, error: float, horizon: int = 1
) -> tuple[float, float]:
    """Return the difficulty of finding a control policy, and its base-2 logarithm: ``(bits, log2_bits)``.

    Observations are angles, so they fill a torus, whose eigenfunctions are counted by a ball's volume. With
    ``m = obs_dim * horizon``: ``D (2 (2 pi/delta)^m pi^(m/2) / Gamma(m/2 + 1) - n) [log2(4 pi^2/sqrt 6) + log2 D + log2(m)/2 -
    log2 delta - log2(n)/m - log2 error]``. A policy that must remember ``horizon`` observations, because one does not show the
    state, needs the dimensions of all of them.

    **Arguments:**
    - ``obs_dim``, ``act_dim``: numbers in an observation and in an action, at least 1.
    - ``n``: observations to learn from, at least 1; ``delta``: radians that must be told apart; ``error``: to reach, both above 0.
    - ``horizon``: how many observations the policy must look at, at least 1; 1 where one shows the state.

    ``(0.0, -inf)`` where the data determine the policy (the formula is 0 or less); ``bits`` is inf from 2^1024 on.

    Raises InputError on an argument out of range.

    Source: Boopathy et al., ICML 2023, section on reinforcement learning; the released code's two formulas, Cartpole's and
    MuJoCo's, are this one (Cartpole: two angles per step, one action).

    >>> [f"{rl_difficulty(2, 1, 1e4, 1e-3, 1e-3, horizon=t)[0]:.2g}" for t in (1, 2)]
    ['4.4e+09', '3.3e+17']
    """
    _at_least_one(obs_dim=obs_dim, act_dim=act_dim, n=n, horizon=horizon)
    if not (delta > 0 and error > 0):
        raise InputError(f"delta is {delta} and error is {error}; both must be above 0")
    m = obs_dim * horizon
    log2_count = 1 + m * math.log2(2 * math.pi / delta) + (m / 2 * math.log(math.pi) - math.lgamma(m / 2 + 1)) / LN2
    sign, log2_free = log2_difference(log2_count, math.log2(n))
    constant = math.log2(4 * math.pi**2 / math.sqrt(6))
    bracket = constant + math.log2(act_dim) + math.log2(m) / 2 - math.log2(delta) - math.log2(n) / m - math.log2(error)
    if sign <= 0 or bracket <= 0:
        return 0.0, -math.inf
    log2_bits = math.log2(act_dim) + log2_free + math.log2(bracket)
    return (2.0**log2_bits if log2_bits < 1024 else math.inf), log2_bits


def union_difficulty(a: Difficulty, b: Difficulty, error: float | None = None) -> Difficulty:
    """Return the difficulty of solving two tasks with one function of a pair of inputs.

    There are ``n1 n2`` pairs, of ``m1 + m2`` dimensions and norm ``sqrt(R1^2 + R2^2)``, ``d1 d2`` combinations of classes.

    **Arguments:** ``a``, ``b``: from `inductive_bias_complexity` or `task_difficulty`; ``error``: to reach, the smaller of the two
    where it is not given. The output dimension is the number of classes of ``a`` and delta is that of ``a``, as in the released code:
    the order of the two matters.

    Raises InputError on an error that is not above 0.

    >>> from farfield.measure import inductive_bias_complexity
    >>> one = inductive_bias_complexity(0.1, n=10, m=2, radius=1, n_discrete=2, delta=0.5, out_dim=1)
    >>> both = union_difficulty(one, one)
    >>> both.m, round(both.n), both.bits > 2 * one.bits
    (4.0, 100, True)
    """
    return evaluate(
        min(a.error, b.error) if error is None else error,
        a.log2_n + b.log2_n,
        a.m + b.m,
        math.hypot(a.radius, b.radius),
        a.classes * b.classes,
        a.delta,
        math.log2(a.classes),
        1.0,
    )


def bias_provided(task: Difficulty, model_error: float) -> Difficulty:
    """Return the bits of inductive bias that a model must have brought, given the test error that it reached.

    It is the difficulty of the task at that error instead of the wanted one. An error that any function reaches gives 0.

    **Arguments:** ``task``: from `inductive_bias_complexity` or `task_difficulty`; ``model_error``: above 0, on the scale of the
    task's error.

    Raises InputError where ``model_error`` is not above 0: a perfect score on a finite test bounds the error only.

    Source: Boopathy et al., ICML 2023, section on the bias of model classes.

    >>> from farfield.measure import inductive_bias_complexity
    >>> task = inductive_bias_complexity(0.01, n=1000, m=4, radius=10, n_discrete=10, delta=2.5, out_dim=9)
    >>> bias_provided(task, 0.05).bits < bias_provided(task, 0.01).bits == task.bits
    True
    """
    return evaluate(
        model_error, task.log2_n, task.m, task.radius, task.classes, task.delta, task.log2_out_dim, task.bound
    )


def _at_least_one(**values: float) -> None:
    for name, value in values.items():
        if not (value >= 1 and math.isfinite(value)):
            raise InputError(f"{name} is {value}; it must be a finite number of at least 1")
