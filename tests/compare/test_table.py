import io
import re

import pytest
from rich.console import Console

from farfield.compare.table import leaderboard_table, print_result


def printed(results, width, *, what=print_result, encoding="utf-8"):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=out, width=width)
    if what is print_result:
        print_result(results, console)
    else:
        console.print(leaderboard_table(results, width=width, encoding=encoding))
    return raw.getvalue().decode(encoding)


@pytest.fixture(scope="module")
def results(synthetic):
    return synthetic.results(failed=[("irm", 1)])


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_it_fits_and_no_number_is_cut(results, width):
    text = printed(results, width, what=leaderboard_table)
    assert max(map(len, text.splitlines())) <= width
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    for row in results["leaderboard"]:
        # A long name loses its middle on a narrow terminal.
        line = rows.get(row["method"]) or next(v for k, v in rows.items() if k[:4] == row["method"][:4] and "…" in k)
        assert f" {100 * row['far']['mean']:.1f} " in line
        assert f" {100 * row['worst']['mean']:.1f} " in line
        if row["difference"]:
            low, high = (f"{100 * row['difference'][k]:+.1f}" for k in ("low", "high"))
            assert f"{100 * row['difference']['mean']:+.1f} ({low} to {high})" in line
        if width >= 80:
            assert f" {100 * row['near']['mean']:.1f} " in line
        if width >= 100:
            assert f"({100 * row['far']['low']:.1f} to {100 * row['far']['high']:.1f})" in line


def test_a_wide_terminal_shows_everything(results):
    text = printed(results, 140, what=leaderboard_table)
    irm = next(line for line in text.splitlines() if line.split()[:1] == ["irm"])
    assert "3 of 9" in irm
    assert "1.8 s" in irm
    assert results["leaderboard"][0]["worst"]["domain"] in text


def test_verdict_selection_notes_and_failures_stand_around_it(results):
    text = re.sub(r"\s+", " ", printed(results, 100))
    assert "sam held up best: 75.4 % far accuracy" in text
    assert "Model selection (iid): Each run keeps the checkpoint" in text
    assert text.count("2 of 1797 rows repeat another one") == 1
    assert "dann was given two domains at least." in text
    assert "3 trials of 117 failed:" in text
    assert "irm, digits/blur, seed 1: the loss is nan at step 41" in text


def test_many_failures_are_counted_not_listed(synthetic):
    results = synthetic.results(failed=[("irm", None), ("dann", None)])
    text = printed(results, 100)
    assert text.count("the loss is nan") == 8
    assert "... and 10 more, all in the report" in text


def test_everything_failed_still_prints(synthetic):
    results = synthetic.results(methods=synthetic.METHODS[:2], failed=[("erm", None), ("sam", None)])
    assert "there is nothing to compare" in re.sub(r"\s+", " ", printed(results, 80))


def test_names_are_text_not_markup_nor_terminal_commands(synthetic):
    methods = [synthetic.METHODS[0], ("[bold]x[/]", "s", "s"), ("\x1b[31mred", "s", "s")]
    text = printed(synthetic.results(methods=methods, seeds=2), 100)
    assert "[bold]x[/]" in text
    assert "\x1b" not in text


def test_a_terminal_that_knows_only_ascii_is_served(results):
    text = printed(results, 100, encoding="ascii")
    assert "+1.7 (+0.4 to +3.0)" in text
    assert "75?" in text


def test_one_seed_has_no_brackets(synthetic):
    text = printed(synthetic.results(seeds=1), 100)
    table = text[text.index("method") : text.index("near: places")]
    assert "(" not in table
