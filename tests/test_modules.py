"""The user's own modules: found in the current folder, named in errors, hashed by their source."""

import hashlib
import importlib
import sys

import pytest

from farfield.errors import InputError
from farfield.modules import load_object, source_hash


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def write(folder, name, text):
    (folder / name).write_text(text)
    importlib.invalidate_caches()


def test_a_module_of_the_current_folder_is_found_and_the_path_is_left_as_it_was(here):
    write(here, "mine_found.py", "def make():\n    return 7\n")
    path = list(sys.path)
    assert load_object("mine_found:make", kind="task")() == 7
    assert sys.path == path


def test_what_is_wrong_is_named(here):
    write(here, "mine_broken.py", "1 / 0\n")
    write(here, "mine_needy.py", "import surely_not_installed\n")
    write(here, "mine_plain.py", "x = 1\n")
    for name, says in {
        "mine_absent:make": "there is no module mine_absent here or installed",
        "mine_broken:make": "importing mine_broken failed: ZeroDivisionError",
        "mine_needy:make": "importing mine_needy failed: No module named 'surely_not_installed'",
        "mine_plain:make": "the module mine_plain has no 'make'",
        ":make": "importing  failed",
    }.items():
        with pytest.raises(InputError, match=says):
            load_object(name, kind="task")


def test_the_source_hash_is_that_of_the_file(here):
    write(here, "mine_hashed.py", "x = 1\n")
    assert source_hash("mine_hashed:x") == hashlib.sha256(b"x = 1\n").hexdigest()
