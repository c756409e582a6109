import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.measure import (
    VarianceByPart,
    feature_variance,
    feature_variance_by_pc,
    feature_variance_by_unit,
    total_variance,
)

F1, F2 = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]] * 4).T
PHI = np.stack([3 * F1, F2, 0 * F1], 1).astype(float)


def by_loop(reps, feature, fit, score):
    """The definition, with numpy's least squares and one sum after the other."""
    columns = np.asarray(feature, float).reshape(len(reps), -1)
    centre = reps[fit].mean(0)
    design = np.column_stack([columns, np.ones(len(reps))])
    weights = np.linalg.lstsq(design[fit], reps[fit] - centre, rcond=None)[0]
    left = whole = 0.0
    for i in score:
        left += ((design[i] @ weights - (reps[i] - centre)) ** 2).sum()
        whole += ((reps[i] - centre) ** 2).sum()
    return 1 - left / whole


def draw(n=200, h=6, seed=0):
    rng = np.random.default_rng(seed)
    f = rng.integers(0, 2, n)
    return rng.normal(size=(n, h)) + f[:, None] * rng.normal(size=h), f


def test_the_closed_form_of_two_independent_features():
    features = {"f1": F1, "f2": F2, "both": np.stack([F1, F2], 1).astype(float), "product": F1 * F2}
    found = feature_variance(PHI, features, fit=1)
    assert found == pytest.approx({"f1": 0.9, "f2": 0.1, "both": 1.0, "product": 0.0})


def test_it_equals_the_definition_on_held_out_rows():
    reps, f = draw()
    mask = np.arange(len(f)) % 3 > 0
    expected = by_loop(reps, f, np.flatnonzero(mask), np.flatnonzero(~mask))
    assert feature_variance(reps, {"f": f}, fit=mask)["f"] == pytest.approx(expected, rel=1e-10)
    # The whole, not the mean over units: a unit of no size changes nothing.
    padded = np.column_stack([reps, 1e-6 * np.random.default_rng(1).normal(size=len(f))])
    assert feature_variance(padded, {"f": f}, fit=mask)["f"] == pytest.approx(expected, rel=1e-6)


def test_decoding_is_not_what_it_measures():
    # Both features can be read off without an error; one of them hardly exists in the variance.
    found = feature_variance(np.stack([100.0 * F1, F2], 1), {"f1": F1, "f2": F2}, fit=1)
    assert found["f2"] == pytest.approx(1e-4, rel=1e-3)


def test_classes_explain_the_ratio_of_variance_between_classes():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    reps = rng.normal(size=(300, 5)) + rng.normal(size=(4, 5))[labels]
    means = np.stack([reps[labels == k].mean(0) for k in range(4)])[labels]
    between = ((means - reps.mean(0)) ** 2).sum() / ((reps - reps.mean(0)) ** 2).sum()
    one_hot = np.eye(4)[labels]
    named = np.array(["ant", "bee", "cat", "dog"])[labels]
    found = feature_variance(reps, {"codes": labels, "one hot": one_hot, "names": named}, fit=1)
    assert list(found.values()) == pytest.approx([between] * 3)


def test_floats_are_one_regressor_and_whole_numbers_are_classes():
    x = np.arange(30.0) % 3
    reps = np.stack([x**2, np.zeros(30)], 1)
    found = feature_variance(reps, {"line": x, "classes": x.astype(int)}, fit=1)
    assert found["line"] == pytest.approx(np.corrcoef(x, x**2)[0, 1] ** 2)
    assert found["classes"] == pytest.approx(1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-100, 100))
def test_rotation_shift_scale_and_relabelling_change_nothing(seed, scale, shift):
    reps, f = draw(60, 4, seed)
    turn = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(4, 4)))[0]
    before = feature_variance(reps, {"f": f})["f"]
    assert feature_variance(scale * reps @ turn + shift, {"f": 1 - f})["f"] == pytest.approx(before, abs=1e-8)


def test_random_representations_have_about_none_and_slightly_less_on_held_out_rows():
    rng = np.random.default_rng(0)
    values = [feature_variance(rng.normal(size=(200, 20)), {"f": rng.integers(0, 2, 200)})["f"] for _ in range(40)]
    # Expected: one regressor of 100 rows adds 1 / 100 of the variance to the error, and the mean as much to the whole.
    assert np.mean(values) == pytest.approx(-0.01, abs=0.004)


def test_the_joint_share_is_the_sum_in_a_factorial_design():
    rng = np.random.default_rng(0)
    f = (np.arange(64)[:, None] >> np.arange(3)) & 1
    reps = f @ rng.normal(size=(3, 10)) + 0.3 * (f[:, :1] ^ f[:, 1:2]) @ rng.normal(size=(1, 10))
    found = feature_variance(reps, {str(i): f[:, i] for i in range(3)} | {"all": f.astype(float)}, fit=1)
    assert found["all"] == pytest.approx(found["0"] + found["1"] + found["2"])
    assert found["all"] < 1


def test_a_fixed_denominator_shows_growth():
    whole = total_variance(PHI, fit=1)
    assert whole == pytest.approx(10)
    assert feature_variance(PHI / 2, {"f1": F1}, fit=1, denominator=whole)["f1"] == pytest.approx(0.9 / 4)
    reps, f = draw()
    own = feature_variance(reps, {"f": f}, seed=3)["f"]
    assert feature_variance(reps, {"f": f}, seed=3, denominator=total_variance(reps, seed=3))["f"] == pytest.approx(own)


def test_groups_are_never_split():
    # Ten groups of rows that repeat one random point: a split inside groups would let a class per group explain all.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 20)
    reps = rng.normal(size=(10, 5))[groups]
    assert feature_variance(reps, {"own": groups})["own"] == pytest.approx(1)
    assert feature_variance(reps, {"own": groups}, groups=groups)["own"] < 0.2


def test_tensors_float32_and_far_from_zero():
    reps, f = draw(500)
    expected = feature_variance(reps, {"f": f})["f"]
    assert feature_variance(torch.tensor(reps), {"f": torch.tensor(f)})["f"] == pytest.approx(expected)
    assert feature_variance(reps.astype("float32"), {"f": f > 0})["f"] == pytest.approx(expected, rel=1e-5)
    assert feature_variance(reps + 1e6, {"f": f})["f"] == pytest.approx(expected, rel=1e-6)


def test_more_rows_than_a_chunk():
    reps, f = draw(40_000, 3)
    mask = np.arange(len(f)) % 2 == 0
    expected = by_loop(reps, f, np.flatnonzero(mask), np.flatnonzero(~mask))
    assert feature_variance(reps, {"f": f}, fit=mask)["f"] == pytest.approx(expected, rel=1e-9)


def test_components_and_units_add_up_to_the_whole():
    reps, f = draw(300, 8)
    whole = feature_variance(reps, {"f": f}, seed=1)["f"]
    units = feature_variance_by_unit(reps, {"f": f}, seed=1)
    pcs = feature_variance_by_pc(reps, {"f": f}, components=8, seed=1)
    for found in (units, pcs):
        assert isinstance(found, VarianceByPart)
        assert found.share.sum() == pytest.approx(1)
        assert (found.share * found.explained["f"]).sum() == pytest.approx(whole)


def test_the_stronger_feature_fills_the_first_component():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    found = feature_variance_by_pc(PHI @ turn, {"f1": F1, "f2": F2}, components=3, fit=1)
    assert found.share == pytest.approx([0.9, 0.1, 0], abs=1e-12)
    assert found.explained["f1"] == pytest.approx([1, 0, 0], abs=1e-9)
    assert found.explained["f2"] == pytest.approx([0, 1, 0], abs=1e-9)
    # Fewer rows than units, by the other decomposition.
    wide = np.column_stack([PHI @ turn, np.zeros((16, 30))])
    narrow = feature_variance_by_pc(wide, {"f1": F1}, components=2, fit=1)
    assert narrow.explained["f1"] == pytest.approx([1, 0], abs=1e-9)


def test_units_that_are_dead_explain_nothing():
    found = feature_variance_by_unit(PHI, {"f1": F1}, fit=1)
    assert found.explained["f1"].tolist() == pytest.approx([1, 0, 0])
    assert found.share.tolist() == pytest.approx([0.9, 0.1, 0])
    assert isinstance(feature_variance_by_unit(torch.tensor(PHI), {"f1": F1}, fit=1).share, torch.Tensor)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"features": {}}, "features is empty"),
        ({"features": {"f": np.ones(16)}}, r"features\['f'\] is the same in all rows"),
        ({"features": {"f": F1[:5]}}, r"reps has 16 rows but features\['f'\] has 5"),
        ({"features": {"f": np.where(np.arange(16) == 2, np.nan, 1.0)}}, "not finite, first in row 2"),
        ({"features": {"f": np.zeros((16, 2, 2))}}, r"expected \(n,\) or \(n, k\)"),
        ({"reps": np.ones((16, 3))}, "all rows of reps are the same"),
        ({"reps": PHI[:1]}, "n at least 2"),
        ({"fit": 0}, "fit is 0; it must be a share"),
        ({"fit": 1.5}, "fit is 1.5"),
        ({"fit": np.ones(16, bool)}, "fit is the same for all rows"),
        ({"fit": np.ones(16)}, "must be bool"),
        ({"fit": F1 > 0, "groups": F2}, "groups came with a fit"),
        ({"fit": F1 > 0}, r"features\['f1'\] is the same in all rows that fit"),
        ({"groups": np.zeros(16)}, "one group only"),
        ({"groups": np.zeros(3)}, r"groups has shape \(3,\)"),
        ({"denominator": "train"}, "denominator is 'train'"),
        ({"denominator": 0.0}, "denominator is 0.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    given_arguments = {"reps": PHI, "features": {"f1": F1}, **arguments}
    with pytest.raises(InputError, match=message):
        feature_variance(given_arguments.pop("reps"), given_arguments.pop("features"), **given_arguments)


def test_a_number_of_components_out_of_range_is_refused():
    with pytest.raises(InputError, match="components is 4; 8 rows that fit and 3 units have 1 to 3"):
        feature_variance_by_pc(PHI, {"f1": F1}, components=4)


def test_rows_that_score_without_variance_are_refused():
    reps = np.array([[-1.0], [1.0], [0.0], [0.0]])
    with pytest.raises(InputError, match="there is no variance to explain"):
        feature_variance(reps, {"f": np.array([0, 1, 0, 1])}, fit=np.array([True, True, False, False]))
