"""Words and numbers: every measure says what it means, and numbers are written as people read them."""

import pytest

from farfield.inspect.words import GROUPS, MEASURES, written


@pytest.mark.parametrize("name", list(MEASURES))
def test_every_measure_says_what_it_means(name):
    measure = MEASURES[name]
    assert measure.group in GROUPS and measure.title and measure.meaning.endswith((".", "?"))
    assert not measure.usual or measure.usual.endswith(".")


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        ("rows", 12345, "12,345"),
        ("linear_probe", 0.12345, "12.3 %"),
        ("rsa", -0.0123, "−0.012"),
        ("rsa", 0.0, "0.000"),
        ("rsa", 1e-5, "1.0e−05"),
        ("participation_ratio", 3.14159, "3.14"),
        ("participation_ratio", 31.4159, "31.4"),
        ("nc1", 1234.5, "1,234"),
        ("label_sharpness", 1.5e8, "1.5e+08"),
    ],
)
def test_numbers_are_written(measure, value, text):
    assert written({"measure": measure, "value": value}).replace("\N{NO-BREAK SPACE}", " ") == text


def test_what_is_absent_is_a_dash():
    assert written(None) == written({"measure": "rsa", "value": 1.0, "low": None}, "low") == "–"
