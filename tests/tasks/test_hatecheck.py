import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import HateCheck
from farfield.tasks.hatecheck import GROUPS, LEAVE_OUT
from farfield.tasks.task import column

real = pytest.mark.needs_data("hatecheck")
HEADER = ",functionality,case_id,test_case,label_gold,target_ident,direction,focus_words,focus_lemma,ref_case_id,ref_templ_id,templ_id,case_templ\n"


@real
def test_the_published_counts():
    data = HateCheck()
    assert len(data) == len(data.texts) == 3436
    assert int(data.y.sum()) == 2563 and len(np.unique(data.template)) == 553
    assert sorted(np.unique(data.target)) == list(range(7)) and len(np.unique(data.functionality)) == 25
    women = data.target == GROUPS.index("women")
    assert (int(data.y[women].sum()), int(women.sum())) == (373, 509)
    assert data.texts[0] == "I hate women."


@real
@pytest.mark.parametrize("split", ["template", "target", "random"])
def test_parts_are_disjoint_in_their_unit(split):
    data = HateCheck(split=split)
    a, b = data.parts(0.6, 0.4, seed=2)
    unit = {"template": data.template, "target": data.target, "random": np.arange(len(data))}[split]
    assert not set(unit[a]) & set(unit[b]) and len(a) + len(b) == len(data)
    shared = set(data.template[a]) & set(data.template[b])
    # Any other split than by template has the same sentence on both sides.
    assert (not shared) if split == "template" else len(shared) > 100
    assert not np.array_equal(a, data.parts(0.6, 0.4, seed=3)[0])


@real
def test_the_confounded_task_has_its_own_templates_in_every_split():
    data, task = HateCheck(), tasks.load("hatecheck", seed=1)
    template = dict(zip(data.texts, data.template))
    splits = {"train": task.train, "val": task.val, **task.tests}
    found = {name: {template[x] for x in split.columns["x"]} for name, split in splits.items()}
    for a in found:
        for b in found:
            assert a == b or not found[a] & found[b]
    assert task.name == "hatecheck/confounded" and task.far == ("none", "reversed") and task.domains == GROUPS


@real
def test_the_group_misleads_as_the_name_says():
    task = tasks.load("hatecheck/confounded?p=0.9", seed=0)
    y, group = column(task.train, "y"), column(task.train, "domain")
    share = torch.tensor([y[group == g].double().mean() for g in range(7)])
    rule = (share > 0.5).long()
    assert int(rule.sum()) == 3
    expected = {"iid": 0.9, "none": 0.5, "reversed": 0.1}
    for name, wanted in expected.items():
        y, group = column(task.tests[name], "y"), column(task.tests[name], "domain")
        assert float((y == rule[group]).double().mean()) == pytest.approx(wanted, abs=0.03)


@real
def test_a_group_is_left_out():
    names = tasks.expand("hatecheck/targets")
    assert tuple(names) == LEAVE_OUT
    task = tasks.load("hatecheck/leave-out-gay-people", seed=0)
    assert task.far == ("gay people",) and len(task.domains) == 6 and "gay people" not in task.domains
    data = HateCheck()
    group = dict(zip(data.texts, data.target))
    for split in (task.train, task.val, task.tests["iid"]):
        named = [GROUPS[group[x]] for x in split.columns["x"]]
        assert named == [task.domains[d] for d in column(split, "domain")]
    assert {GROUPS[group[x]] for x in task.tests["gay people"].columns["x"]} == {"gay people"}


@real
def test_a_file_of_ones_own_plain_or_compressed(tmp_path):
    with gzip.open(Path(os.environ["FARFIELD_DATA"], "hatecheck", "test_suite_cases.csv.gz"), "rb") as file:
        content = file.read()
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(content))
    plain, compressed = HateCheck(tmp_path / "a.csv"), HateCheck(tmp_path / "b.csv.gz")
    assert plain.fingerprint == compressed.fingerprint == HateCheck().fingerprint
    assert np.array_equal(plain.texts, compressed.texts)


def test_files_that_are_not_hatechecks_are_named(tmp_path):
    with pytest.raises(InputError, match="file not found"):
        HateCheck(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="is not HateCheck's table"):
        HateCheck(tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text(HEADER + "0,f,1, ,hateful,women,,,,,,1,x\n")
    with pytest.raises(InputError, match="1 empty texts"):
        HateCheck(tmp_path / "empty.csv")
    (tmp_path / "label.csv").write_text(HEADER + "0,f,1,a text,maybe,women,,,,,,1,x\n")
    with pytest.raises(InputError, match="1 unknown labels"):
        HateCheck(tmp_path / "label.csv")


@real
@pytest.mark.parametrize("shares", [(), (0.0, 0.5), (0.7, 0.7), (0.9999, 0.0001)])
def test_shares_that_cannot_be_are_named(shares):
    with pytest.raises(InputError, match="shares are"):
        HateCheck().parts(*shares)


@real
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hatecheck/confoundd", "nearest: hatecheck/confounded"),
        ("hatecheck/confounded?p=0.5", "must be above 0.5"),
        ("hatecheck/confounded?p=much", "is no number"),
        ("hatecheck/leave-out-women?p=0.9", "unknown option"),
    ],
)
def test_bad_names_are_named(name, says):
    with pytest.raises(InputError, match=says):
        tasks.load(name)
