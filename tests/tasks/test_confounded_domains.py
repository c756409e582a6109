import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks import ConfoundedDomains, confounded_domains


def data(n=2000, values=7, share=0.75, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random(n) < share).astype(int), rng.integers(values, size=n)


def follows(found, rows, y, nuisance):
    return y[rows] == np.array([found.rule[v] for v in nuisance[rows]])


@settings(max_examples=30, deadline=None)
@given(st.floats(0.55, 0.97), st.integers(0, 50))
def test_the_share_that_follows_the_rule_is_p_in_every_group(p, seed):
    y, nuisance = data(seed=seed)
    found = confounded_domains(y, nuisance, p, seed)
    assert isinstance(found, ConfoundedDomains)
    for rows, share in ((found.source, p), (found.none, 0.5), (found.reversed, 1 - p)):
        assert len(rows) == len(set(rows.tolist())) and (np.diff(rows) > 0).all()
        for value in range(7):
            mine = rows[nuisance[rows] == value]
            # Counts are rounded, so each is off by a half at most.
            assert follows(found, mine, y, nuisance).mean() == pytest.approx(share, abs=1 / len(mine))


def test_as_many_rows_as_can_be_are_kept():
    y, nuisance = np.repeat([1, 0], [95, 20]), np.zeros(115, int)
    found = confounded_domains(y, nuisance, 0.95, rule={0: 1})
    assert [int((y[found.source] == c).sum()) for c in (1, 0)] == [95, 5]
    assert [int((y[found.none] == c).sum()) for c in (1, 0)] == [20, 20]
    assert [int((y[found.reversed] == c).sum()) for c in (1, 0)] == [1, 20]


def test_three_of_seven_values_have_the_second_label_and_the_seed_decides_which():
    y, nuisance = data()
    rules = [confounded_domains(y, nuisance, 0.9, seed).rule for seed in range(20)]
    assert all(sum(rule.values()) == 3 and sorted(rule) == list(range(7)) for rule in rules)
    assert len({tuple(sorted(rule.items())) for rule in rules}) > 10


def test_p_one_leaves_no_exception_and_a_seed_repeats():
    y, nuisance = data(share=0.5)
    found, again = confounded_domains(y, nuisance, 1.0, 3), confounded_domains(y, nuisance, 1.0, 3)
    assert follows(found, found.source, y, nuisance).all() and not follows(found, found.reversed, y, nuisance).any()
    assert all(np.array_equal(getattr(found, k), getattr(again, k)) for k in ("source", "none", "reversed"))
    other = confounded_domains(y, nuisance, 0.9, 4, rule=found.rule)
    assert other.rule == found.rule


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"p": 1.2}, "p is 1.2"),
        ({"y": np.zeros(4, int)}, "y has 1 label"),
        ({"y": np.array([0.0, 1, 0, 1])}, "integers twice"),
        ({"nuisance": np.zeros(3, int)}, "integers twice"),
        ({"rule": {0: 1}}, "no label for the value 1"),
    ],
)
def test_bad_input_is_named(change, says):
    with pytest.raises(InputError, match=says):
        confounded_domains(**{"y": np.array([0, 1, 0, 1]), "nuisance": np.array([0, 0, 1, 1]), "p": 0.9, **change})
