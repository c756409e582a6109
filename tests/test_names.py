"""The grammar of names: what is written comes back when it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.names import Name, parse

values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.sampled_from(["target", "domain", "test", "text", "drop"])
paths = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="?"), min_size=1, max_size=20)


@given(
    kind=st.sampled_from(["csv", "parquet", "images", "hf", "timm"]),
    path=paths,
    options=st.dictionaries(keys, values, max_size=4),
)
def test_a_file_name_survives_writing_and_reading(kind, path, options):
    name = Name(kind, path, options)
    assert parse(str(name)) == name


@given(
    path=st.from_regex(r"[a-z0-9-]+(/[a-z0-9-]+)?", fullmatch=True), options=st.dictionaries(keys, values, max_size=4)
)
def test_a_built_in_name_survives_writing_and_reading(path, options):
    name = Name("builtin", path, options)
    assert parse(str(name)) == name


def test_a_module_is_told_from_a_kind_of_file():
    assert parse("pkg.mod:make").kind == "module"
    assert parse("module:make") == Name("module", "module:make")
    assert parse("csv:a:b.csv") == Name("csv", "a:b.csv")


def test_a_plus_stays_a_plus_and_an_escape_is_read():
    assert parse("csv:a.csv?target=c++").options == {"target": "c++"}
    assert parse("csv:a.csv?target=a%26b=c").options == {"target": "a&b=c"}
    assert parse("csv:a.csv?test=").options == {"test": ""}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty before its options"),
        ("?a=b", "is empty before its options"),
        ("csv:a.csv?target", "'target' .* has no value; write target=..."),
        ("csv:a.csv?target=x&target=y", "'target' .* comes twice"),
    ],
)
def test_what_is_no_name_is_refused(text, says):
    with pytest.raises(InputError, match=says):
        parse(text)


def test_an_option_that_is_not_allowed_shows_the_nearest():
    with pytest.raises(InputError, match=r"unknown option of csv:a\.csv 'targt'; nearest: target"):
        parse("csv:a.csv?targt=x").check_options(["target", "domain"])
    parse("csv:a.csv?target=x").check_options(["target", "domain"])


def test_with_options_leaves_the_original_alone():
    name = parse("csv:a.csv?target=y")
    assert name.with_options(target="z", test="s").options == {"target": "z", "test": "s"}
    assert name.options == {"target": "y"}
