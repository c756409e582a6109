"""Equal hyper-parameter trials for every method, seeded, with the defaults among them."""

import pytest

from farfield.compare.tuning import search_space, tune
from farfield.errors import NonFiniteLoss
from farfield.methods import METHODS, Choice, Range

SPACE = {"a": Range(1e-3, 1e1, log=True), "b": Choice((1, 2, 3))}


def test_exactly_as_many_trials_as_asked_and_the_first_are_the_defaults():
    seen = []
    tune(lambda s: seen.append(s) or 0.0, SPACE, trials=5, seed=0, name="demo")
    assert len(seen) == 5 and seen[0] == {}
    assert all(1e-3 <= s["a"] <= 1e1 and s["b"] in (1, 2, 3) for s in seen[1:])


def test_one_trial_takes_the_defaults():
    best, candidates = tune(lambda s: 0.0, SPACE, trials=1, seed=0, name="demo")
    assert best == {} and len(candidates) == 1


def test_seed_and_name_decide_the_draws():
    def draws(seed, name):
        return [c.settings for c in tune(lambda s: 0.0, SPACE, trials=4, seed=seed, name=name)[1]]

    assert draws(0, "sam") == draws(0, "sam")
    assert draws(0, "sam") != draws(1, "sam")
    assert draws(0, "sam") != draws(0, "irm")


def test_the_best_score_wins_and_the_defaults_win_a_tie():
    best, _ = tune(lambda s: s.get("b", 0), SPACE, trials=12, seed=0, name="demo")
    assert best["b"] == 3
    assert tune(lambda s: 1.0, SPACE, trials=4, seed=0, name="demo")[0] == {}


def test_a_candidate_that_diverges_loses_and_all_of_them_is_an_error():
    def diverges(settings):
        raise NonFiniteLoss(step=1, value=float("nan"), before=[])

    def only_defaults_diverge(settings):
        return diverges(settings) if not settings else 0.5

    best, candidates = tune(only_defaults_diverge, SPACE, trials=3, seed=0, name="demo")
    assert best != {} and candidates[0].score is None
    with pytest.raises(NonFiniteLoss):
        tune(diverges, SPACE, trials=3, seed=0, name="demo")


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_accepts_what_its_space_draws(name):
    import inspect

    accepted = inspect.signature(METHODS[name].fit).parameters
    assert set(search_space(METHODS[name], 1e-3)) <= set(accepted)
