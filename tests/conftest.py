"""What all tests share: skipping where real data is absent."""

import os
import sys
from pathlib import Path

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_data(folder): skip where this folder is not in $FARFIELD_DATA")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs_data"):
        home = os.environ.get("FARFIELD_DATA")
        if not home or not (Path(home) / mark.args[0]).is_dir():
            pytest.skip(f"needs the data set {mark.args[0]} in $FARFIELD_DATA")


@pytest.fixture
def farfield(monkeypatch, capsys, tmp_path):
    """Run the command line in this process, in a folder of its own; returns exit code, standard output and error.

    ``columns=`` is the width of the terminal.
    """
    from farfield.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FARFIELD_STORE", raising=False)

    def run(*arguments, columns=None):
        if columns is not None:
            monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys, "argv", ["farfield", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return run
