import copy
import re
from html.parser import HTMLParser

import pytest

from farfield.compare import report
from farfield.errors import InputError

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags with attributes, the text under each id, and the rows of each table by its id."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text, self.tables, self.unbalanced = [], [], {}, {}, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag in VOID:
            return
        self.open.append((tag, attrs.get("id")))
        if tag == "tr" and self.table:
            self.tables.setdefault(self.table, []).append([])
        if tag in ("td", "th") and self.table:
            self.tables[self.table][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.unbalanced.append(tag)
        else:
            self.open.pop()

    def handle_data(self, data):
        for _, name in self.open:
            if name:
                self.text[name] = self.text.get(name, "") + data
        if self.table and any(tag in ("td", "th") for tag, _ in self.open):
            self.tables[self.table][-1][-1] += data

    @property
    def table(self):
        return next((name for tag, name in reversed(self.open) if tag == "table"), None)


def tidy(text):
    return re.sub(r"\s+", " ", text).strip()


@pytest.fixture(scope="module")
def results(synthetic):
    return synthetic.results(failed=[("irm", 1)])


@pytest.fixture(scope="module")
def html(results):
    return report.html(results)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def row_of(page, table, first):
    return next(row for row in page.tables[table] if tidy(row[0]) == first)


def test_it_is_balanced_and_has_unique_ids(page):
    assert page.unbalanced == []
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a" and attrs["href"].startswith("#")}
    assert links <= set(ids)
    assert "leaderboard" in links


def test_it_loads_nothing(page, html):
    for tag, attrs in page.tags:
        assert "src" not in attrs, tag
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        for key, value in attrs.items():
            if value and re.search(r"https?://|^//", value):
                assert tag == "a" or key.startswith("xmlns"), (tag, key, value)
    assert not re.search(r"@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_the_sections_stand_in_the_promised_order(page):
    order = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert order == ["verdict", "selection", "leaderboard", "severity", "near-far", "tasks", "curves", "confusion", "failed",
                     "data", "settings", "reading", "repeat"]  # fmt: skip


def test_every_number_of_the_leaderboard_stands_in_its_row(page, results):
    for row in results["leaderboard"]:
        cells = [tidy(cell) for cell in row_of(page, "leaderboard-table", row["method"])]
        ranges = {k: f"{100 * row[k]['low']:.1f} to {100 * row[k]['high']:.1f}" for k in ("near", "far", "worst")}
        assert cells[1] == f"{100 * row['far']['mean']:.1f} {ranges['far']}"
        assert cells[4] == f"{100 * row['near']['mean']:.1f} {ranges['near']}"
        assert cells[5] == f"{100 * row['worst']['mean']:.1f} {ranges['worst']}"
        assert cells[6].startswith(row["worst"]["domain"])
        assert cells[8] == f"{row['trials_failed']} of {row['trials_failed'] + row['trials_done']}"
        if row["difference"]:
            d = row["difference"]
            expected = f"{100 * d['mean']:+.1f} {100 * d['low']:+.1f} to {100 * d['high']:+.1f}"
            assert cells[2] == expected.replace("-", "−")
            assert cells[3] == ("better" if d["low"] > 0.0005 else "worse" if d["high"] < -0.0005 else "not settled")
        else:
            assert cells[2] == "baseline"


def test_every_mean_by_task_stands_in_the_table(page, results, html):
    names = ["method", "near", "far"]
    for task in results["tasks"]:
        body = html.split(f'class="by-task" data-task="{task["name"]}"')[1].split("</table>")[0]
        rows = {tidy(r[0]): r for r in Page(f'<table id="t">{body.split(">", 1)[1]}</table>').tables["t"]}
        for row in (r for r in results["by_task"] if r["task"] == task["name"]):
            tests = [row["tests"][t] for t in row["tests"] if t != "iid"]
            expected = [row["near"], row["far"], *tests, *row["domains"].values()]
            cells = [tidy(c).split()[0] for c in rows[row["method"]][1:]]
            assert cells == [f"{100 * i['mean']:.1f}" for i in expected]
            assert len(rows["method"]) == len(names) + len(tests) + len(task["domains"])


def test_methods_have_summary_and_source_with_a_link_where_there_is_one(page, results):
    for row in results["leaderboard"]:
        text = tidy(row_of(page, "methods-table", row["method"])[1])
        assert text == f"{row['summary']} {row['source']}"
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a" and attrs["href"].startswith("http")]
    assert links == ["https://arxiv.org/abs/2010.01412", "https://arxiv.org/abs/1607.01719"]


def test_data_settings_machine_and_command_are_there(page, results):
    for task in results["tasks"]:
        assert task["fingerprint"] in page.text["data"]
        assert task["notes"][0] in page.text["data"]
        for test, n in task["tests"].items():
            assert f"{n} {'near test' if test == 'iid' else test}" in tidy(page.text["data"])
    settings = tidy(page.text["settings"])
    for part in (results["command"], "torch 2.13.0", "a processor with 2 cores", "abc1234", "3.11.7"):
        assert part in settings
    assert re.search(r"batch size\s*64\b", page.text["settings"])
    assert results["command"] in page.text["repeat"]
    assert "farfield==0.1.0" in page.text["repeat"]


def test_failed_trials_stand_with_their_sentence(page, results):
    rows = [[tidy(c) for c in row] for row in page.tables["failed-table"][1:]]
    assert rows == [
        ["irm", f"{t['name']}seed 1", "the loss is nan at step 41; before it: 2.31, 9.7, 1.2e+04"]
        for t in results["tasks"]
    ]
    assert len(page.tables["runs-table"]) == 1 + 114


def test_confusion_shows_baseline_and_best_on_the_hardest_test(page, results):
    texts = tidy(page.text["confusion"])
    task = results["tasks"][0]["name"]
    counts = results["confusion"][task]["erm"]

    def share_right(matrix):
        return sum(matrix[i][i] for i in range(10)) / sum(map(sum, matrix))

    worst = min((t for t in counts if t != "iid"), key=lambda t: share_right(counts[t]))
    assert f"erm on {worst}" in texts
    assert f"sam on {worst}" in texts
    numbers = " ".join(f"{i}{''.join(map(str, row))}" for i, row in enumerate(counts[worst]))
    assert numbers.replace(" ", "") in texts.replace(" ", "")


def test_the_severity_section_is_left_out_without_one(synthetic):
    results = synthetic.results(tasks=synthetic.left_out(["north", "south"]), methods=synthetic.METHODS[:3])
    sections = [attrs["id"] for tag, attrs in Page(report.html(results)).tags if tag == "section"]
    assert "severity" not in sections
    assert "domains" in sections


def test_oracle_stands_in_a_loud_box(synthetic):
    for selection, loud in (("oracle", True), ("iid", False)):
        html = report.html(synthetic.results(methods=synthetic.METHODS[:2], seeds=2, selection=selection))
        box = next(attrs for tag, attrs in Page(html).tags if attrs.get("id") == "selection")
        assert (box.get("class") == "alarm") is loud
        assert ("upper bound" in Page(html).text["selection"]) is loud


@pytest.mark.parametrize(
    "settings",
    [
        {"seeds": 1},
        {"methods": 1},
        {"failed": [("sam", None)]},
        {"failed": [("erm", None)]},
        {"failed": [("erm", None), ("sam", None), ("asam", None)]},
        {"failed": [("erm", 0), ("sam", 1), ("asam", 2)]},
        {"classes": 2},
        {"classes": 40},
        {"one_task": True},
    ],
    ids=str,
)
def test_edge_cases_are_whole_pages(synthetic, settings):
    tasks = synthetic.graded_tasks(settings.get("classes", 10))[: 1 if settings.get("one_task") else 2]
    results = synthetic.results(
        methods=synthetic.METHODS[: settings.get("methods", 3)],
        tasks=tasks,
        seeds=settings.get("seeds", 3),
        failed=settings.get("failed", ()),
    )
    html = report.html(results)
    page = Page(html)
    assert page.unbalanced == []
    assert "None" not in re.sub(r"<script.*?</script>|<style.*?</style>|None: all|None of", "", html, flags=re.DOTALL)
    assert "nan" not in tidy(page.text["leaderboard"]).split()
    assert ("No confusion tables" in html) == (settings.get("classes") == 40 or (len(settings.get("failed", ())) == 3
                                               and settings["failed"][0][1] is None))  # fmt: skip


def test_names_are_escaped_everywhere(synthetic):
    evil = "<script>alert(1)</script>&\"'</svg>"
    task = synthetic.task(evil, [evil + "1", evil + "2"], [evil + "3"], classes=[evil + "a", evil + "b"], graded=True)
    task["notes"] = [evil]
    methods = [synthetic.METHODS[0], (evil, evil, evil), ("x", "s", "javascript:alert(1)")]
    results = synthetic.results(tasks=[task], methods=methods, seeds=2)
    results["command"] = results["machine"]["processor"] = evil
    results["trials"][-1] |= {"state": "failed", "error": evil}
    html = report.html(results)
    page = Page(html)
    assert page.unbalanced == []
    assert [t for t, _ in page.tags].count("script") == 3
    assert "alert(1)</script>" not in html
    assert not [a for t, a in page.tags if t == "a" and a["href"].startswith("javascript")]
    assert evil in page.text["settings"]
    assert evil in page.text["verdict"]
    assert [tidy(r[0]) for r in page.tables["leaderboard-table"]].count(evil) == 1


def test_unprintable_names_do_not_break_the_page(synthetic, tmp_path):
    # A file's name may be no text at all; a method's is one, but may hold control characters.
    tasks = [synthetic.task("csv:c\udcff.csv", ["p", "q"], ["r"])]
    results = synthetic.results(methods=[synthetic.METHODS[0], ("a\x00b\x1b", "s", "s")], tasks=tasks, seeds=2)
    report.write(results, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "a�b�" in text
    assert "csv:c�.csv" in text
    assert "\x00" not in text


def test_writing_replaces_the_file_whole_and_leaves_nothing_else(results, html, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    report.write(results, path)
    assert path.read_text(encoding="utf-8") == html
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_results_are_not_changed(synthetic):
    results = synthetic.results(methods=synthetic.METHODS[:2], seeds=2)
    before = copy.deepcopy(results)
    report.html(results)
    assert results == before


def test_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="no results of a comparison: leaderboard, by_task are missing"):
        report.write(dict.fromkeys(set(report.NEEDED) - {"leaderboard", "by_task"}), tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []
