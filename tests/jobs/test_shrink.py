"""The job: its parts do not leak, its numbers are those of the adapter that it gives, its sentences follow from
them."""

import numpy as np
import pytest
import torch

from farfield.errors import InputError
from farfield.jobs import output
from farfield.jobs import shrink as job
from farfield.jobs.shrink import MOST_HELD_OUT, MOST_LEARNED, split
from farfield.jobs.shrink_summary import summary

RNG = np.random.default_rng(0)
Y = np.arange(200) % 4
X = RNG.normal(size=(200, 10))
X[:, 6:] += 3 * np.eye(4)[Y]


@pytest.fixture(scope="module")
def shrunk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shrunk")
    return job(X, [2, 10], labels=Y, steps=5, out=folder), folder


def test_parts_are_apart_and_bounded():
    parts = split(100_000, seed=1)
    assert len(parts.learned) == MOST_LEARNED and len(parts.held_out) == MOST_HELD_OUT
    assert not set(parts.learned.tolist()) & set(parts.held_out.tolist())
    assert (parts.learned.diff() > 0).all()
    assert parts.held_out.tolist() != split(100_000, seed=2).held_out.tolist()


def test_no_pair_reaches_over_to_what_was_learned_from():
    pairs = torch.stack([torch.arange(0, 180, 2), torch.arange(1, 180, 2)], 1)
    pairs = torch.cat([pairs, torch.tensor([[0, 2], [2, 4]])])
    parts = split(200, pairs, seed=0)
    learned, held = set(parts.learned.tolist()), set(parts.held_out.tolist())
    assert learned | held == set(range(180)) and not learned & held
    assert len(parts.learned_pairs) + len(parts.held_out_pairs) == len(pairs)
    rows = torch.cat([parts.learned[parts.learned_pairs], parts.held_out[parts.held_out_pairs]])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, pairs.tolist()))
    assert 0.2 * 180 < len(held) <= 0.3 * 180


def test_all_components_keep_all_neighbours_and_the_classes(shrunk):
    table = shrunk[0].table.query("way == 'pca' and columns == 10").set_index("measure")["mean"]
    assert table["neighbours"] == 1
    for name in ("accuracy", "map"):
        assert table[name] == pytest.approx(shrunk[0].results["full"][name]["mean"])


def test_its_numbers_are_those_of_the_adapter_it_gives(shrunk):
    parts = split(200, seed=0)
    held = parts.held_out.numpy()
    z = shrunk[0].adapter(X[held])[:, :2]
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    similar = z @ z.T
    np.fill_diagonal(similar, -9)
    near = similar.argsort(1)[:, :-11:-1]
    votes = np.array([np.bincount(Y[held][row], minlength=4).argmax() for row in near])
    row = shrunk[0].table.query("way == 'learned' and columns == 2 and measure == 'accuracy'").iloc[0]
    assert row["mean"] == pytest.approx((votes == Y[held]).mean())
    assert row["low"] <= row["mean"] <= row["high"]


def test_the_page_needs_nothing_else_and_shows_every_number(shrunk):
    page = (shrunk[1] / "report.html").read_text()
    assert "default-src 'none'" in page and "url(http" not in page and "<svg" in page
    for row in shrunk[0].results["curve"]:
        assert f"{100 * row['mean']:.1f}" in page
    for sentence in shrunk[0].results["sentences"]:
        assert sentence.replace("'", "&#39;").replace("\N{NO-BREAK SPACE}", " ") in page


def results(goal="neighbours", method="learned", gain=0.0, means=(0.5, 0.95)):
    headline = {"labels": "accuracy", "neighbours": "neighbours"}[goal]
    curve = [
        {"way": way, "columns": m, "measure": name, "mean": mean, "low": mean - 0.01, "high": mean + 0.01}
        for way in ("learned", "pca", "prefix", "random")
        for name in {headline, "neighbours"}
        for m, mean in zip((2, 4), np.array(means) - (way in ("prefix", "random")) * 0.3)
    ]
    difference = [{"columns": m, "mean": gain, "low": gain - 0.01, "high": gain + 0.01} for m in (2, 4)]
    full = {"mean": 0.955, "low": 0.95, "high": 0.96}
    return {
        "goal": goal, "headline": headline, "method": method, "dims": [2, 4], "data": [{"columns": 8}], "curve": curve,
        "against_pca": difference, "full": {headline: full},
        "against_full": [
            {"way": way, "columns": m, "mean": v - 0.955, "low": v - 0.958, "high": v - 0.952}
            for way in ("learned", "pca") for m, v in zip((2, 4), means)
        ],
    }  # fmt: skip


def sentences(**more):
    return " ".join(summary(results(**more))).replace("\N{NO-BREAK SPACE}", " ")


def test_sentences_follow_from_the_numbers():
    assert "4 of 8 columns keep 95.0 % of the 10 nearest neighbours" in sentences()
    assert "no size keeps 90.0 % for sure" in sentences(means=(0.5, 0.6))
    assert "4 of 8 columns tell the class of 95.0 %" in sentences(goal="labels") and "does not cost" in sentences(
        goal="labels"
    )
    assert "every size may cost more than 1 point" in sentences(goal="labels", means=(0.5, 0.6))
    assert "learned adapter is better than principal components at 2 and 4 columns" in sentences(gain=0.05)
    assert "Principal components are better" in sentences(gain=-0.05) and "--method pca" in sentences(gain=-0.05)
    assert "The adapter is these components." in sentences(gain=-0.05, method="pca")
    assert "differ for sure" in sentences(gain=0.001)


def test_the_first_columns_are_recommended_where_they_do_as_well():
    given = results()
    for row in given["curve"]:
        if row["way"] == "prefix":
            row["mean"] = 0.99
    assert "The first columns as they are do no worse at 2 and 4 columns" in " ".join(summary(given))
    assert "no adapter is needed" not in sentences()


def test_results_that_lack_a_part_are_refused(tmp_path):
    with pytest.raises(InputError, match="these are no results of farfield shrink: command"):
        output.write({"files": {}}, [], tmp_path, name="shrink", template=tmp_path / "shrink.html.jinja")
    assert not list(tmp_path.iterdir())
