"""Names become tasks: paths, the user's modules, other packages, and near misses."""

import importlib
import subprocess
import sys

import pytest
import torch

from farfield import tasks
from farfield.errors import InputError
from farfield.tasks import expand, load, names, resolve
from farfield.tasks.registry import FAMILIES

MODULE = """
import torch
from farfield.errors import InputError
from farfield.tasks import Classes, Table, Task, Vector

def make(seed):
    generator = torch.Generator().manual_seed(seed)
    rows = Table(x=torch.randn(8, 2, generator=generator), y=torch.tensor([0, 1] * 4), domain=torch.zeros(8).long())
    return Task("another name", rows, rows, {"iid": rows, "far": rows}, Vector(2), Classes(2), ("r",))

def seedless():
    return make(seed=5)

def labels_out_of_range():
    task = make(0)
    task.train.columns["y"][0] = 2
    return task

def number():
    return 7

def fails():
    raise KeyError("lost")

def refuses():
    raise InputError("bring more rows")

constant = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_tasks.py").write_text(MODULE)
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("my_tasks", None)
    importlib.invalidate_caches()


def test_a_users_function_makes_the_task(here):
    assert expand("my_tasks:make") == ["my_tasks:make"]
    task = load("my_tasks:make", seed=3)
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(task.train.columns["x"], x)
    assert task.name == "my_tasks:make", "the name that loads it again"
    assert len(task.fingerprint) == 64
    assert task.fingerprint == load("my_tasks:make", seed=3).fingerprint != load("my_tasks:make", seed=4).fingerprint
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(load("my_tasks:seedless", seed=3).train.columns["x"], x)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_tasks:labels_out_of_range", r"my_tasks:labels_out_of_range: y in the split 'train' must lie in 0\.\.1"),
        ("my_tasks:number", "my_tasks:number returned a int; it must return a farfield.tasks.Task"),
        ("my_tasks:fails", "my_tasks:fails: calling it failed: KeyError\\('lost'\\)"),
        ("my_tasks:refuses", "^bring more rows$"),
        ("my_tasks:constant", "is a int; it must be a function"),
        ("my_tasks:absent", "has no 'absent'"),
        ("no_such_tasks:make", "there is no module no_such_tasks"),
        ("my_tasks:make?size=3", "unknown option .*it takes none"),
    ],
)
def test_a_users_function_that_makes_no_task_is_told(here, name, says):
    with pytest.raises(InputError, match=says):
        load(name)


def test_paths_become_names(here):
    for path, name in {"a.csv": "csv:a.csv", "a.TSV": "csv:a.TSV", "a.parquet": "parquet:a.parquet"}.items():
        (here / path).write_text("x")
        assert resolve(f"{path}?target=y") == f"{name}?target=y"
        assert resolve(name) == name
    (here / "photos").mkdir()
    (here / "saved").mkdir()
    (here / "saved" / "dataset_dict.json").write_text("{}")
    assert resolve("photos") == "images:photos"
    assert resolve("./photos/?size=8") == "images:./photos/?size=8"
    assert resolve("saved?target=y") == "hf:saved?target=y"


def test_built_in_names_win_over_folders_of_their_name(here):
    (here / "digits").mkdir()
    assert resolve("digits") == "digits"
    assert resolve("./digits") == "images:./digits"


@pytest.mark.parametrize("text", ["timm:resnet18", "my:thing", "csv:nowhere.csv", "digits/rotation", "", "?a=b"])
def test_other_names_come_back_as_they_are(here, text):
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nowhere.csv?target=y", "file not found: nowhere.csv"),
        ("./nowhere", r"file not found: \./nowhere"),
        ("photos/", "file not found: photos/"),
        ("my_tasks.py", r"my_tasks\.py is of no known kind; \.csv, \.tsv, \.parquet"),
    ],
)
def test_texts_that_look_like_paths_but_are_none_are_told(here, text, says):
    with pytest.raises(InputError, match=says):
        resolve(text)


def test_unknown_names_show_the_nearest(here):
    for do in (load, expand):
        with pytest.raises(InputError, match=r"unknown task 'digitz/rotation'; nearest: digits/rotation"):
            do("digitz/rotation")
        with pytest.raises(InputError, match=r"unknown task 'qqqq'; known: amazon, amazon-ratings, .*digits, .*xnli"):
            do("qqqq")
        with pytest.raises(InputError, match=r"unknown task 'timm:resnet18'"):
            do("timm:resnet18")
        with pytest.raises(InputError, match="empty before its options"):
            do("?a=b")


def test_every_built_in_name_belongs_to_a_family():
    assert {n.partition("/")[0].partition("?")[0] for n in names()} >= set(FAMILIES)
    assert len(set(names())) == len(names())


def test_another_package_adds_tasks_by_an_entry_point(here, monkeypatch):
    # A package as pip installs it: its module, and its metadata beside it.
    site = here / "site"
    (site / "acme-1.0.dist-info").mkdir(parents=True)
    (site / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text("[farfield.tasks]\nacme = acme_tasks\n")
    (site / "acme_tasks.py").write_text(
        f"{MODULE}\n"
        "from dataclasses import replace\n"
        "def expand(name):\n    return [name.with_options(test='r'), name.with_options(test='s')]\n"
        "def load(name, seed):\n    return replace(make(seed), name=str(name))\n"
    )
    monkeypatch.syspath_prepend(str(site))
    assert "acme" in names()
    assert expand("acme/shops") == ["acme/shops?test=r", "acme/shops?test=s"]
    assert load("acme/shops?test=r").name == "acme/shops?test=r"
    with pytest.raises(InputError, match="unknown task 'acne'; nearest: acme"):
        load("acne")
    sys.modules.pop("acme_tasks")


def test_importing_tasks_imports_nothing_heavy():
    heavy = "pandas pyarrow sklearn scipy PIL datasets transformers matplotlib"
    code = f"import sys, farfield.tasks; print(*[m for m in {heavy.split()} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_the_public_names_are_functions_whatever_was_imported():
    importlib.import_module("farfield.tasks.registry")
    assert all(callable(getattr(tasks, n)) for n in ("load", "expand", "resolve", "names", "read"))
