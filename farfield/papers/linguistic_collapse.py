"""Do language models move towards neural collapse as they get better, also at one size? (Wu & Papyan, NeurIPS 2024)

About 4 minutes on two cores at the small preset. Nine small transformers per seed learn the next word of Tiny Shakespeare (511
words and marks, and <unk>); collapse is measured on the training text, agreement and loss on held-out text. Eight more of one size
per seed show what is left where size is not the cause. Controls: a model untrained, and one trained on the same words in random
order. Beside them a classifier of digits, where collapse is known, and the authors' own table of 230 checkpoints.

1. Pre-norm transformers of our own in place of GPT-Neo, context 64, AdamW at 3e-3 with 30 steps of warm-up, weight decay 5e-4.
2. CDNV has exponent 2, as the paper reports, and also exponent 1 (Galanti et al.), where a few near pairs do not decide.
3. Five seeds of each size: the unit of the test is the seed. The paper has one seed of each size, and 20 of one.
4. The full preset has 6 of the paper's 30 sizes for one epoch and its 20 seeds of 768x2, twice: some 150 hours of an A100.
"""

from collections.abc import Mapping
from typing import Any

from farfield import measure, tasks
from farfield.study.claims import Claim, at_least, correlates, within
from farfield.study.figures import bars, lines, scatter
from farfield.study.study import Preset, Study
from farfield.trials.collapse import digits_classifier, language_model

# Width x depth x epochs.
SIZES = tuple(f"{width}x{rest}" for width in (16, 32, 64) for rest in ("1x1", "1x3", "2x3"))
CONTROLS = ("untrained-32x1x0", "shuffled-32x1x1")
RELATIONS = ("scaling", "seeds", "published-scaling", "published-seeds")
EPOCHS = (0, 3, 10, 30, 100, 200, 300)
# What may go together with the validation loss: ours -> the authors' column, and which way a better model should go.
MEASURES = {
    "cdnv_2": ("cdnv", 1),
    "agreement": ("agreement", -1),
    "log_kernel_cv": ("log_kernel_cv", 1),
    "etf_error": ("etf_error", 1),
    "cos_mean": ("simcos_mean", -1),
    "cos_cv": ("cos_cv", 1),
    "norms_cv": ("norms_cv", 1),
}
SETTINGS = {
    "text": "tiny-shakespeare",
    "model": None,
    **{"types": 511, "block": 64, "blocks": None, "heads": 2, "min_count": 1},
    **{"batch": 32, "learning_rate": 3e-3, "warmup": 30, "weight_decay": 5e-4},
    **{"sizes": SIZES, "repeated": "32x1x1", "repeats": 8, "epochs": EPOCHS, "device": "cpu"},
}
# Rank correlations that the paper reports: with the validation loss, and of the distance to a simplex with the size.
REPORTED = {
    "scaling": {"cdnv_2": 0.94, "agreement": -0.96, "log_kernel_cv": 0.92, "etf_error_and_size": -0.84, "cos_mean": -0.38, "cos_cv": 0.70},
    "seeds": {"cdnv_2": 0.52, "agreement": -0.68, "log_kernel_cv": 0.54},
}  # fmt: skip
SMALL = (
    "Tens of thousands of weights and 0.24 million words here; 3 to 205 million and 470 million in the paper. After one epoch these "
    "models know little more than how frequent words are, as the one trained on shuffled words shows, and their classes, evenly "
    "spread at the start, have only begun to move apart; no position is decided as by the nearest mean yet."
)
NAMES = {
    "cdnv_2": "CDNV with exponent 2 (NC1)",
    "etf_error": "distance to a simplex (NC2)",
    "log_kernel_cv": "CV of the log kernel (GNC2)",
    "cos_mean": "mean cosine with the classifier (NC3)",
    "cos_cv": "CV of these cosines (UNC3)",
    "agreement": "agreement with the nearest mean (NC4)",
    "loss": "validation loss, nats",
}


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Measure one model, or relate the measures of many with their loss."""
    run = point["run"]
    kind, _, rest = run.partition("-")
    if kind == "published":
        rows = tasks.collapse_checkpoints()
        rows = rows[(rows["repeat"] >= 0) == (rest == "seeds")]
        columns = {m: rows[column] for m, (column, _) in MEASURES.items()}
        found = related({**columns, "loss": rows["val_loss"], "parameters": rows["n_params"]}, 0)
        gap = max(abs(found["rho"][m] - value) for m, value in REPORTED[rest].items())
        p = found["p"]
        three, two = max(p[m] for m in ("cdnv_2", "agreement", "log_kernel_cv")), min(p["norms_cv"], p["cos_cv"])
        return {**found, "gap": gap, "p_of_three": three, "p_of_two": two}
    if run in RELATIONS:
        repeated = [(point["repeated"], 1000 + seed * point["repeats"] + i) for i in range(point["repeats"])]
        models = repeated if run == "seeds" else [(size, seed) for size in point["sizes"]]
        found = [language(size, s, point) for size, s in models]
        return related({name: [m[name] for m in found] for name in found[0]}, seed)
    if kind == "digits":
        values = digits_classifier(epochs=list(point["epochs"]), seed=seed)
        at = list(point["epochs"]).index(int(rest))
        return {**{name: float(v[at]) for name, v in values.items()}, "kind": "digits", "epoch": int(rest)}
    found = language(run, seed, point)
    return {
        **found,
        "kind": "control" if rest else "size",
        "width": "width " + run.rpartition("-")[2].partition("x")[0],
    }


def language(run: str, seed: int, point: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of one language model, trained at most once."""
    width, depth, epochs = map(int, run.rpartition("-")[2].split("x"))
    settings = {k: v for k, v in point.items() if k not in ("run", "sizes", "repeated", "repeats", "epochs")}
    shuffled = run.startswith("shuffled")
    found = language_model(width=width, depth=depth, epochs=epochs, shuffled=shuffled, seed=seed, settings=settings)
    return {name: float(value) for name, value in found.items()}


def related(table: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return rank correlations with the loss: ``rho``, their ``p``, ``gain`` (positive as claimed). What never differs has none."""
    varied = [m for m in MEASURES if len(set(table[m])) > 1]
    found = {m: measure.rank_correlation(table[m], table["loss"], seed=seed) for m in varied}
    rho, p = {m: f.value for m, f in found.items()}, {m: f.p for m, f in found.items()}
    gain = {m: MEASURES[m][1] * r for m, r in rho.items()}
    gain["equality_over_cosine"] = abs(rho["cos_cv"]) - abs(rho["cos_mean"])
    if len(set(table["parameters"])) > 1:
        rho["etf_error_and_size"] = measure.rank_correlation(table["etf_error"], table["parameters"], seed=seed).value
    return {"kind": "relation", "models": len(table["loss"]), "rho": rho, "p": p, "gain": gain}


def _in_seeds(m: str, says: str, reported: str) -> Claim:
    return at_least(f"gain/{m}", 0, says=f"At one size: {says}", reported=reported, where={"run": "seeds"}, scale=SMALL)


OURS, GRID = {"where": {"kind": "size"}, "scale": SMALL}, {"where": {"run": "scaling"}, "scale": SMALL}
SCALING, SEEDS = {"where": {"run": "published-scaling"}}, {"where": {"run": "published-seeds"}}
BETTER = "Better models are more collapsed within classes: CDNV falls with the validation loss"
NEAREST = "Better models decide more as the nearest class mean: agreement rises as the loss falls."
UNIFORM = "Better models spread their classes more uniformly: the CV of the log kernel falls with the loss."
EQUAL = "How equal the cosines with the classifier are (UNC3) says more of the loss than their mean."
TABLE = "In the authors' table"

CLAIMS = [
    correlates("cdnv_2", "loss", says=f"{BETTER}.", reported="rank correlation .94 over 210 checkpoints", **OURS),
    correlates("cdnv", "loss", says=f"{BETTER} (exponent 1).", reported="none with this exponent", **OURS),
    correlates("agreement", "loss", negative=True, says=NEAREST, reported="-.96; from .034 to .37", **OURS),
    correlates("log_kernel_cv", "loss", says=UNIFORM, reported=".92", **OURS),
    correlates("parameters", "etf_error", negative=True, says="The distance to a simplex falls as models grow.", reported="-.84", **OURS),
    # 0 is a simplex, sqrt(2) is no relation to one: nearer to the latter. The paper gives no threshold.
    at_least("etf_error", 2**0.5 / 2, says="But it stays far from 0.", reported="1.375 to 1.402", **OURS),
    within("cos_mean", -1, 0.4, says="The mean cosine with the classifier stays low.", reported=".40 at most", **OURS),
    at_least("gain/equality_over_cosine", 0, says=EQUAL, reported="|rho| .70 against .38", **GRID),
    _in_seeds("cdnv_2", "CDNV falls with the loss.", ".52, p .02, over 20 seeds"),
    _in_seeds("agreement", "agreement rises as the loss falls.", "-.68, p .001"),
    _in_seeds("log_kernel_cv", "the CV of the log kernel falls with the loss.", ".54, p .013"),
    within("gap", 0, 0.005, says=f"{TABLE} rank correlations are those of the paper.", reported="six, as above", **SCALING),
    within("p_of_three", 0, 0.05, says=f"{TABLE} these three hold at one size, too.", reported="p .02, .001, .013", **SEEDS),
    at_least("p_of_two", 0.05, says=f"{TABLE} equal lengths and UNC3 do not.", reported="p .56, .82", **SEEDS),
]  # fmt: skip

PANELS = [
    scatter(
        m, "loss", "width", where={"kind": "size"}, labels=(NAMES[m], NAMES["loss"]), name=f"loss-{m.replace('_', '-')}",
        log_x=m == "cdnv_2", caption=f"A point for each model, coloured by width: {NAMES[m]}, and validation loss.",
    )
    for m in NAMES if m != "loss"
]  # fmt: skip
ON_DIGITS = {"cdnv": "CDNV with exponent 1", **{m: NAMES[m] for m in ("cos_mean", "agreement", "etf_error")}}

study = Study(
    paper="linguistic-collapse",
    question="Do language models move towards neural collapse as they get better, also at one size?",
    trial=trial,
    grid={"run": (*SIZES, *CONTROLS, *RELATIONS, *(f"digits-{e}" for e in EPOCHS))},
    presets={
        "smoke": Preset(
            seeds=2,
            grid={"run": ("8x1x1", "16x1x1", "16x1x2", "shuffled-8x1x1", *RELATIONS, "digits-0", "digits-3")},
            settings=SETTINGS
            | {"blocks": 128, "sizes": ("8x1x1", "16x1x1", "16x1x2"), "repeated": "8x1x1", "repeats": 3, "epochs": (0, 3)},
        ),
        "small": Preset(seeds=5, settings=SETTINGS),
        "full": Preset(
            seeds=2,
            grid={"run": (*(FULL := [f"{w}x{d}x1" for w in (64, 256, 768) for d in (2, 4)]), *RELATIONS)},
            settings=SETTINGS
            | {"text": "hf:roneneldan/TinyStories", "model": "hf:EleutherAI/gpt-neo-125M", "block": 2048, "heads": 16}
            | {"batch": 8, "learning_rate": 5e-5, "warmup": 0, "sizes": FULL, "repeated": "768x2x1", "repeats": 20}
            | {"device": "cuda"},
        ),
    },
    extras={"full": ("hf",)},
    metrics={"cdnv": "CDNV with exponent 1 (NC1)", "cdnv_2_median": "median over pairs, exponent 2", **NAMES},
    claims=CLAIMS,
    figures=[
        *PANELS,
        bars(
            {"rho/cdnv_2": "CDNV", "rho/agreement": "agreement", "rho/log_kernel_cv": "log kernel", "rho/cos_cv": "cosines' CV"},
            "run", where={"run": RELATIONS}, label="rank correlation with the validation loss", name="relations",
            caption="What goes together with the validation loss: over models of all sizes, and over seeds of one size.",
        ),
        bars(
            {"cos_mean": "mean cosine", "agreement": "agreement"}, "run", where={"run": (*CONTROLS, "32x1x1", "32x1x3")}, name="controls",
            label="cosine, or share of positions", caption="Untrained, trained on shuffled words, and trained on text for one and for three epochs.",
        ),
        *(
            lines(
                "epoch", m, where={"kind": "digits"}, labels=("epochs", label), name=f"digits-{m.replace('_', '-')}",
                caption=f"A digits classifier over training: {label}.",
            )
            for m, label in ON_DIGITS.items()
        ),
    ],
)  # fmt: skip
