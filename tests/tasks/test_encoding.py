"""Columns become inputs: closed forms, and fitted on training rows alone."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.tasks.encoding import apply, check_features, fit, kind_of


def encode(frame, rows):
    # Through JSON, as a saved model's card goes.
    columns = json.loads(json.dumps(fit(frame, list(frame.columns), np.asarray(rows), source="x.csv")))
    return apply(columns, frame, source="x.csv")


def test_numbers_are_standardised_by_the_training_rows_only():
    x, notes = encode(pd.DataFrame({"a": [0.0, 2.0, 7.0], "b": [5, 5, 8]}), [0, 1])
    # a: mean 1, std 1; b does not vary in training and is only centred.
    np.testing.assert_allclose(x, [[-1, 0], [1, 0], [6, 3]])
    assert x.dtype == np.float32
    assert notes == ()


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=20), st.floats(0.01, 100), st.floats(-100, 100))
@settings(deadline=None)
def test_training_rows_have_mean_0_and_std_1_or_do_not_vary(values, scale, shift):
    v = np.array(values) * scale + shift
    x, _ = encode(pd.DataFrame({"a": v}), range(len(v)))
    if v.std() > 1e-3 * (1 + np.abs(v).max()):
        np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-4)
    elif v.std() == 0:
        np.testing.assert_allclose(x, 0, atol=1e-4)


def test_strings_and_booleans_are_one_hot_and_unseen_values_are_zeros_and_noted():
    frame = pd.DataFrame({"s": ["b", "a", "c", "c"], "t": [True, False, True, True]})
    x, notes = encode(frame, [0, 1])
    np.testing.assert_array_equal(x, [[0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    assert len(notes) == 1
    assert notes[0].startswith("2 of 4 rows of x.csv have a value of 's' that no training row has, such as 'c'")


def test_a_boolean_is_known_however_it_is_written():
    columns = fit(pd.DataFrame({"t": [True, False]}), ["t"], np.array([0, 1]), source="x.csv")
    x, notes = apply(columns, pd.DataFrame({"t": ["TRUE", "false"]}), source="new.csv")
    np.testing.assert_array_equal(x, [[0, 1], [1, 0]])
    assert notes == ()


def test_lists_of_numbers_are_vectors():
    x, _ = encode(pd.DataFrame({"e": [[0.0, 1.0], [2.0, 1.0], [4.0, 5.0]]}), [0, 1])
    np.testing.assert_allclose(x, [[-1, 0], [1, 0], [3, 4]])
    columns = fit(pd.DataFrame({"e": [[0.0, 1.0]]}), ["e"], np.array([0]), source="x")
    with pytest.raises(InputError, match="'e' of new holds 3 numbers per row; 2 are expected"):
        apply(columns, pd.DataFrame({"e": [[1.0, 2.0, 3.0]]}), source="new")
    for bad, says in (([[1.0], [1.0, 2.0]], "lists of 1 to 2 values"), ([["a"], ["b"]], "something else than numbers")):
        with pytest.raises(InputError, match=says):
            check_features(pd.DataFrame({"e": bad}), ["e"], source="x")


def test_numbers_of_every_type_are_read():
    frame = pd.DataFrame(
        {
            "i": pd.array([1, 3], dtype="Int64"),
            "f": np.array([1, 3], dtype=np.float32),
            "u": np.array([1, 3], dtype=np.uint8),
        }
    )
    np.testing.assert_allclose(encode(frame, [0, 1])[0], [[-1] * 3, [1] * 3])


def test_missing_and_infinite_values_are_counted_by_column():
    frame = pd.DataFrame({"a": [1.0, np.nan, np.inf, -np.inf], "b": ["x", None, None, "x"], "c": [1, 2, 3, 3]})
    with pytest.raises(InputError) as error:
        check_features(frame, ["a", "b", "c"], source="x.csv")
    assert "3 missing and 2 infinite feature values: a (1 missing and 2 infinite), b (2 missing);" in str(error.value)
    with pytest.raises(InputError, match="1 missing feature values: e \\(1 missing\\)"):
        check_features(pd.DataFrame({"e": [[1.0, np.nan], [1.0, 2.0]]}), ["e"], source="x")
    check_features(frame, ["c"], source="x.csv")


def test_identifiers_are_refused_with_what_to_do():
    ids = pd.DataFrame({"id": [f"p{i}" for i in range(12)]})
    with pytest.raises(InputError, match=r"12 different strings in 12 rows.*drop=id.*text=id"):
        check_features(ids, ["id"], source="x.csv")
    check_features(ids.iloc[:10], ["id"], source="x.csv")
    many = pd.DataFrame({"id": [f"p{i % 1001}" for i in range(5000)]})
    with pytest.raises(InputError, match="1001 different strings"):
        check_features(many, ["id"], source="x.csv")
    mixed = pd.DataFrame({"n": [str(i) for i in range(11)] + ["12 kg"]})
    with pytest.raises(InputError, match="mostly numbers but holds strings, the first in row 12 \\('12 kg'\\)"):
        check_features(mixed, ["n"], source="x.csv")


def test_a_column_that_counts_the_rows_is_refused():
    with pytest.raises(InputError, match=r"'k' of x\.csv only counts the rows.*drop=k"):
        check_features(pd.DataFrame({"k": np.arange(5, 15)}), ["k"], source="x.csv")
    check_features(pd.DataFrame({"k": np.arange(5, 15)[::-1]}), ["k"], source="x.csv")


def test_dates_and_mixtures_are_refused():
    for values, says in (
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "datetime64.*drop=c"),
        (pd.Series(["a", 1], dtype=object), "mixed or unknown types"),
        (np.array([1j, 2j]), "complex128"),
    ):
        with pytest.raises(InputError, match=says):
            kind_of(pd.Series(values, name="c"), source="x.csv")


def test_what_does_not_fit_a_saved_encoding_is_refused():
    columns = fit(pd.DataFrame({"a": [1.0, 2.0]}), ["a"], np.array([0, 1]), source="x.csv")
    for frame, says in (
        (pd.DataFrame({"b": [1.0]}), "new.csv lacks the column 'a'; its columns are b"),
        (pd.DataFrame({"a": ["x"]}), "holds str values; numbers are expected"),
        (pd.DataFrame({"a": [1e300]}), "too large for 32-bit floats"),
    ):
        with pytest.raises(InputError, match=says):
            apply(columns, frame, source="new.csv")
