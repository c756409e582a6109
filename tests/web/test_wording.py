import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.web import wording

fractions = st.floats(-1, 1, allow_nan=False)


@given(fractions)
def test_points_carry_a_sign_exactly_where_they_are_written_as_nonzero(value):
    text = wording.points(value)
    number = float(text.replace("−", "-"))
    assert number == pytest.approx(100 * value, abs=0.0501)
    assert text[0] in "+−" if number else text == "0.0"


@given(st.floats(0, 1), st.floats(0, 0.3))
def test_bounds_of_an_accuracy_stay_within_what_is_possible(mean, half):
    low, high = wording.between({"mean": mean, "low": mean - half, "high": mean + half}).split(" to ")
    assert 0 <= float(low) <= float(high) <= 100


def test_an_interval_without_bounds_is_not_written():
    assert wording.between({"mean": 0.5, "low": None, "high": None}) == ""
    assert wording.between(None) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0421, "0.042 s"), (0.949, "0.95 s"), (0.999, "1.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"),
     (3599.7, "1 h 0 min"), (86400, "24 h 0 min")],
)  # fmt: skip
def test_durations_at_the_edges_of_their_units(seconds, text):
    assert wording.duration(seconds) == text


@given(st.text(max_size=60), st.integers(3, 40))
def test_shortening_keeps_both_ends_and_the_length(text, length):
    short = wording.shorten(text, length)
    assert len(short) == min(len(text), length)
    assert short[:1] == text[:1]
    assert short[-1:] == text[-1:]


@given(st.text(st.characters(codec=None), max_size=30))
def test_printable_text_can_be_written_anywhere(text):
    cleaned = wording.printable({text: [text]})
    ((key, [value]),) = cleaned.items()
    assert key == value
    assert value.isprintable()
    assert len(value) == len(text)
    value.encode()


@given(st.lists(st.text("ab/=", min_size=1, max_size=8), min_size=2, max_size=5, unique=True))
def test_distinct_names_stay_distinct(names):
    assert len(set(wording.distinct(names))) == len(names)
