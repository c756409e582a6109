"""What all tests share: skipping where real data is absent."""

import os
from pathlib import Path

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "needs_data(folder): skip where this folder is not in $FARFIELD_DATA")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs_data"):
        home = os.environ.get("FARFIELD_DATA")
        if not home or not (Path(home) / mark.args[0]).is_dir():
            pytest.skip(f"needs the data set {mark.args[0]} in $FARFIELD_DATA")
