import pytest

from farfield.errors import InputError
from farfield.names import parse
from farfield.nn.options import Option, read_options

OPTIONS = {
    "hidden": Option(int, 256, low=1, high=1000),
    "dropout": Option(float, 0.0, low=0, high=0.95),
    "tune": Option(str, "full", choices=("full", "probe")),
}


def test_values_have_their_type_and_the_rest_their_default():
    assert read_options(parse("mlp?hidden=64&dropout=0.5"), OPTIONS) == {"hidden": 64, "dropout": 0.5, "tune": "full"}
    assert isinstance(read_options(parse("mlp?dropout=0"), OPTIONS)["dropout"], float)


@pytest.mark.parametrize("limit", ["1", "1000"])
def test_the_ends_of_a_range_belong_to_it(limit):
    assert read_options(parse(f"mlp?hidden={limit}"), OPTIONS)["hidden"] == int(limit)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("hidden=0", "hidden=0 of the model mlp must be a whole number from 1 to 1000"),
        ("hidden=1001", "hidden=1001 of the model mlp must be a whole number from 1 to 1000"),
        ("hidden=2.5", "a whole number"),
        ("hidden=", "a whole number"),
        ("dropout=nan", "dropout=nan of the model mlp must be a number from 0 to 0.95"),
        ("dropout=-0.1", "from 0 to 0.95"),
        ("tune=prob", "tune=prob of the model mlp must be one of full, probe"),
        ("hiden=3", "unknown option of builtin:mlp 'hiden'; nearest: hidden"),
    ],
)
def test_what_does_not_fit_is_refused(query, message):
    with pytest.raises(InputError, match=message):
        read_options(parse(f"mlp?{query}"), OPTIONS)
