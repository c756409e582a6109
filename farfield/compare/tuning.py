"""Every method gets the same number of hyper-parameter trials; what is scored is up to the model selection."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from farfield.errors import NonFiniteLoss
from farfield.methods import Choice, Method, Range


@dataclass(frozen=True)
class Candidate:
    """A hyper-parameter setting that was tried: its score (higher is better; None where its loss was not finite)."""

    settings: dict[str, Any]
    score: float | None


def search_space(method: Method, learning_rate: float) -> dict[str, Range | Choice]:
    """Return what is searched for a method: a decade around the default learning rate, weight decay, and its own.

    >>> from farfield import methods
    >>> sorted(search_space(methods.load("erm"), 1e-3))
    ['learning_rate', 'weight_decay']
    """
    return {
        "learning_rate": Range(learning_rate / 10, learning_rate * 10, log=True),
        "weight_decay": Range(1e-6, 1e-2, log=True),
        **method.space,
    }


def tune(
    score: Callable[[dict[str, Any]], float],
    space: Mapping[str, Range | Choice],
    *,
    trials: int,
    seed: int,
    name: str,
) -> tuple[dict[str, Any], list[Candidate]]:
    """Return the settings with the highest score, and all that were tried.

    The first candidate is the method's defaults (empty settings), the others are Optuna's tree-structured Parzen
    estimator's, seeded by ``seed`` and ``name``, so that adding a method changes nothing for the others.

    Raises NonFiniteLoss where every candidate ended in one.

    >>> best, tried = tune(lambda s: -abs(s.get("a", 9.0) - 1), {"a": Range(0, 2)}, trials=8, seed=0, name="demo")
    >>> len(tried), 0 < best["a"] < 2
    (8, True)
    """
    candidates: list[Candidate] = []
    last_error: NonFiniteLoss | None = None

    def attempt(settings: dict[str, Any]) -> float | None:
        nonlocal last_error
        try:
            value = score(settings)
        except NonFiniteLoss as error:
            last_error, value = error, None
        candidates.append(Candidate(settings, value))
        return value

    attempt({})
    if trials > 1:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=zlib.crc32(f"{seed}/{name}".encode()))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for _ in range(trials - 1):
            ask = study.ask({key: _distribution(bounds) for key, bounds in space.items()})
            value = attempt(dict(ask.params))
            if value is None:
                study.tell(ask, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(ask, value)
    finite = [c for c in candidates if c.score is not None]
    if not finite:
        assert last_error is not None
        raise last_error
    # The earlier of two equals: the defaults win a tie.
    return max(finite, key=lambda c: c.score if c.score is not None else -math.inf).settings, candidates


def _distribution(bounds: Range | Choice) -> Any:
    import optuna

    if isinstance(bounds, Choice):
        return optuna.distributions.CategoricalDistribution(bounds.values)
    return optuna.distributions.FloatDistribution(bounds.low, bounds.high, log=bounds.log)
