"""What a person decides from, in sentences: which size costs how much, and whether learning was worth it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farfield.web.wording import percent, points

HEADLINE = {"labels": "accuracy", "pairs": "pairs", "neighbours": "neighbours"}
MEASURES = {
    "neighbours": "neighbours kept",
    "accuracy": "10-NN accuracy",
    "map": "mAP@10",
    "pairs": "partner found",
}
WAYS = {"learned": "learned", "pca": "PCA", "prefix": "first columns", "random": "random columns"}
# What a size may cost to be called as good, and the share of neighbours that is called most.
MARGIN, MOST = 0.01, 0.9


def summary(results: Mapping[str, Any]) -> list[str]:
    """Return the sentences of a finished job, the answer first."""
    return [_answer(results), _against_pca(results), *_other_use(results), *_plain(results), _storage(results)]


def at(results: Mapping[str, Any], way: str, columns: int, measure: str) -> dict[str, Any]:
    """Return one number of the curve."""
    return next(
        row for row in results["curve"] if row["way"] == way and row["columns"] == columns and row["measure"] == measure
    )


def _answer(results: Mapping[str, Any]) -> str:
    width, headline, method = results["data"][0]["columns"], results["headline"], results["method"]
    rows = [at(results, method, m, headline) for m in results["dims"]]
    if headline == "neighbours":
        enough = [row for row in rows if row["low"] >= MOST]
        row = enough[0] if enough else rows[-1]
        kept = f"{row['columns']} of {width} columns keep {percent(row['mean'])} of the 10 nearest neighbours of the full vectors"
        return f"{kept}{'' if enough else f'; no size keeps {percent(MOST)} for sure'}."
    losses = {r["columns"]: r for r in results["against_full"] if r["way"] == method}
    enough = [row for row in rows if losses[row["columns"]]["low"] >= -MARGIN]
    row = enough[0] if enough else rows[-1]
    what = "tell the class of" if headline == "accuracy" else "find the partner of"
    whole = results["full"][headline]["mean"]
    start = f"{row['columns']} of {width} columns {what} {percent(row['mean'])} of the rows by their 10 nearest, all columns {percent(whole)}"
    if enough:
        return f"{start}: the smallest size that does not cost more than 1 point, at 95 % confidence."
    return f"{start}: every size may cost more than 1 point."


def _against_pca(results: Mapping[str, Any]) -> str:
    better = [str(r["columns"]) for r in results["against_pca"] if r["low"] > 0]
    worse = [str(r["columns"]) for r in results["against_pca"] if r["high"] < 0]
    if better and not worse:
        gain = max(results["against_pca"], key=lambda r: r["mean"])
        more = f"most at {gain['columns']} ({points(gain['mean'])} points)"
        advice = "" if results["method"] == "learned" else " Run again with --method learned to have that adapter."
        return f"The learned adapter is better than principal components at {_columns(better)}, {more}.{advice}"
    if worse and not better:
        advice = (
            "Run again with --method pca to have that adapter."
            if results["method"] == "learned"
            else "The adapter is these components."
        )
        return f"Principal components are better than what was learned at {_columns(worse)}. {advice}"
    if better:
        return (
            f"The learned adapter is better than principal components at {_columns(better)}, and worse at {_columns(worse)}: choose "
            "by the size that you need (--method)."
        )
    advice = " They are the simpler choice (--method pca)." if results["method"] == "learned" else ""
    return f"At no size do the learned adapter and principal components differ for sure.{advice}"


def _plain(results: Mapping[str, Any]) -> list[str]:
    """Say so where cutting the vectors as they are is as good: then no adapter is needed."""
    headline, method = results["headline"], results["method"]
    good = [
        str(m)
        for m in results["dims"]
        if at(results, "prefix", m, headline)["mean"] >= at(results, method, m, headline)["mean"]
    ]
    if not good:
        return []
    return [f"The first columns as they are do no worse at {_columns(good)}: there no adapter is needed."]


def _other_use(results: Mapping[str, Any]) -> list[str]:
    """Say so where an adapter that was learned for one use gives up another."""
    if results["goal"] == "neighbours" or results["method"] == "pca":
        return []
    fewer = [
        str(m)
        for m in results["dims"]
        if at(results, "learned", m, "neighbours")["high"] < at(results, "pca", m, "neighbours")["low"]
    ]
    if not fewer:
        return []
    return [
        f"It keeps fewer of the full vectors' neighbours than principal components at {_columns(fewer)}: it is for {results['goal']}."
    ]


def _storage(results: Mapping[str, Any]) -> str:
    width = results["data"][0]["columns"]
    sizes = [f"{m * 0.4:,.4g} GB at {m}" for m in results["dims"]]
    return f"100 million vectors of float32 take {width * 0.4:,.4g} GB as they are, {', '.join(sizes)} columns."


def _columns(sizes: list[str]) -> str:
    text = sizes[0] if len(sizes) == 1 else f"{', '.join(sizes[:-1])} and {sizes[-1]}"
    return f"{text} column{'s' if sizes != ['1'] else ''}"
