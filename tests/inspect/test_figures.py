"""Figures: they show what was measured, as shapes and text that a page can hold."""

from xml.etree import ElementTree

import numpy as np
import pytest

from farfield.inspect import figures

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(e.itertext()).strip() for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def drawn(inspected):
    results = inspected.results
    last = figures.pictured(results)[0]
    pair = next(iter(results["curves"]["matching"]))
    return {
        "spectra": figures.spectra(results),
        "collapse": figures.over_layers(results, ("cdnv", "etf_error"), "0: collapsed", "collapse"),
        "by class": figures.by_class(results, last),
        "distances": figures.class_distances(results, last),
        "cka": figures.cka(results),
        "matching": figures.matching(results, pair),
        "windows": figures.windows(results),
    }


def test_all_are_drawn_without_images_and_with_ids_of_their_own(drawn):
    seen = set()
    for name, svg in drawn.items():
        root = ElementTree.fromstring(svg)
        assert not list(root.iter(f"{SVG}image")), name
        ids = {e.get("id") for e in root.iter() if e.get("id")}
        assert ids and not ids & seen, name
        seen |= ids


def test_axes_and_names_are_written(drawn):
    assert "variance held, %" in texts(drawn["spectra"])
    assert {"layer0", "layer1", "layer2"} <= set(texts(drawn["collapse"]))
    assert {"cat", "<b>dog</b>", "$x_1$"} <= set(texts(drawn["distances"])) & set(texts(drawn["by class"]))
    assert "correlation with the partner" in texts(drawn["matching"])
    assert "layers told, %" in texts(drawn["windows"])


def test_the_cka_map_holds_the_numbers(drawn, inspected):
    written = texts(drawn["cka"])
    assert written.count("1.00") >= 6
    for n in inspected.results["numbers"]:
        if n["measure"] == "linear_cka":
            assert written.count(f"{n['value']:.2f}") >= 2, n


def test_layers_collapse_along_the_line(inspected):
    numbers = {(n["representation"].rpartition("/")[2], n["measure"]): n["value"] for n in inspected.results["numbers"]}
    assert numbers["layer0", "cdnv"] > numbers["layer1", "cdnv"] > numbers["layer2", "cdnv"]


def test_only_last_layers_are_pictured(inspected):
    assert [name.rpartition("/")[2] for name in figures.pictured(inspected.results)] == ["layer2", "layer2"]


def test_nothing_to_draw_gives_nothing():
    results = {
        "representations": [{"name": "a", "source": "a", "part": "", "only_compared": False}],
        "numbers": [],
        "curves": {},
    }
    assert figures.spectra(results) is None and figures.cka(results) is None and figures.windows(results) is None
    assert figures.over_layers(results, ("cdnv",), "", "x") is None
    assert figures.by_class(results, "a") is None and figures.matching(results, "a and b") is None


def test_a_heat_map_of_many_names_stays_readable():
    svg = figures.heat(np.eye(40), [f"class {i}" for i in range(40)], "distance", "many")
    assert sum(text.startswith("class") for text in texts(svg)) <= 52
