"""From the outcomes of a study to what is kept of it: results/<slug>.json, its figures, its report, and RESULTS.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farfield.files import write_atomically
from farfield.study.run import Outcome
from farfield.study.study import Study

if TYPE_CHECKING:
    import pandas as pd


def judge(study: Study, records: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the record of every claim of a study: its text, the paper's figures, and what was found here.

    >>> import pandas as pd
    >>> from farfield.study.claims import at_least
    >>> from farfield.study.study import Preset
    >>> claim = at_least("y", 1, says="y is high", reported="2")
    >>> study = Study("demo", "", lambda point, seed: {}, {}, {"small": Preset(2)}, [claim])
    >>> judge(study, pd.DataFrame({"seed": [0, 1], "y": [2.0, 2.1]}))[0]["verdict"]
    'holds'
    """
    found = []
    for claim in study.claims:
        j = claim.judge(records)
        found.append(
            {
                "text": claim.says,
                "reported": claim.reported,
                "relation": claim.relation,
                "verdict": j.verdict,
                "effect": j.effect,
                "interval": list(j.interval),
                "n": j.n,
                "p": j.p,
                "unit": claim.unit,
                "detail": j.detail,
                "scale": claim.scale if j.verdict != "holds" else "",
            }
        )
    return found


def collect(
    study: Study,
    outcomes: Sequence[Outcome],
    *,
    preset: str,
    replaced: Mapping[str, Sequence[Any]],
    where: Mapping[str, Any],
    seconds: float,
    command: str,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the results of a study as plain data, and its figures as SVG by name."""
    records = study.records(outcomes)
    claims = judge(study, records) if len(records) else []
    drawn = {figure.name: figure.draw(records) for figure in study.figures} if len(records) else {}
    figures = {name: svg for name, svg in drawn.items() if svg is not None}
    failed = [o for o in outcomes if o.result is None]
    results = {
        "paper": study.paper,
        "question": study.question,
        "preset": preset,
        "replaced": {k: list(v) for k, v in replaced.items()},
        "version": where["version"],
        "commit": where["commit"],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "seconds": seconds,
        "trials": len(outcomes),
        "failed": [{"point": dict(o.trial.point), "seed": o.trial.seed, "error": o.error} for o in failed],
        "seeds": len({o.trial.seed for o in outcomes}),
        "machine": where["machine"],
        "claims": claims,
        "figures": [f"{study.paper}/{name}.svg" for name in figures],
        "captions": {f.name: f.caption for f in study.figures if f.name in figures},
        "table": table(study, records) if len(records) else [],
    }
    return results, figures


def table(study: Study, records: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the mean and 95 % interval over seeds of each shown metric, for every combination of axes that vary."""
    from farfield.study.claims import mean_interval

    axes = [a for a in study.grid if records[a].nunique() > 1] or list(study.grid)[:1]
    rows = []
    for values, group in records.groupby(axes, sort=False):
        row: dict[str, Any] = dict(zip(axes, values))
        for metric in study.metrics:
            per_seed = group.groupby("seed")[metric].mean().dropna() if metric in group else []
            if len(per_seed) >= 2:
                mean, low, high, _ = mean_interval(per_seed)
                row[metric] = {"mean": mean, "low": low, "high": high}
            elif len(per_seed) == 1:
                row[metric] = {"mean": float(per_seed.iloc[0]), "low": None, "high": None}
            else:
                row[metric] = None
        rows.append(row)
    return rows


def write(results: Mapping[str, Any], figures: Mapping[str, str], folder: Path) -> Path:
    """Write ``<slug>.json``, ``<slug>/<figure>.svg`` and ``<slug>/report.html`` into a folder; returns the report's path."""
    slug = results["paper"]
    for name, svg in figures.items():
        write_atomically(folder / slug / f"{name}.svg", _standing_alone(svg))
    report = folder / slug / "report.html"
    write_atomically(report, html(results, figures))
    # Last, so that a result never names figures that are not there yet.
    write_atomically(folder / f"{slug}.json", json.dumps(results, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    return report


def html(results: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Return the report of a study as one self-contained HTML page."""
    from markupsafe import Markup

    from farfield.web.page import environment

    made = environment(Path(__file__).parent / "templates")
    made.filters["number"] = number
    counts = {v: sum(c["verdict"] == v for c in results["claims"]) for v in ("holds", "fails", "undecided")}
    return made.get_template("study.html.jinja").render(
        results=results,
        counts=counts,
        figures=[(results["captions"][name], Markup(svg)) for name, svg in figures.items()],
    )


def summary(folder: Path) -> str:
    """Return RESULTS.md, made from the result files of a folder: a row per paper, and every claim with its verdict."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    found = [r for r in found if "claims" in r]
    lines = [
        "# Results",
        "",
        "Measured verdicts of each study at its small preset, made by `farfield run` from `results/`. A claim *holds* or *fails* where",
        "its 95 % interval lies wholly on one side; otherwise it is *undecided*. A claim that fails at this scale is shown as failed.",
        "",
        "| paper | holds | fails | undecided | trials | seconds | version |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in found:
        counts = [sum(c["verdict"] == v for c in r["claims"]) for v in ("holds", "fails", "undecided")]
        lines.append(
            f"| [{r['paper']}](#{r['paper']}) | {counts[0]} | {counts[1]} | {counts[2]} | {r['trials']} | {r['seconds']:.0f} "
            f"| {r['version']} |"
        )
    for r in found:
        lines += ["", f"## {r['paper']}", "", r["question"], ""]
        lines += [
            "| claim | verdict | effect (interval) | n | the paper reports | why it may be so here |",
            "|---|---|---|---|---|---|",
        ]
        for c in r["claims"]:
            cells = (c["text"], f"**{c['verdict']}**", effect(c), str(c["n"]), c["reported"], c["scale"])
            lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
        for name in r["figures"]:
            lines += ["", f"![{r['captions'][Path(name).stem]}](results/{name})"]
    return "\n".join(lines) + "\n"


def effect(claim: Mapping[str, Any]) -> str:
    """Return the effect of a claim's record in words, with its interval and unit.

    >>> effect({"effect": 0.0123, "interval": [-0.01, 0.03], "unit": "", "detail": "tram against sam"})
    '+0.012 (-0.010 to +0.030), tram against sam'
    """
    if claim["effect"] is None:
        return claim["detail"]
    low, high = claim["interval"]
    ends = "" if low is None else f" ({low:+.3f} to {high:+.3f})"
    unit = f" {claim['unit']}" if claim["unit"] else ""
    detail = f", {claim['detail']}" if claim["detail"] else ""
    return f"{claim['effect']:+.3f}{ends}{unit}{detail}"


def number(value: float | None) -> str:
    """Return a measured number with three significant digits.

    >>> number(0.012345), number(None), number(123.4)
    ('0.0123', '–', '123')
    """
    return "–" if value is None else f"{value:.3g}"


def _standing_alone(svg: str) -> str:
    """Give an SVG of a page a white ground: its ink is dark where no page sets another."""
    head, mark, rest = svg.partition(">")
    return f'{head}{mark}<rect width="100%" height="100%" fill="#ffffff"/>{rest}'
