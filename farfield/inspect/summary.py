"""The numbers in a few sentences: what matters first, then what to look out for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from farfield.inspect.words import written

Results = Mapping[str, Any]
# Listed one by one up to so many; of more, the extremes.
MOST = 4


def summary(results: Results) -> list[str]:
    """Return what was found in sentences, the most important first.

    >>> numbers = [{"representation": "a", "against": None, "measure": m, "value": v, "low": None, "high": None, "chance": None,
    ...     "rows": 9} for m, v in {"rows": 9.0, "columns": 4.0, "participation_ratio": 2.5, "dimensions_90": 3.0}.items()]
    >>> summary({"numbers": numbers, "representations": [{"name": "a", "only_compared": False}], "labels": None})[0]
    'a: 9 rows of 4 columns, whose variance is spread over about 2.50 directions (3 hold 90 %).'
    """
    found = _Index(results)
    names = [r["name"] for r in results["representations"] if not r["only_compared"]]
    if len(names) <= MOST:
        sentences = [_form(found, name) for name in names]
    else:
        sources = list(
            dict.fromkeys(r["source"] for r in results["representations"] if not r["only_compared"] and r["part"])
        )
        by_source = [[r["name"] for r in results["representations"] if r["source"] == s] for s in sources]
        sentences = [_many(found, of_one) for of_one in by_source or [names]][:MOST]
    if results["labels"] is not None:
        sentences += [s for name in names[:MOST] if (s := _read_out(found, name))] if len(names) <= MOST else []
        sentences += [s for name in names if len(names) <= MOST and (s := _collapsed(found, name))]
    sentences += _agreement(found)
    return [s for s in sentences if s] + _warnings(found, names)


class _Index:
    def __init__(self, results: Results):
        self.labels = results["labels"]
        self._numbers = {(n["representation"], n["measure"], n["against"]): n for n in results["numbers"]}
        self.pairs = [n for n in results["numbers"] if n["against"] is not None]
        self.all = results["numbers"]

    def get(self, name: str, measure: str, against: str | None = None) -> Mapping[str, Any] | None:
        return self._numbers.get((name, measure, against))

    def value(self, name: str, measure: str) -> float | None:
        number = self.get(name, measure)
        return None if number is None else number["value"]

    def text(self, name: str, measure: str) -> str:
        return written(self.get(name, measure)).replace("\N{NO-BREAK SPACE}", " ")


def _form(found: _Index, name: str) -> str:
    text = f"{name}: {found.text(name, 'rows')} rows of {found.text(name, 'columns')} columns"
    if found.get(name, "participation_ratio"):
        text += (
            f", whose variance is spread over about {found.text(name, 'participation_ratio')} directions "
            f"({found.text(name, 'dimensions_90')} hold 90 %)"
        )
    dimensions = sorted(
        (found.get(name, m) for m in ("dimension_mle", "dimension_twonn") if found.get(name, m)),
        key=lambda n: n["value"],
    )
    if dimensions:
        ends = list(dict.fromkeys(f"{n['value']:.0f}" for n in dimensions))
        text += f"; the rows lie near a surface of about {' to '.join(ends)} dimensions"
    return text + "."


def _many(found: _Index, names: Sequence[str]) -> str:
    text = f"From {names[0]} to {names[-1]}"
    parts = []
    for measure, what in (
        ("participation_ratio", "the participation ratio goes"),
        ("dimension_mle", "the intrinsic dimension"),
        ("linear_probe", "what a linear classifier tells"),
        ("cdnv", "the width of the classes (CDNV)"),
    ):
        known = [n for name in names if (n := found.get(name, measure))]
        if len(known) > 1:
            first, last = known[0], known[-1]
            parts.append(f"{what} from {written(first)} to {written(last)}")
    return f"{text}: {'; '.join(parts)}." if parts else f"{text}."


def _read_out(found: _Index, name: str) -> str:
    if not found.get(name, "linear_probe"):
        return ""
    probe = found.get(name, "linear_probe")
    text = (
        f"{name}: a linear classifier tells the {found.text('labels', 'classes')} classes in {written(probe)} of rows it was "
        f"not fitted to ({written(probe, 'low')} to {written(probe, 'high')}; always guessing the largest class: "
        f"{found.text('labels', 'largest_class')})"
    )
    if found.get(name, "knn_accuracy"):
        text += f", the nearest neighbours in {found.text(name, 'knn_accuracy')}"
    return text + "."


def _collapsed(found: _Index, name: str) -> str:
    width = found.value(name, "cdnv")
    if width is None:
        return ""
    how = (
        "have largely collapsed"
        if width < 0.05
        else "are well apart"
        if width < 0.3
        else "are as wide as they are apart"
    )
    how = "lie almost wholly over each other" if width > 2 else how
    return f"{name}: its classes {how} (class-distance normalized variance {found.text(name, 'cdnv')})."


def _agreement(found: _Index) -> list[str]:
    full = [n for n in found.pairs if n["measure"] == "rsa"]
    sentences = []
    for n in full[-MOST:]:
        a, b = n["representation"], n["against"]
        cka = found.get(a, "linear_cka", b)
        # How far it is from chance on the way to equality.
        score = (n["value"] - n["chance"]) / (1 - n["chance"])
        how = "agree closely" if score > 0.8 else "agree in part" if score > 0.3 else "hardly agree"
        text = f"{a} and {b} {how} on what is near and far (RSA {written(n)}, by chance {written(n, 'chance')}"
        if cka is not None:
            text += f"; linear CKA {written(cka)}, by chance {written(cka, 'chance')}"
        shared = found.get(a, "neighbours_shared", b)
        sentences.append(text + (f"; {100 * shared['value']:.0f} % of neighbours shared)." if shared else ")."))
    told = [n for n in found.all if n["measure"] == "identification"]
    sentences += [
        f"Of {n['representation']}, {written(n)} are told by those of the other models (by chance {written(n, 'chance')})."
        for n in told
    ]
    return sentences


def _warnings(found: _Index, names: Sequence[str]) -> list[str]:
    """Return what a user should look at before trusting anything else."""

    def those(measure: str, above: float) -> str:
        which = [name for name in names if (found.value(name, measure) or 0) > above]
        if len(which) > MOST:
            return f"{len(which)} of {len(names)}, such as {which[-1]}"
        return ", ".join(which)

    sentences = []
    rows = found.value(names[0], "rows") or 0
    if which := those("duplicate_rows", 0.01 * rows):
        sentences.append(
            f"More than 1 % of the rows repeat another one: {which}. Neighbours and probes look better than they are."
        )
    if which := those("constant_columns", 0):
        sentences.append(f"Some columns have one value only and can be dropped: {which}.")
    if which := those("mean_cosine", 0.5):
        sentences.append(
            f"All rows point much the same way (mean cosine above 0.5): {which}. Subtract the mean before comparing cosines."
        )
    if which := those("largest_share", 0.5):
        sentences.append(f"One direction holds more than half of the variance and rules all distances: {which}.")
    if which := those("hub_skewness", 2):
        sentences.append(f"A few rows are neighbours of very many others (hubs): {which}.")
    wide = [name for name in names if (found.value(name, "columns") or 0) > rows]
    if wide and found.pairs:
        sentences.append("There are fewer rows than columns, so CKA and CCA are high by chance: look at that column.")
    return sentences
