"""The report: a well-formed page that needs nothing else, shows every number, and escapes every name."""

import re
from html.parser import HTMLParser

import pytest

from farfield.errors import InputError
from farfield.inspect import report
from farfield.inspect.words import MEASURES, written

VOID = {"meta", "br", "img", "link", "input", "hr", "path", "use"}


class Page(HTMLParser):
    """Tags, what is left open, and the text of the page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.wrong, self.text = [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def page(inspected, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write(inspected.results, path)
    return path.read_text()


def test_it_is_well_formed_and_loads_nothing(page):
    parsed = Page(page)
    assert not parsed.wrong and not parsed.open
    assert not [a for _, a in parsed.tags for k in ("src", "href") if (a.get(k) or "#")[0] != "#"]
    assert "default-src 'none'" in page and "url(http" not in page
    ids = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = {a["href"][1:] for tag, a in parsed.tags if tag == "a"}
    assert links <= set(ids)


def test_names_of_users_are_escaped(page):
    assert "<b>dog" not in page and "&lt;b&gt;dog" in page and "&lt;m&gt;$0.npz" in page


def test_every_number_of_the_full_comparisons_is_shown_with_its_meaning(page, inspected):
    text = re.sub(r"\s+", " ", Page(page).text)
    full = {(n["representation"], n["against"]) for n in inspected.results["numbers"] if n["measure"] == "rsa"}
    for n in inspected.results["numbers"]:
        if n["against"] is None or (n["representation"], n["against"]) in full:
            assert re.sub(r"\s+", " ", written(n)) in text, n
            assert re.sub(r"\s+", " ", MEASURES[n["measure"]].title) in text, n
        if n["chance"] is not None and n["measure"] == "rsa":
            assert f"chance {written(n, 'chance')}" in text


def test_what_was_not_measured_is_said_with_the_reason(page, inspected):
    assert inspected.results["skipped"]
    text = Page(page).text
    assert "they need the classifier's weights (--head)" in text


def test_it_is_the_same_every_time(page, inspected, tmp_path):
    report.write(inspected.results, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


def test_other_data_are_refused(tmp_path):
    with pytest.raises(InputError, match="no results of an inspection: command, version, created"):
        report.write({}, tmp_path / "x.html")
