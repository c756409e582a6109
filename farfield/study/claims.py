"""Claims of a paper as relations between measured numbers, each judged by a paired test over seeds.

**The test.** Every relation is first brought to one number per seed: a difference, a slope, a correlation, averaged over the
tasks (the other axes) of the study. Then it is a one-sample Student t test on those n numbers (`scipy.stats.t`), read as a
two-sided 95 % interval. Why this one:

- Seeds share the split, the initial weights and the batches between the things compared, so a difference within a seed
  cancels what they have in common; seeds are independent of each other, tasks within a seed are not. One number per seed
  keeps n honest: 3 seeds on 5 tasks are 3 observations, not 15.
- Few seeds are the rule. A rank or sign-flip test on 5 pairs cannot reach 5 % (its smallest two-sided p is 1/16), so it could
  never say anything; the t test is exact at any n for normal numbers, and means over tasks and test sets are near to
  normal. Its interval widens as it should when n is small.

**The verdict.** ``holds``: the whole interval lies on the claim's side of its margin; ``fails``: the whole interval lies on the
other side; ``undecided`` otherwise, also where fewer than two seeds are complete. With no effect at all, ``holds`` comes up in
2.5 % of studies; with an effect of one standard deviation and 10 seeds, in 80 %.

The tasks of a study are taken as they are: the verdict is about these tasks, not about tasks in general.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from farfield.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Judgement:
    """What became of a claim.

    **Fields:** ``effect`` and ``interval`` (95 %, or wider where several candidates share the error) in the metric's unit; ``n``
    seeds; ``p`` two-sided; ``detail``: one sentence on what was compared.
    """

    verdict: Verdict
    effect: float | None
    interval: tuple[float | None, float | None]
    n: int
    p: float | None
    detail: str = ""


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, the figure that it reported, and the relation that is tested.

    **Fields:**
    - ``says``: the sentence.
    - ``reported``: the paper's own figures, in words.
    - ``relation``: the relation in words, such as "far: tram > sam".
    - ``judge``: records -> `Judgement`. Records are a data frame with the columns of the grid, ``seed`` and the metrics.
    - ``scale``: why it may come out otherwise at the small scale; shown beside a verdict that is not ``holds``.
    - ``unit``: of the effect.
    """

    says: str
    reported: str
    relation: str
    judge: Callable[[pd.DataFrame], Judgement]
    scale: str = ""
    unit: str = ""


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float, float]:
    """Return mean, lower and upper end of its Student t interval, and the two-sided p value against zero.

    **Arguments:** at least two independent values, one per seed. Values that are all the same have a zero-width interval.

    >>> mean, low, high, p = mean_interval([1.0, 2.0, 3.0])
    >>> round(mean, 3), round(low, 3), round(high, 3), round(p, 4)
    (2.0, -0.484, 4.484, 0.0742)
    """
    from scipy import stats

    x = np.asarray(values, dtype=float)
    mean, spread = float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))
    if spread == 0:
        return mean, mean, mean, 1.0 if mean == 0 else 0.0
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1)) * spread
    return mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / spread, len(x) - 1))


def greater(
    better: str | Sequence[str],
    *,
    than: str | Sequence[str],
    metric: str,
    along: str,
    says: str,
    reported: str,
    margin: float = 0.0,
    lower_is_better: bool = False,
    where: Mapping[str, Any] | None = None,
    scale: str = "",
    unit: str = "",
) -> Claim:
    """Claim that one value of an axis has a greater metric than others, paired by seed, averaged over the other axes.

    **Arguments:**
    - ``better``: a value of the axis ``along``. Of several, it is enough that one does (each is judged at 1 - 0.05/k, so that
      picking the best of k after looking keeps the error at 5 %).
    - ``than``: a value, or several, of which each must be exceeded (no correction: all must pass).
    - ``margin``: the difference must exceed it, in the metric's unit.
    - ``lower_is_better``: claim a smaller metric instead.
    - ``where``: use only records with these values of other axes.

    >>> import pandas as pd
    >>> rows = pd.DataFrame([{"method": m, "seed": s, "far": s + (m == "tram") + 0.1 * s * (m == "tram")}
    ...                      for m in ("sam", "tram") for s in range(3)])
    >>> greater("tram", than="sam", metric="far", along="method", says="", reported="").judge(rows).verdict
    'holds'
    """
    candidates = [better] if isinstance(better, str) else list(better)
    rivals = [than] if isinstance(than, str) else list(than)
    sign = -1.0 if lower_is_better else 1.0

    def judge(records: pd.DataFrame) -> Judgement:
        table = by_seed(only(records, where), metric, along, [*candidates, *rivals])
        if len(table) == 1:
            return _single(table, candidates, rivals, sign)
        if len(table) < 2:
            return _undecided(len(table), metric)
        # One candidate passes where all its rivals are exceeded; it fails where one rival is shown to exceed it.
        found = []
        for candidate in candidates:
            each = []
            for rival in rivals:
                difference = sign * (table[candidate] - table[rival])
                each.append((*mean_interval(difference, 1 - 0.05 / len(candidates)), rival, difference))
            low = min(each, key=lambda e: e[1])
            high = [mean_interval(e[5], 1 - 0.05 / len(rivals))[2] for e in each]
            found.append((low, candidate, min(high) < margin))
        (mean, lower, upper, p, rival, _), candidate, _ = max(found, key=lambda f: f[0][1])
        verdict: Verdict = "undecided"
        if lower > margin:
            verdict = "holds"
        elif all(failed for *_, failed in found):
            verdict = "fails"
        detail = f"{candidate} against {rival}" if len(rivals) * len(candidates) > 1 else ""
        ends = (lower, upper) if sign > 0 else (-upper, -lower)
        return Judgement(verdict, sign * mean, ends, len(table), p, detail)

    relation = f"{metric}: {' or '.join(candidates)} {'<' if lower_is_better else '>'} {' and '.join(rivals)}"
    if margin:
        relation += f" by more than {margin:g}"
    return Claim(says, reported, relation, judge, scale, unit)


def at_least(
    metric: str,
    value: float,
    *,
    says: str,
    reported: str,
    where: Mapping[str, Any] | None = None,
    scale: str = "",
    unit: str = "",
) -> Claim:
    """Claim that the mean of a metric is at least a value.

    >>> import pandas as pd
    >>> at_least("far", 0.5, says="", reported="").judge(pd.DataFrame({"seed": [0, 1], "far": [0.7, 0.71]})).verdict
    'holds'
    """

    def judge(records: pd.DataFrame) -> Judgement:
        values = _per_seed(records, where, metric)
        if len(values) < 2:
            return _undecided(len(values), metric)
        mean, low, high, _ = mean_interval(values)
        p = mean_interval(values - value)[3]
        verdict: Verdict = "holds" if low >= value else "fails" if high < value else "undecided"
        return Judgement(verdict, mean, (low, high), len(values), p)

    return Claim(says, reported, f"{metric} >= {value:g}", judge, scale, unit)


def within(
    metric: str,
    low: float,
    high: float,
    *,
    says: str,
    reported: str,
    where: Mapping[str, Any] | None = None,
    scale: str = "",
    unit: str = "",
) -> Claim:
    """Claim that the mean of a metric lies between two values (equivalence: the whole interval inside them).

    >>> import pandas as pd
    >>> within("d", 0, 1, says="", reported="").judge(pd.DataFrame({"seed": [0, 1], "d": [0.5, 0.51]})).verdict
    'holds'
    """

    def judge(records: pd.DataFrame) -> Judgement:
        values = _per_seed(records, where, metric)
        if len(values) < 2:
            return _undecided(len(values), metric)
        mean, lower, upper, _ = mean_interval(values)
        inside, outside = low <= lower and upper <= high, upper < low or lower > high
        return Judgement(
            "holds" if inside else "fails" if outside else "undecided", mean, (lower, upper), len(values), None
        )

    return Claim(says, reported, f"{low:g} <= {metric} <= {high:g}", judge, scale, unit)


def increases_along(
    axis: str,
    *,
    metric: str,
    says: str,
    reported: str,
    decreases: bool = False,
    where: Mapping[str, Any] | None = None,
    scale: str = "",
) -> Claim:
    """Claim that a metric grows along a numeric axis: Spearman's rank correlation with it, per seed, is above zero on average.

    >>> import pandas as pd
    >>> rows = pd.DataFrame([{"n": n, "seed": s, "far": n + 0.5 * s} for n in (1, 2, 4) for s in (0, 1)])
    >>> increases_along("n", metric="far", says="", reported="").judge(rows).verdict
    'holds'
    """
    name = f"{metric} {'falls' if decreases else 'grows'} along {axis}"
    return _rank_correlation(axis, metric, -1.0 if decreases else 1.0, name, says, reported, where, scale)


def correlates(
    x: str,
    y: str,
    *,
    says: str,
    reported: str,
    negative: bool = False,
    where: Mapping[str, Any] | None = None,
    scale: str = "",
) -> Claim:
    """Claim that two metrics go together over the points of the grid: Spearman's rank correlation, per seed, above zero.

    >>> import pandas as pd
    >>> rows = pd.DataFrame([{"m": m, "seed": s, "a": m, "b": m * m + s} for m in (1, 2, 3) for s in (0, 1)])
    >>> correlates("a", "b", says="", reported="").judge(rows).effect
    1.0
    """
    name = f"{x} and {y} {'go against each other' if negative else 'go together'}"
    return _rank_correlation(x, y, -1.0 if negative else 1.0, name, says, reported, where, scale)


def exact(check: Callable[[pd.DataFrame], bool], *, says: str, reported: str, relation: str) -> Claim:
    """Claim something deterministic (a closed form, an identity): it is checked exactly, without a test, and says so.

    >>> import pandas as pd
    >>> exact(lambda r: bool((r["gap"] == 0).all()), says="", reported="", relation="gap = 0").judge(
    ...     pd.DataFrame({"seed": [0], "gap": [0]})).detail
    'checked exactly'
    """

    def judge(records: pd.DataFrame) -> Judgement:
        true = check(records)
        n = int(records["seed"].nunique())
        return Judgement("holds" if true else "fails", None, (None, None), n, None, "checked exactly")

    return Claim(says, reported, relation, judge)


def _rank_correlation(
    x: str, y: str, sign: float, relation: str, says: str, reported: str, where: Mapping[str, Any] | None, scale: str
) -> Claim:
    def judge(records: pd.DataFrame) -> Judgement:
        from scipy import stats

        values = []
        _need(records, x, y)
        for _, rows in only(records, where).dropna(subset=[x, y]).groupby("seed"):
            if rows[x].nunique() > 1 and rows[y].nunique() > 1:
                values.append(sign * float(stats.spearmanr(rows[x], rows[y]).statistic))
        if len(values) < 2:
            return _undecided(len(values), f"{x} and {y}")
        mean, low, high, p = mean_interval(values)
        verdict: Verdict = "holds" if low > 0 else "fails" if high < 0 else "undecided"
        ends = (low, high) if sign > 0 else (-high, -low)
        return Judgement(verdict, sign * mean, ends, len(values), p, "Spearman's rank correlation, mean over seeds")

    return Claim(says, reported, relation, judge, scale, "rank correlation")


def only(records: pd.DataFrame, where: Mapping[str, Any] | None) -> pd.DataFrame:
    """Return the records whose axes have these values (one, or one of several). Raises InputError on an unknown axis.

    >>> import pandas as pd
    >>> len(only(pd.DataFrame({"n": [1, 2, 3]}), {"n": [1, 3]}))
    2
    """
    for axis, value in (where or {}).items():
        _need(records, axis)
        wanted = list(value) if isinstance(value, list | tuple | set) else [value]
        records = records[records[axis].isin(wanted)]
    return records


def _per_seed(records: pd.DataFrame, where: Mapping[str, Any] | None, metric: str) -> pd.Series:
    _need(records, metric)
    return only(records, where).groupby("seed")[metric].mean().dropna()


def _need(records: pd.DataFrame, *columns: str) -> None:
    for column in columns:
        if column not in records:
            raise InputError(f"the records have no column {column!r}; they have {', '.join(map(str, records.columns))}")


def by_seed(records: pd.DataFrame, metric: str, along: str, values: Sequence[str]) -> pd.DataFrame:
    """Return a metric by seed (rows) and value of the axis ``along`` (columns), averaged over all other axes.

    A seed counts only where every value has the metric in every cell of the other axes that anything was measured in, so
    that a failed trial never pairs one task with another. The axes are those of ``records.attrs["axes"]``.

    Raises InputError where the records have no such column.

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"method": ["a", "a", "b"], "seed": [0, 1, 0], "far": [0.5, 0.6, 0.7]})
    >>> by_seed(rows, "far", "method", ["a", "b"]).loc[0].tolist()
    [0.5, 0.7]
    """
    _need(records, metric, along)
    axes = [a for a in records.attrs.get("axes", ()) if a != along and a in records]
    values = list(dict.fromkeys(values))
    used = records[records[along].isin(values)].dropna(subset=[metric])
    cells = used.pivot_table(index=["seed", *axes], columns=along, values=metric, aggfunc="mean", sort=False)
    if any(v not in cells for v in values):
        return cells.iloc[:0]
    complete = cells[values].dropna()
    expected = len(used.groupby(axes)) if axes else 1
    sizes = complete.groupby(level="seed").size()
    full = sizes.index[sizes == expected]
    return complete[complete.index.get_level_values("seed").isin(full)].groupby(level="seed").mean()


def _single(table: pd.DataFrame, candidates: Sequence[str], rivals: Sequence[str], sign: float) -> Judgement:
    """What one seed shows: the difference of the best candidate to the rival nearest to it, which no test can judge."""
    nearest = [min((sign * float((table[c] - table[r]).iloc[0]), c, r) for r in rivals) for c in candidates]
    difference, candidate, rival = max(nearest)
    return Judgement(
        "undecided", sign * difference, (None, None), 1, None, f"{candidate} against {rival}; a test needs 2 seeds"
    )


def _undecided(n: int, what: str) -> Judgement:
    return Judgement(
        "undecided", None, (None, None), n, None, f"{n} complete seed{'' if n == 1 else 's'} of {what}; a test needs 2"
    )
