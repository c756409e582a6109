"""What the numbers of a comparison say, in sentences that never claim more than their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farfield.web.wording import between, bounded, count, mean, percent, points

Results = Mapping[str, Any]
Row = Mapping[str, Any]

SELECTION = {
    "iid": "Each run keeps the checkpoint with the highest accuracy on validation rows of its training domains{tuned}. "
    "Nothing of the test domains entered the choice.",
    "leave-one-domain-out": "Each training domain was left out in turn; the step with the highest mean accuracy on the one "
    "left out is kept{tuned}. Nothing of the test domains entered the choice.",
    "oracle": "The choice was allowed to look at accuracy on the test domains themselves (the last step of each run is "
    "kept{tuned}). Where you have no labels that is impossible: read every far accuracy here as an upper bound, not as an "
    "estimate.",
}


@dataclass(frozen=True)
class Roles:
    """The three methods that a reader looks at first; None where there is no such method.

    **Fields:** ``baseline``; ``best`` and ``worst``: the other methods with the highest and the lowest far accuracy.
    """

    baseline: str | None
    best: str | None
    worst: str | None


def finished(results: Results) -> list[Row]:
    """Return the leaderboard rows that have a far accuracy, best first.

    >>> finished({"leaderboard": [{"method": "erm", "far": {"mean": None, "low": None, "high": None}}]})
    []
    """
    rows = [row for row in results["leaderboard"] if mean(row["far"]) is not None]
    return sorted(rows, key=lambda row: -row["far"]["mean"])


def roles(results: Results) -> Roles:
    """Return which method is the baseline, and which others did best and worst.

    >>> rows = [{"method": m, "far": {"mean": v}} for m, v in [("sam", 0.8), ("erm", 0.7), ("irm", 0.6)]]
    >>> roles({"leaderboard": rows, "settings": {"baseline": "erm"}})
    Roles(baseline='erm', best='sam', worst='irm')
    """
    names = [row["method"] for row in finished(results)]
    baseline = results["settings"]["baseline"]
    others = [name for name in names if name != baseline]
    return Roles(
        baseline if baseline in names else None,
        others[0] if others else None,
        others[-1] if len(others) > 1 else None,
    )


def standing(difference: Mapping[str, Any] | None) -> str:
    """Return what a difference to the baseline shows: "better", "worse", "open", or "none" where it has no interval.

    Bounds count as they are written, with one decimal, so that no sentence contradicts the figures beside it.

    >>> standing({"mean": 0.02, "low": 0.01, "high": 0.03}), standing({"mean": 0.02, "low": 0.0003, "high": 0.04})
    ('better', 'open')
    """
    if not bounded(difference):
        return "none"
    if round(100 * difference["low"], 1) > 0:
        return "better"
    return "worse" if round(100 * difference["high"], 1) < 0 else "open"


def verdict(results: Results) -> list[str]:
    """Return the sentences that answer which method held up best, and how sure that is. The first is the answer."""
    rows = finished(results)
    tasks = results["tasks"]
    where = f"On the task {tasks[0]['name']}" if len(tasks) == 1 else f"On these {len(tasks)} tasks"
    if not rows:
        failed = sum(trial["state"] == "failed" for trial in results["trials"])
        total = count(len(results["trials"]), "trial")
        return [f"No method finished every task: {failed} of {total} failed, so there is nothing to compare."]
    sentences = [_answer(results, rows, where), *_others(results, rows), *_loss_outside(results, rows)]
    if results["settings"]["selection"] == "oracle":
        sentences.append(
            "Model selection was allowed to use the test domains (oracle): this is an upper bound and no estimate."
        )
    return sentences


def _answer(results: Results, rows: list[Row], where: str) -> str:
    """The first sentence: who is ahead, by how much, and whether the interval settles it."""
    baseline = results["settings"]["baseline"]
    top = rows[0]
    base = next((row for row in rows if row["method"] == baseline), None)
    value = percent(mean(top["far"]))
    far = f"{value} far accuracy"
    if len(rows) == 1:
        near = mean(top["near"])
        return (
            f"{where}, {top['method']} reached {far}"
            + (f" and {percent(near)} near accuracy" if near is not None else "")
            + ". No other method finished, so there is nothing to compare it with."
        )
    if base is None:
        interval = f" (95 % interval {between(top['far'])})" if bounded(top["far"]) else ""
        return (
            f"{where}, {top['method']} has the highest far accuracy: {value}{interval}. "
            f"The baseline {baseline} did not finish, so no difference can be given."
        )
    if top is base:
        closest = rows[1]
        return (
            f"{where}, no method held up better than the baseline {baseline}: {far}. The closest is "
            f"{closest['method']}: {_measured(closest, _seeds(results, closest, base), baseline)}"
        )
    measured = _measured(top, _seeds(results, top, base), baseline)
    return f"{where}, {top['method']} held up best: {far}, {measured}" + _chosen_after(top, rows)


def _measured(row: Row, seeds: int, baseline: str) -> str:
    """'+1.3 points over erm (95 % interval ...): what that settles.'"""
    difference = row["difference"]
    value = mean(difference)
    if value is None:
        return f"it has no run in common with {baseline}, so no difference can be given."
    # Below zero "against" reads right, at or above it "over".
    sense = "against" if points(value).startswith("\N{MINUS SIGN}") else "over"
    amount = f"{points(value)} points {sense} {baseline}"
    kind = standing(difference)
    if kind == "none":
        return f"{amount}. From one seed there is no interval, so this may be chance: run more seeds."
    tail = {
        "open": f"the interval includes zero, so with {count(seeds, 'seed')} this is not settled.",
        "better": "the interval excludes zero.",
        "worse": f"the interval excludes zero, in favour of {baseline}.",
    }[kind]
    return f"{amount} (95 % interval {between(difference, difference=True)}): {tail}"


def _seeds(results: Results, *rows: Row) -> int:
    """The most seeds that these rows can have in common: where trials failed, fewer than were run."""
    return min([results["settings"]["seeds"], *(row.get("seeds", results["settings"]["seeds"]) for row in rows)])


def _chosen_after(top: Row, rows: list[Row]) -> str:
    """The best of many looks better than it is; an interval of one method does not know of the others."""
    tried = len(rows) - 1
    if standing(top["difference"]) != "better" or tried < 2:
        return ""
    return (
        f" It was picked as the best of {tried} methods after looking, which that interval does not allow for: "
        "confirm it with new seeds."
    )


def _others(results: Results, rows: list[Row]) -> list[str]:
    """How many methods stand above, below and beside the baseline."""
    baseline = results["settings"]["baseline"]
    kinds = [standing(row["difference"]) for row in rows if row["method"] != baseline]
    measured = [kind for kind in kinds if kind != "none"]
    if len(measured) < 2:
        return []
    better, worse, open_ = (measured.count(kind) for kind in ("better", "worse", "open"))
    return [
        f"Of {len(measured)} methods compared with {baseline}, {better or 'none'} {'is' if better < 2 else 'are'} better and "
        f"{worse or 'none'} worse with an interval that excludes zero; {open_ or 'none'} cannot be told apart."
    ]


def _loss_outside(results: Results, rows: list[Row]) -> list[str]:
    """How much accuracy is lost outside the training domains, by the baseline (or by the best where it has none)."""
    baseline = results["settings"]["baseline"]
    row = next((row for row in rows if row["method"] == baseline), rows[0])
    near, far = mean(row["near"]), mean(row["far"])
    if near is None:
        return []
    # From the figures as they are written, so that the sentence adds up.
    change = points(round(far, 3) - round(near, 3))
    moved = "keeps its accuracy" if change == "0.0" else f"{'gains' if far > near else 'loses'} {change[1:]} points"
    return [f"Outside its training domains {row['method']} {moved}: {percent(near)} near, {percent(far)} far."]


def partial(results: Results) -> list[str]:
    """Return a sentence for each method of which trials failed.

    >>> row = {"method": "irm", "trials_done": 2, "trials_failed": 1, "far": {"mean": 0.5, "low": None, "high": None}}
    >>> partial({"leaderboard": [row]})
    ['irm: 1 of 3 trials failed; its leaderboard numbers are over the seeds with which it finished every task.']
    """
    sentences = []
    for row in results["leaderboard"]:
        done, failed = row["trials_done"], row["trials_failed"]
        if failed and mean(row["far"]) is None:
            rest = "it finished every task with no seed, so it is not ranked."
        else:
            rest = "its leaderboard numbers are over the seeds with which it finished every task."
        if failed:
            sentences.append(f"{row['method']}: {failed} of {count(done + failed, 'trial')} failed; {rest}")
    return sentences


def selection(results: Results) -> str:
    """Return how the choice of checkpoints and hyper-parameters was made, in one paragraph."""
    settings = results["settings"]
    trials = settings["trials"]
    if trials == 1:
        return (
            SELECTION[settings["selection"]].format(tuned="") + " Every method ran with its default hyper-parameters."
        )
    chosen = SELECTION[settings["selection"]].format(tuned=", and hyper-parameters are chosen by the same measure")
    return f"{chosen} Every method had the same number of hyper-parameter trials: {trials}."
