"""The cards are complete and true of the library, filters take exactly what they say, and reading them imports nothing heavy."""

import dataclasses
import importlib
import inspect
import json
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

import farfield.papers
from farfield.errors import InputError
from farfield.papers.catalogue import KINDS, STATES, card, cards, families, results, select

ALL = list(cards().values())
HERE = Path(farfield.papers.__file__).parent
# What a list of papers has no use for; each costs a tenth of a second or more to import.
HEAVY = ("torch", "numpy", "pandas", "sklearn", "scipy", "transformers", "sqlalchemy", "matplotlib", "optuna")


def test_there_is_a_card_for_each_of_the_58_papers():
    assert len(ALL) == 58
    assert len({c.title for c in ALL}) == 58
    assert len({c.arxiv for c in ALL}) == 58


@pytest.mark.parametrize("paper", ALL, ids=lambda c: c.slug)
def test_every_card_is_complete(paper):
    may_be_empty = {"arxiv", "code", "parts"}
    for field in dataclasses.fields(paper):
        assert getattr(paper, field.name) or field.name in may_be_empty, field.name
    assert paper.kind in KINDS and paper.state in STATES
    assert paper.state == "planned" or (paper.parts and paper.has_study)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", paper.slug)
    assert re.fullmatch(r"|[\w.-]+/[\w.-]+", paper.code)
    # A paper is published no earlier than its preprint: catches a number or a year of another paper.
    assert re.fullmatch(r"\d{4}\.\d{5}", paper.arxiv)
    assert 2000 + int(paper.arxiv[:2]) <= paper.year <= 2026
    assert not re.search(r"\d{4}", paper.venue), "the year has its own field"


@pytest.mark.parametrize("paper", ALL, ids=lambda c: c.slug)
def test_what_a_card_offers_is_one_sentence_and_its_keywords_are_a_few(paper):
    assert 10 <= len(paper.offers.split()) <= 25
    assert paper.offers.endswith(".") and paper.offers[0].isupper()
    assert 5 <= len(paper.keywords) <= 12
    # A function and a class of the same name are two parts.
    assert len(set(paper.parts)) == len(paper.parts)
    for words in (paper.keywords, paper.slots, paper.data):
        assert len({w.lower() for w in words}) == len(words)
    for words in (paper.keywords, paper.slots, paper.data, paper.parts):
        assert all(w == w.strip() and w for w in words)


@pytest.mark.parametrize("name", [part for c in ALL for part in c.parts])
def test_every_part_that_a_card_names_is_in_the_library_and_documented(name):
    module, _, attribute = name.rpartition(".")
    part = getattr(importlib.import_module(module), attribute)
    assert name.startswith("farfield.") and not name.startswith("farfield.papers")
    assert ">>>" in inspect.getdoc(part)


def test_every_module_here_is_the_catalogue_or_a_papers_study():
    studies = {p.stem for p in HERE.glob("*.py")} - {"__init__", "catalogue", "search", "table"}
    assert studies == {c.slug.replace("-", "_") for c in ALL if c.has_study}


def test_cards_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        card("tram").state = "done"
    with pytest.raises(TypeError):
        cards()["tram"] = card("trsa")


def test_links_and_where_a_paper_was_published():
    assert card("bt2").where == "ICCV 2023"
    assert card("bt2").links == ("https://arxiv.org/abs/2211.03989", "https://github.com/YifeiZhou02/BT-2")
    assert card("levi").links == ("https://arxiv.org/abs/2402.04644",)


def test_a_familys_papers_stand_together():
    assert [family for family, _ in groupby(ALL, key=lambda c: c.family)] == list(families())


@pytest.mark.parametrize("field", ["family", "kind", "state"])
def test_the_selections_by_a_field_are_all_cards_once(field):
    values = {"family": families(), "kind": KINDS, "state": STATES}[field]
    found = [c for value in values for c in select(**{field: value})]
    assert len(found) == len(ALL) and set(found) == set(ALL)
    assert all(getattr(c, field) == value for value in values for c in select(**{field: value}))


def test_filters_hold_together_and_keep_the_order():
    found = select(family="data difficulty", kind="measure")
    assert found == [c for c in ALL if c.family == "data difficulty" and c.kind == "measure"]
    assert len(found) == 4
    assert select(family="data difficulty", kind="survey") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "finetuning"}, "unknown family of papers 'finetuning'; nearest: fine-tuning"),
        ({"kind": "methods"}, "unknown kind of papers 'methods'; nearest: method"),
        ({"state": ""}, "unknown state of papers ''; known: done, planned"),
    ],
)
def test_an_unknown_filter_is_named_with_the_nearest(arguments, message):
    with pytest.raises(InputError, match=message):
        select(**arguments)


def test_an_unknown_paper_is_named_with_the_nearest():
    with pytest.raises(InputError, match="unknown paper 'matrioshka'; nearest: matryoshka"):
        card("matrioshka")
    with pytest.raises(InputError, match="unknown paper 'TRAM'; nearest: tram"):
        card("TRAM")


def test_results_are_read_where_a_study_was_run(tmp_path):
    assert results("rcal", tmp_path) is None
    measured = {"preset": "small", "claims": [{"text": "it helps", "verdict": "fails"}]}
    (tmp_path / "rcal.json").write_text(json.dumps(measured))
    assert results("rcal", tmp_path) == measured
    with pytest.raises(InputError, match="unknown paper"):
        results("../rcal", tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"claims": [{"text": "it helps"}]}', '{"claims": [{"text": 1, "verdict": "x"}]}']
)
def test_results_that_cannot_be_read_are_named(tmp_path, text):
    (tmp_path / "rcal.json").write_text(text)
    with pytest.raises(InputError, match=r"rcal\.json is not what farfield run writes"):
        results("rcal", tmp_path)


@pytest.mark.parametrize("command", [["papers"], ["papers", "smaller embeddings"], ["show", "genil"]])
def test_the_commands_import_nothing_heavy(command):
    code = f"""
import sys
from farfield.cli import main
sys.argv = ["farfield", *{command!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("imported:", *(m for m in {HEAVY!r} if m in sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "imported:"
