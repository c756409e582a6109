"""RESULTS.md is what the result files say, and every figure that they name is there."""

import json
from pathlib import Path

from farfield.study.results import summary

ROOT = Path(__file__).parents[1]


def test_results_md_is_up_to_date():
    assert (ROOT / "RESULTS.md").read_text() == summary(ROOT / "results")


def test_every_figure_is_there():
    for path in (ROOT / "results").glob("*.json"):
        for figure in json.loads(path.read_text()).get("figures", []):
            assert (ROOT / "results" / figure).is_file(), figure
