import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farfield.compare import figures
from farfield.web import svg as _svg

SVG = "{http://www.w3.org/2000/svg}"


def all_of(results):
    names = [t["name"] for t in results["tasks"]]
    return {
        "leaderboard": figures.leaderboard(results),
        "differences": figures.differences(results),
        "domains": figures.domains(results),
        "near-far": figures.near_far(results),
        **{f"severity {n}": figures.severity(results, n) for n in names},
        **{f"{what} {n}": figures.curves(results, n, what) for n in names for what in figures.CURVES},
    }


def texts(svg):
    return [e.text for e in ElementTree.fromstring(svg).iter(f"{SVG}text") if e.text]


@pytest.fixture(scope="module")
def results(synthetic):
    return synthetic.results(failed=[("irm", 1)])


@pytest.fixture(scope="module")
def drawn(results):
    return {name: svg for name, svg in all_of(results).items() if svg}


def test_every_figure_is_xml_that_needs_nothing_else(drawn):
    assert len(drawn) == 3 + 3 + 6
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == f"{SVG}svg"
        assert "width" not in root.attrib
        for element in root.iter():
            for key, value in element.attrib.items():
                if key.endswith("href"):
                    assert value.startswith("#")
        assert not re.search(r"https?://(?!www\.w3\.org/)", svg)
        assert "<metadata" not in svg


def test_ids_do_not_clash_and_every_reference_has_its_target(drawn):
    page = list(drawn.values())
    ids = [e.attrib["id"] for svg in page for e in ElementTree.fromstring(svg).iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    used = {u for svg in page for u in re.findall(r"url\(#([^)]*)\)", svg) + re.findall(r'href="#([^"]*)"', svg)}
    assert used <= set(ids)
    assert used


def test_the_same_results_give_the_same_bytes(results, drawn):
    assert {name: svg for name, svg in all_of(results).items() if svg} == drawn


def test_colours_follow_the_page(results):
    svg = figures.leaderboard(results)
    assert "currentColor" in svg
    assert f"var(--baseline, {_svg.BASELINE})" in svg
    assert not re.search(rf"(?<!, )({_svg.BASELINE}|{_svg.BEST}|{_svg.WORST}|{_svg.INK})", svg)


def test_global_state_of_the_drawing_library_is_left_alone(results):
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.leaderboard(results)
    assert dict(matplotlib.rcParams) == before


def test_leaderboard_names_every_method_best_first(results):
    order = [row["method"] for row in results["leaderboard"]]
    assert [t for t in texts(figures.leaderboard(results)) if t in order] == order


def test_marks_stand_where_the_numbers_are(synthetic):
    """The drawn places of three methods have the same ratio of distances as their far accuracies."""
    results = synthetic.results(methods=synthetic.METHODS[:3])
    svg = figures.differences(results)
    by_colour = {}
    for use in ElementTree.fromstring(svg).iter(f"{SVG}use"):
        style = use.attrib.get("style", "")
        for colour in (_svg.BEST, _svg.WORST):
            if colour in style:
                by_colour[colour] = float(use.attrib["x"])
    ticks = axis_ticks(svg)
    rows = {row["method"]: row for row in results["leaderboard"]}
    who = figures.roles(results)
    for colour, method in ((_svg.BEST, who.best), (_svg.WORST, who.worst)):
        at = np.polyval(np.polyfit(ticks[:, 0], ticks[:, 1], 1), by_colour[colour])
        assert at == pytest.approx(100 * rows[method]["difference"]["mean"], abs=0.02)


def axis_ticks(svg):
    """(place, value) of the numbers under the x axis."""
    pairs = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if re.search(r"-xtick_\d+$", group.attrib.get("id", "")):
            place = float(next(group.iter(f"{SVG}use")).attrib["x"])
            pairs.append((place, float(next(group.iter(f"{SVG}text")).text.replace("−", "-"))))
    return np.array(pairs)


def test_severity_is_drawn_only_where_a_task_has_one(synthetic):
    results = synthetic.results(tasks=synthetic.left_out(["a", "b"]), methods=synthetic.METHODS[:3])
    for name in (t["name"] for t in results["tasks"]):
        assert figures.severity(results, name) is None
    drawn = texts(figures.domains(results))
    assert {"a", "b"} <= set(drawn)


def test_severity_names_levels_and_methods(results):
    drawn = texts(figures.severity(results, "digits/rotation"))
    assert [t for t in drawn if t.endswith("°")] == ["0°", "15°", "30°", "45°", "60°", "75°"]
    assert "trained here" in drawn
    assert {"sam", "erm", "erm-sgd", "weight-average"} <= set(drawn)


def test_levels_that_share_a_severity_are_all_drawn(synthetic):
    task = synthetic.task("t", ["tilt -15", "tilt 0", "tilt 15"], ["tilt -45", "tilt 45"])
    task["severity"] = {"tilt -15": 1, "tilt 0": 0, "tilt 15": 1, "tilt -45": 3, "tilt 45": 3}
    results = synthetic.results(tasks=[task], methods=synthetic.METHODS[:2])
    svg = figures.severity(results, "t")
    squares = [u for u in ElementTree.fromstring(svg).iter(f"{SVG}use") if _svg.BEST in u.attrib.get("style", "")]
    assert len(squares) == 5


def test_intervals_of_an_accuracy_end_at_what_is_possible(synthetic):
    results = synthetic.results(methods=synthetic.METHODS[:2], seeds=2, spread=0.05)
    assert max(row["near"]["high"] for row in results["by_task"]) > 1.2
    svg = figures.severity(results, "digits/rotation")
    numbers = [float(t.replace("−", "-")) for t in texts(svg) if re.fullmatch(r"−?\d+", t)]
    assert numbers
    assert 0 <= min(numbers) <= max(numbers) <= 100


def test_nothing_finished_gives_no_figure(synthetic):
    results = synthetic.results(methods=synthetic.METHODS[:2], failed=[("erm", None), ("sam", None)])
    assert set(all_of(results).values()) == {None}


def test_one_seed_has_marks_but_no_intervals(synthetic):
    one = figures.differences(synthetic.results(seeds=1, methods=synthetic.METHODS[:3]))
    three = figures.differences(synthetic.results(seeds=3, methods=synthetic.METHODS[:3]))
    count = [svg.count('stroke-width: 2"') for svg in (one, three)]
    assert count[0] == 0
    assert count[1] == 2


@pytest.mark.parametrize("name", ["a<b>&\"c'", "$x$ and $", "科学 данные", "x" * 300, "]]>", "</svg><script>"])
def test_any_name_can_be_drawn(synthetic, name):
    methods = [*synthetic.METHODS[:2], (name, "s", "s")]
    tasks = [synthetic.task(name, [name + " 1", name + " 2"], [name + " 3"], graded=graded) for graded in (True, False)]
    tasks[1]["name"] = "plain"
    results = synthetic.results(tasks=tasks, methods=methods, seeds=2)
    drawn = {key: svg for key, svg in all_of(results).items() if svg}
    for svg in drawn.values():
        ElementTree.fromstring(svg)
    short = figures.shorten(name, 24)
    assert short in texts(drawn["leaderboard"])


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0.5, 12))
def test_spread_labels_keep_order_gap_and_room(targets, gap):
    placed = np.array(_svg.spread(targets, gap, 0.0, 100.0))
    assert placed.min() >= -1e-6
    assert placed.max() <= 100 + 1e-6
    order = np.argsort(targets, kind="stable")
    needed = min(gap, 100 / max(1, len(targets) - 1))
    assert (np.diff(placed[order]) >= needed - 1e-6).all()


def test_labels_with_room_stay_where_they_are():
    assert _svg.spread([90.0, 10.0, 50.0], 12, 0, 100) == pytest.approx([90, 10, 50])
