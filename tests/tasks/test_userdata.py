"""Labels, domains and splits of the user's rows, whatever file they lie in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farfield.errors import InputError
from farfield.names import parse
from farfield.tasks.task import Vector
from farfield.tasks.userdata import (
    Encoded,
    Rows,
    as_text,
    build,
    check_labels,
    files_hash,
    leave_one_out,
    no_column,
    numbered,
    split_list,
)


def rows(y, domain, groups=None, seen=None):
    y, domain = np.asarray(y), np.asarray(domain)

    def encode(train):
        if seen is not None:
            seen.append(train)
        return Encoded(np.arange(len(y), dtype=np.float32)[:, None], Vector(1), {"kind": "vector"}, ("fitted",))

    return Rows(
        "x.csv", y, domain, tuple("abc"[: y.max() + 1]), tuple("rst"[: domain.max() + 1]),
        np.arange(len(y)) if groups is None else np.asarray(groups), "f00", encode, ("read",),
    )  # fmt: skip


def balanced(n=20):
    return np.tile([0, 1], 3 * n // 2), np.repeat([0, 1, 2], n)


def test_without_test_each_domain_is_held_out_in_turn():
    names = leave_one_out(parse("csv:x.csv?target=y"), rows(*balanced()))
    assert [str(n) for n in names] == [f"csv:x.csv?target=y&test={d}" for d in "rst"]
    named = parse("csv:x.csv?test=s,t")
    assert leave_one_out(named, rows(*balanced())) == [named]


def test_a_task_holds_each_row_once_and_test_domains_whole():
    y, domain = balanced()
    seen = []
    task = build(parse("csv:x.csv?test=s"), rows(y, domain, seen=seen), seed=1)
    x = {
        k: v.columns["x"].flatten().int().tolist()
        for k, v in {"train": task.train, "val": task.val, **task.tests}.items()
    }
    assert sorted(i for at in x.values() for i in at) == list(range(60))
    assert sorted(x["s"]) == list(range(20, 40))
    assert task.far == ("s",)
    assert task.domains == ("r", "t")
    assert sorted(seen[0].tolist()) == sorted(x["train"]), "only training rows reach what is fitted"
    for split, at in ((task.train, x["train"]), (task.val, x["val"]), (task.tests["iid"], x["iid"])):
        assert split.columns["y"].tolist() == y[at].tolist()
        assert [task.domains[d] for d in split.columns["domain"].tolist()] == ["rst"[d] for d in domain[at]]
    assert task.encoding == {"kind": "vector", "classes": ["a", "b"]}
    assert task.notes == ("read", "fitted", "The far accuracy on 's' rests on 20 rows only.")
    assert (task.name, task.fingerprint, task.outputs.names) == ("csv:x.csv?test=s", "f00", ("a", "b"))


def test_several_test_domains_are_one_far_test_each_and_none_gives_the_near_test_only():
    task = build(parse("csv:x.csv?test=t,r"), rows(*balanced()), seed=0)
    assert (task.far, task.domains) == (("t", "r"), ("s",))
    whole = build(parse("csv:x.csv"), rows(*balanced()), seed=0)
    assert (whole.far, whole.domains) == ((), ("r", "s", "t"))
    assert len(whole.train) + len(whole.val) + len(whole.tests["iid"]) == 60


def test_a_training_domain_that_lies_wholly_in_a_test_domain_too_is_gone():
    y, domain = balanced()
    groups = np.concatenate([np.arange(20), np.arange(20), np.arange(20, 40)])
    task = build(parse("csv:x.csv?test=s"), rows(y, domain, groups), seed=0)
    assert task.domains == ("t",)
    assert set(task.train.columns["domain"].tolist()) == {0}
    assert any("20 training rows were left out" in note for note in task.notes)


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("u", "unknown test domain of x.csv 'u'"),
        ("r,s,t", "holds out 3 of 3 domains"),
        ("", "holds out 0 of 3 domains"),
    ],
)
def test_domains_that_cannot_be_held_out_are_refused(test, says):
    for do in (leave_one_out, lambda n, r: build(n, r, seed=0)):
        with pytest.raises(InputError, match=says):
            do(parse(f"csv:x.csv?test={test}"), rows(*balanced()))


def test_a_class_that_leaves_with_the_test_domains_is_refused():
    y, domain = balanced()
    y[(domain == 0) & (y == 1)] = 0
    with pytest.raises(InputError, match=r"the class 'b' of x\.csv has no row left to train on without s,t"):
        build(parse("csv:x.csv?test=s,t"), rows(y, domain), seed=0)


def test_a_class_that_leaves_with_its_duplicates_is_told_so():
    y, domain = balanced()
    groups = np.where((y == 1) & (domain < 2), 0, np.arange(60) + 1)
    y[domain == 2] = 0
    with pytest.raises(InputError, match="without s and 10 rows that also lie in a test domain"):
        build(parse("csv:x.csv?test=s"), rows(y, domain, groups), seed=0)


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match=r"x\.csv has too few rows without r: 2 rows over 2 classes"):
        build(parse("csv:x.csv?test=r"), rows([0, 1, 0, 1], [0, 0, 1, 1]), seed=0)


def test_a_domain_named_as_the_near_test_does_not_replace_it():
    r = rows(*balanced())
    r = Rows(r.source, r.y, r.domain, r.classes, ("iid", "s", "t"), r.groups, r.fingerprint, r.encode)
    task = build(parse("csv:x.csv?test=iid"), r, seed=0)
    assert len(task.far) == 1
    assert len(task.tests["iid"]) + len(task.train) + len(task.val) == 40


def test_labels_are_numbered_by_value_where_they_are_numbers():
    assert numbered(pd.Series(["10", "9", "2"]), role="label", source="x")[1] == ("2", "9", "10")
    assert numbered(pd.Series(["b", "a", "10"]), role="label", source="x")[1] == ("10", "a", "b")
    assert numbered(pd.Series(["01", "1"]), role="label", source="x")[1] == ("01", "1"), "as written"


@given(st.lists(st.sampled_from(["a", "b", "1", "2.5", "ü"]), min_size=1))
@settings(deadline=None)
def test_names_by_index_give_the_values_back(values):
    index, names = numbered(pd.Series(values), role="label", source="x")
    assert [names[i] for i in index] == values
    assert list(dict.fromkeys(names)) == list(names)


def test_missing_labels_are_counted_and_placed():
    with pytest.raises(InputError, match=r"x has 2 missing labels \(column 'y', first in row 2\)"):
        numbered(pd.Series(["a", None, " "], name="y"), role="label", source="x")
    with pytest.raises(InputError, match=r"x has 1 missing domain \(column 'y', first in row 1\)"):
        numbered(pd.Series([np.nan, 1.0], name="y"), role="domain", source="x")


def test_quantities_and_identifiers_are_no_classes():
    def check(values):
        y, classes = numbered(pd.Series(values), role="label", source="x.csv")
        check_labels(y, classes, column="y", source="x.csv")

    check(list(range(20)) * 2)
    check([i / 2 for i in range(20)])
    check(list(range(100)) * 5)
    with pytest.raises(InputError, match="looks like a quantity"):
        check([i / 2 for i in range(21)] * 10)
    with pytest.raises(InputError, match="looks like an identifier"):
        check([f"id{i}" for i in range(21)] + ["id0"] * 20)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 2], ["1", "2"]),
        (pd.array([1, None], dtype="Int64"), ["1", None]),
        (np.array([1.0, 0.5], dtype=np.float32), ["1", "0.5"]),
        (pd.Categorical([3, 4]), ["3", "4"]),
        ([float("inf"), -1.0], ["inf", "-1"]),
    ],
)
def test_values_as_text(values, text):
    assert as_text(pd.Series(values)) == text


def test_a_comma_list_keeps_a_name_that_holds_a_comma():
    assert split_list("Bonn, Germany", ["Bonn, Germany", "Bonn"]) == ["Bonn, Germany"]
    assert split_list("a,,b ,a", ["a", "b"]) == ["a", "b"]


def test_a_missing_column_shows_the_nearest_first():
    message = str(no_column("Lable", ["age", "site", "label"], option="target", source="x.csv"))
    assert message.endswith("its columns are label, age, site")
    assert str(no_column("q", [f"c{i}" for i in range(30)], option="t", source="x")).endswith("c19 and 10 more")


def test_the_fingerprint_is_of_names_bytes_and_options(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"1")
    base = files_hash([("a", a)], "size=32")
    assert base == files_hash([("a", b)], "size=32")
    assert base != files_hash([("b", a)], "size=32")
    assert base != files_hash([("a", a)], "size=64")
    a.write_bytes(b"2")
    assert base != files_hash([("a", a)], "size=32")
