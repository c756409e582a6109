"""One trial of telling features in an order."""

import pytest

from farfield.trials import feature_order

POINT = {
    "features": {"a": ["contains", 3], "b": ["contains", 5]},
    "order": ["a", "b"],
    "rows": 512,
    "test_rows": 400,
    "width": 32,
    "depth": 2,
    "heads": 2,
    "steps": 150,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "device": "cpu",
    "ceiling": 0.9,
}


@pytest.fixture(scope="module")
def both():
    return {order: feature_order.trial({**POINT, "order": list(order)}, seed=0) for order in ("ab", "ba")}


def test_positions_are_named_after_the_order(both):
    for order, result in both.items():
        assert result["first_r2"] == result[f"{order[0]}_r2"] and result["second_r2"] == result[f"{order[1]}_r2"]
        assert min(result["first_accuracy"], result["second_accuracy"]) > 0.9
        assert result["first_minus_second"] == result["first_r2"] - result["second_r2"]
        assert result["first_layer_r2"][-1] == result["first_r2"] and len(result["first_layer_r2"]) == 2
        assert 0.4 < result["second_decoded"] <= 1


def test_what_is_told_next_is_there_before_it_is_told(both):
    # The value itself is not in the input up to the separator, so it was worked out from the string.
    assert all(result["first_r2"] > 0.3 for result in both.values())


def test_before_learning_neither_is_told_and_no_difference_is_reported():
    result = feature_order.trial({**POINT, "steps": 1}, seed=0)
    assert result["first_accuracy"] < 0.9 and "first_minus_second" not in result
    assert abs(result["first_r2"]) < 0.3


def test_the_same_seed_gives_the_same_numbers():
    short = {**POINT, "steps": 3}
    assert feature_order.trial(short, seed=1) == feature_order.trial(short, seed=1)
