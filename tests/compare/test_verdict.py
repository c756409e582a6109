import pytest

from farfield.compare.verdict import partial, roles, selection, standing, verdict


def results(*rows, seeds=3, baseline="erm", tasks=1, selection="iid", trials=1):
    """A leaderboard of (method, far, difference) and what the sentences need besides."""

    def interval(value):
        return value if value is None or isinstance(value, dict) else {"mean": value, "low": None, "high": None}

    board = [
        {"method": m, "near": interval(0.9), "far": interval(far), "difference": interval(difference),
         "trials_done": seeds, "trials_failed": 0, "seeds": seeds}
        for m, far, difference in rows
    ]  # fmt: skip
    return {
        "settings": {"baseline": baseline, "seeds": seeds, "selection": selection, "trials": trials},
        "tasks": [{"name": f"t{i}"} for i in range(tasks)],
        "leaderboard": board,
        "trials": [{"state": "failed"} for far in board if far["far"] is None],
    }


def between(mean, low, high):
    return {"mean": mean, "low": low, "high": high}


def answer(*rows, **settings):
    return verdict(results(*rows, **settings))[0].replace("\N{NO-BREAK SPACE}", " ")


def test_an_interval_that_includes_zero_settles_nothing():
    assert answer(("sam", 0.712, between(0.013, -0.004, 0.03)), ("erm", 0.699, None), tasks=5) == (
        "On these 5 tasks, sam held up best: 71.2 % far accuracy, +1.3 points over erm (95 % interval −0.4 to +3.0): "
        "the interval includes zero, so with 3 seeds this is not settled."
    )


def test_an_interval_that_excludes_zero_says_so_and_claims_no_more():
    text = answer(("sam", 0.712, between(0.013, 0.004, 0.022)), ("erm", 0.699, None))
    assert text == (
        "On the task t0, sam held up best: 71.2 % far accuracy, +1.3 points over erm (95 % interval +0.4 to +2.2): "
        "the interval excludes zero."
    )


def test_the_best_of_many_is_not_taken_at_its_word():
    rows = [("sam", 0.712, between(0.013, 0.004, 0.022)), ("erm", 0.699, None), ("irm", 0.6, between(-0.1, -0.2, 0.1))]
    assert "picked as the best of 2 methods after looking" in answer(*rows)


def test_a_bound_that_is_written_as_zero_is_not_above_it():
    assert standing(between(0.02, 0.0004, 0.04)) == "open"
    assert standing(between(0.02, 0.0006, 0.04)) == "better"
    assert standing(between(-0.02, -0.04, -0.0006)) == "worse"
    assert standing(between(-0.02, -0.04, -0.0004)) == "open"


def test_one_seed_gives_no_interval_and_no_claim():
    text = answer(("sam", 0.712, 0.013), ("erm", 0.699, None), seeds=1)
    assert "+1.3 points over erm" in text
    assert "From one seed there is no interval, so this may be chance" in text
    assert "excludes" not in text


def test_a_baseline_that_nobody_beats_is_named_as_such():
    rows = [("erm", 0.7, None), ("sam", 0.69, between(-0.01, -0.02, -0.005))]
    text = answer(*rows)
    assert "no method held up better than the baseline erm: 70.0 % far accuracy" in text
    assert "The closest is sam: −1.0 points against erm (95 % interval −2.0 to −0.5)" in text
    assert "in favour of erm" in text


def test_without_the_baseline_no_difference_is_claimed():
    text = answer(("sam", 0.7, None), ("irm", 0.6, None), ("erm", None, None))
    assert "The baseline erm did not finish, so no difference can be given" in text
    assert "points" not in text


def test_a_single_method_has_nothing_to_be_compared_with():
    assert "nothing to compare it with" in answer(("erm", 0.7, None))


def test_nothing_finished():
    assert verdict(results(("erm", None, None), ("sam", None, None))) == [
        "No method finished every task: 2 of 2 trials failed, so there is nothing to compare."
    ]


def test_the_others_are_counted_by_what_their_intervals_say():
    rows = [
        ("a", 0.8, between(0.1, 0.05, 0.15)),
        ("b", 0.75, between(0.05, -0.01, 0.1)),
        ("erm", 0.7, None),
        ("c", 0.6, between(-0.1, -0.2, -0.05)),
        ("d", 0.5, between(-0.2, -0.3, -0.1)),
    ]
    assert (
        "Of 4 methods compared with erm, 1 is better and 2 worse with an interval that excludes zero; 1 cannot"
        in (verdict(results(*rows))[1])
    )


def test_the_loss_outside_adds_up_as_written():
    row = ("erm", between(0.73749, 0.7, 0.8), None)
    sentence = verdict(results(row))[-1].replace("\N{NO-BREAK SPACE}", " ")
    assert sentence == "Outside its training domains erm loses 16.3 points: 90.0 % near, 73.7 % far."


def test_seeds_lost_to_failures_do_not_count_as_evidence():
    data = results(("sam", 0.712, between(0.013, -0.004, 0.03)), ("erm", 0.699, None), seeds=5)
    data["leaderboard"][0]["seeds"] = 2
    assert "with 2 seeds this is not settled" in verdict(data)[0]


@pytest.mark.parametrize("trials", [1, 20])
def test_oracle_is_called_an_upper_bound_everywhere(trials):
    data = results(("erm", 0.7, None), selection="oracle", trials=trials)
    assert any("upper bound" in sentence for sentence in verdict(data))
    assert "upper bound" in selection(data)
    assert "Nothing of the test domains" not in selection(data)
    assert ("20" in selection(data)) == (trials == 20)


@pytest.mark.parametrize("name", ["iid", "leave-one-domain-out"])
def test_other_selections_say_that_the_test_domains_stayed_out(name):
    data = results(("erm", 0.7, None), selection=name)
    assert "Nothing of the test domains entered the choice" in selection(data)
    assert not any("upper bound" in sentence for sentence in verdict(data))


def test_a_method_that_never_finished_is_not_ranked_but_named():
    data = results(("erm", 0.7, None), ("irm", None, None))
    data["leaderboard"][1] |= {"trials_done": 0, "trials_failed": 3}
    assert partial(data) == ["irm: 3 of 3 trials failed; it finished every task with no seed, so it is not ranked."]
    assert roles(data).worst is None
