"""The two commands through the real command line: they fit the terminal, cut nothing, and say what was measured."""

import json
import re

import pytest

from farfield.errors import InputError
from farfield.papers.catalogue import card, cards
from farfield.papers.table import load_part, summaries


@pytest.fixture(autouse=True)
def usual_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_the_list_fits_the_terminal_and_cuts_nothing(farfield, columns):
    code, out, _ = farfield("papers", columns=columns)
    assert code == 0
    assert max(map(len, out.splitlines())) <= columns
    assert "…" not in out.replace("Because ...", "")
    words = set(out.split())
    for paper in cards().values():
        # A slug that takes two lines is broken after a hyphen, so each piece is whole.
        pieces = [paper.slug] if columns >= 120 else paper.slug.split("-")
        assert all(any(piece in re.split("-|$", w) or piece == w for w in words) for piece in pieces), paper.slug
        # Each word of title and offer is there whole; one longer than its column may be broken.
        assert {w for w in (paper.title + " " + paper.offers).split() if len(w) < 15} <= words, paper.slug
    assert out.splitlines()[-1] == "58 papers. One in full: farfield show tram"


def test_the_list_as_json_holds_every_card_in_full(farfield):
    code, out, err = farfield("papers", "--json")
    assert code == 0 and err == ""
    found = json.loads(out)
    assert [c["slug"] for c in found] == list(cards())
    assert found[0] == json.loads(json.dumps(card("tram").as_dict()))


def test_filters_and_search_hold_together(farfield):
    code, out, _ = farfield(
        "papers", "--family", "model replacement", "--kind", "method", "--state", "planned", "--json"
    )
    assert code == 0 and {c["slug"] for c in json.loads(out)} >= {"bt2", "prockd"}
    code, out, _ = farfield("papers", "label", "noise", "--family", "training dynamics", "--json")
    assert code == 0 and {c["family"] for c in json.loads(out)} == {"training dynamics"}


def test_a_query_with_or_without_quotes_is_the_same(farfield):
    quoted, plain = (
        farfield("papers", "noisy labels and rare classes"),
        farfield("papers", *["noisy", "labels", "and", "rare", "classes"]),
    )
    assert quoted == plain and "farfield show rcal" in quoted[1]


def test_as_many_as_asked_for_and_ten_by_default(farfield):
    assert len(json.loads(farfield("papers", "model", "--most", "3", "--json")[1])) == 3
    assert len(json.loads(farfield("papers", "model", "--json")[1])) == 10


def test_a_query_that_nothing_fits_says_so(farfield):
    assert farfield("papers", "xylophone") == (0, "No paper fits; try other words or fewer filters.\n", "")
    assert farfield("papers", "xylophone", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("papers", "the"), ["'the'", "no word to search for"]),
        (("papers", "--family", "graphs"), ["unknown family", "kernels and graphs"]),
        (("papers", "--encoder", "some/model"), ["--encoder needs a query"]),
        (("show", "matrioshka"), ["unknown paper 'matrioshka'", "matryoshka"]),
    ],
)
def test_what_does_not_fit_ends_with_one_sentence(farfield, arguments, words):
    code, out, err = farfield(*arguments)
    assert code == 2 and out == ""
    assert err.startswith("farfield: ") and err.count("\n") == 1
    assert all(word in err for word in words), err


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_card_is_shown_in_full(farfield, columns):
    code, out, _ = farfield("show", "authorship-llm", columns=columns)
    paper = card("authorship-llm")
    assert code == 0 and max(map(len, out.splitlines())) <= columns
    words = set(out.split())
    for text in (paper.title, paper.offers, *paper.slots, *paper.links, paper.where, ", ".join(paper.authors)):
        assert set(text.split()) <= words, text


def test_a_cards_parts_are_shown_with_what_they_do(farfield):
    code, out, _ = farfield("show", "tram")
    assert code == 0
    for name, line in summaries(card("tram")).items():
        assert name in out and line.split()[0] in out
    assert list(summaries(card("tram"))) == list(card("tram").parts)
    assert all(summaries(card("tram")).values())


def test_a_part_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"farfield\.optim\.NoSuchThing"):
        load_part("farfield.optim.NoSuchThing")
    with pytest.raises(InputError, match=r"farfield\.nowhere\.SAM"):
        load_part("farfield.nowhere.SAM")


def test_a_card_says_how_to_run_its_study_only_where_there_is_one(farfield):
    for slug in ("tram", "genil", "rcal"):
        out = farfield("show", slug)[1]
        assert (f"farfield run {slug}" in out) == card(slug).has_study


def test_verdicts_are_shown_where_a_study_was_run(farfield, tmp_path):
    claim = {"text": "It [bold]beats[/bold] the rest", "reported": "75.2 against 74.0", "verdict": "fails"}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "genil.json").write_text(
        json.dumps({"preset": "small", "version": "1.2", "claims": [claim]})
    )
    code, out, _ = farfield("show", "genil")
    assert code == 0
    # Brackets of a claim are its own text, not markup.
    assert claim["text"] in out and claim["reported"] in out and "fails" in out and "preset small, version 1.2" in out
    assert "verdict" not in farfield("show", "rcal")[1]
    assert "fails" not in farfield("show", "genil", "--results", "elsewhere")[1]
    assert json.loads(farfield("show", "genil", "--json")[1])["results"]["claims"] == [claim]
