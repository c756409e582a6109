"""Are features that a network tells equally well also represented equally strongly? (Lampinen, Chan, Hermann, TMLR 2024)

About 5 minutes on two cores at the small preset. An easy and a hard feature of 32 bits, independent and balanced, are two
outputs of a perceptron that learns both; then the share of hidden variance (R^2) that each explains is measured, for many
ways of training. A transformer tells two equally easy features of a string in either order. Coloured digits are the real case.

1. Sizes of inputs, networks and data are ours: the paper's could not be read. Cells without a bias are shown like the others.
2. "and" is balanced by drawing its value first; its bits then are not. Held-out bits are a full factorial design.
3. With hidden labels the loss is divided by the labels shown; in "weaker pull" by the batch, so rare labels pull less.
4. The transformer is a decoder, measured at the separator: no value has been told there, so none can be read off.
5. Digits (14 pixels) stay below 99 % in parity with 8,000 images: those cells are shown, not judged.
"""

from collections.abc import Mapping
from typing import Any

from farfield.study.claims import Claim, at_least, greater
from farfield.study.figures import PALETTE, bars
from farfield.study.list_lines import list_lines
from farfield.study.study import Preset, Study
from farfield.trials import feature_learning, feature_order

XOR3 = {"easy": ("bit", 0), "hard": ("xor", (1, 2, 3))}
LETTERS = {"a": ("contains", 3), "b": ("contains", 5)}
MIXED = {"a": ("class", 0), "b": ("parity", 5)}
DIGITS = {
    "data": "digits",
    "easy": "colour",
    "hard": "parity",
    "batch_size": 64,
    "phases": (("", 0.15),),
    "measured": 1,
}
SHAPES = {"data": "shapes", "easy": "colour", "hard": "shape", "rows": 8192, "test_rows": 2048}

# What each cell changes; phases are (feature learned alone or "" for both, steps as a multiple of the preset's).
BITS: dict[str, dict[str, Any]] = {
    "base": {},
    "3x as long": {"phases": (("", 3),), "measured": 16},
    "and": {"features": {**XOR3, "hard": ("and", (1, 2))}},
    "xor2": {"features": {**XOR3, "hard": ("xor", (1, 2))}},
    "other bits": {"features": {"easy": ("bit", 31), "hard": ("xor", (0, 10, 20))}},
    "depth 2": {"model": "mlp?hidden=64&depth=2"},
    "depth 6": {"model": "mlp?hidden=64&depth=6"},
    "width 256": {"model": "mlp?hidden=256&depth=4"},
    "hard first": {"phases": (("hard", 1), ("", 1))},
    "easy first": {"phases": (("easy", 1), ("", 1))},
    "easy labels 30 %": {"prevalence": {"easy": 0.3}},
    "easy labels 10 %": {"prevalence": {"easy": 0.1}},
    "10 %, weaker pull": {"prevalence": {"easy": 0.1}, "normalize": "all"},
    "SGD": {"optimizer": "sgd", "learning_rate": 0.05},
    "dropout 0.3": {"model": "mlp?hidden=64&depth=4&dropout=0.3"},
    "easy only": {"phases": (("easy", 1),)},
    "hard only": {"phases": (("hard", 1),)},
    "untrained": {"phases": ()},
    "inputs": {"model": "inputs"},
}
LETTER_CELLS = {"a, then b": {"order": ("a", "b")}, "b, then a": {"order": ("b", "a")}}
IMAGES = {
    "digits, CNN": {**DIGITS, "model": "cnn?width=8"},
    "digits, ResNet": {**DIGITS, "model": "resnet?width=4"},
}
FULL = {
    "shapes, CNN": {**SHAPES, "model": "cnn?width=64"},
    "shapes, ResNet": {**SHAPES, "model": "resnet?width=64&depth=3"},
    "shapes, ViT": {**SHAPES, "model": "vit?dim=384&depth=12&heads=6"},
    "easy, then hard": {"order": ("a", "b"), "strings": MIXED},
    "hard, then easy": {"order": ("b", "a"), "strings": MIXED},
}
CELLS = {**BITS, "similarity": {}, **LETTER_CELLS, **IMAGES, **FULL}

BOOLEAN = {"data": "boolean", "features": XOR3, "easy": "easy", "hard": "hard", "prevalence": {}, "size": 24}
NETWORK = {"model": "mlp?hidden=64&depth=4", "layer": "", "width": 64, "depth": 2, "heads": 4, "device": "cpu"}
LEARNING = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 128, "normalize": "shown", "phases": (("", 1),)}
SIZES = {"rows": 4096, "test_rows": 8192, "string_rows": 4096, "steps": 3000, "measured": 1, "ceiling": 0.99}
SETTINGS = {**BOOLEAN, "strings": LETTERS, **NETWORK, **LEARNING, **SIZES}
TINY = {"rows": 256, "test_rows": 768, "string_rows": 64, "steps": 24, "ceiling": 0.0}
LARGE = {"rows": 65_536, "steps": 30_000, "size": 224, "depth": 6, "width": 256, "device": "cuda"}


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Run one cell: bits or images (see `feature_learning.trial`), letters (`feature_order.trial`), or similarities of networks."""
    chosen = {**point, **CELLS[point["cell"]]}
    if "order" in chosen:
        rows = {"rows": chosen["string_rows"], "test_rows": chosen["string_rows"], "features": chosen["strings"]}
        return feature_order.trial({**chosen, **rows, "steps": max(1, chosen["steps"] // 15)}, seed)
    chosen["phases"] = [(only, round(times * chosen["steps"])) for only, times in chosen["phases"]]
    return (feature_learning.similarities if point["cell"] == "similarity" else feature_learning.trial)(chosen, seed)


R2 = "variance explained (R^2)"
PAIRS = ("both-both", "both-easy", "both-hard", "easy-easy", "easy-hard", "hard-hard")
# The paper's own figures could not be read.
FOUND = {"reported": "a finding, no figure at hand", "scale": "The sizes are ours: xor of three bits, width 64."}


def _lines(metric: str, label: str = "", style: str = "-") -> dict[str, tuple[str, str, str]]:
    return {f"{role}_{metric}": (role + label, PALETTE[i], style) for i, role in enumerate(("easy", "hard"))}


def _positive(metric: str, cell: str | tuple[str, ...], says: str, **words: str) -> Claim:
    return at_least(metric, 0, where={"cell": cell}, says=says, **{**FOUND, **words})


def _falls(metric: str, cell: str, says: str) -> Claim:
    return greater("base", than=cell, metric=metric, along="cell", says=says, **FOUND)


study = Study(
    paper="feature-biases",
    question="Are features that a network tells equally well also represented equally strongly?",
    trial=trial,
    grid={"cell": (*BITS, "similarity", *LETTER_CELLS, *IMAGES), "data": ("boolean",), "model": (NETWORK["model"],)},
    presets={
        "smoke": Preset(2, {"cell": (*BITS, "similarity", *LETTER_CELLS)}, {**SETTINGS, **TINY}),
        "small": Preset(6, settings=SETTINGS),
        "full": Preset(10, {"cell": tuple(CELLS)}, {**SETTINGS, **LARGE}),
    },
    metrics={
        "easy_r2": "R^2 of the easy feature",
        "hard_r2": "R^2 of the hard feature",
        "bits_r2": "R^2 of the hard feature's bits, sum",
        "easy_accuracy": "held-out accuracy, easy",
        "hard_accuracy": "held-out accuracy, hard",
        "reliance": "share of a new classifier's decisions that follow the easy feature",
        "first_r2": "R^2 of the feature told first",
        "second_r2": "R^2 of the feature told second",
        "second_decoded": "accuracy of a linear reader of the feature told second",
        **{f"similarity_{pair}": f"rank correlation of distances in networks of {pair}" for pair in PAIRS},
    },
    claims=[
        _positive(
            "gap",
            "base",
            "Told equally well, the easy feature explains more variance than the hard one (xor of three bits).",
            reported="about 55 % against 5 % (the first author's headline figures)",
        ),
        _positive(
            "easy_minus_three_hard",
            "3x as long",
            "The bias outlives learning: after three times the steps the easy one explains over three times as much.",
        ),
        _positive("gap", "hard first", "Learning the hard feature first does not reverse the bias."),
        _falls("gap", "hard first", "Learning the hard feature first narrows the bias."),
        _falls(
            "easy_at_ceiling", "easy labels 10 %", "Showing 10 % of its labels lowers what the easy feature explains."
        ),
        _positive(
            "first_minus_second",
            tuple(LETTER_CELLS),
            "Of two equally easy features, the one told first explains more before either is told.",
            scale="A two-layer decoder of width 64.",
        ),
        _falls("gap", "dropout 0.3", "Dropout (with Adam) shrinks or reverses the bias."),
    ],
    figures=[
        bars(
            {"easy_r2": "easy", "hard_r2": "hard"},
            "cell",
            where={"cell": (*BITS, *IMAGES, *FULL)},
            label=R2,
            caption="What each feature explains of the last hidden layer's variance, 95 % intervals over seeds. Both are told "
            "at 99 % or better, except in: easy only, hard only, untrained, inputs and the digits.",
        ),
        list_lines(
            "steps",
            {**_lines("absolute_curve", ", R^2"), **_lines("accuracy_curve", ", accuracy", "--")},
            where={"cell": "3x as long"},
            labels=("step", "share of the final variance; accuracy"),
            caption="Variance explained, over the total at the end (solid), and held-out accuracy (dashed); thin: seeds.",
            name="training",
            log_x=True,
        ),
        list_lines(
            feature_learning.ALPHAS,
            {**_lines("flips"), **_lines("spill", ", other one", ":")},
            where={"cell": "base"},
            labels=("push along a feature's direction, in its lengths", "share of decisions flipped"),
            caption="Decisions that flip under a push toward a feature's other value: its own (solid), the other's (dotted).",
            name="flips",
        ),
        list_lines(
            tuple(range(feature_learning.COMPONENTS + 1)),
            _lines("truncated"),
            where={"cell": "base"},
            labels=("principal components kept", "accuracy"),
            caption="Accuracy where the head sees the leading principal components only.",
            name="components",
        ),
        bars(
            {"first_r2": "told first", "second_r2": "told second"},
            "cell",
            where={"cell": (*LETTER_CELLS, "easy, then hard", "hard, then easy")},
            label=R2,
            caption="Two features of a string (here two letters that it may hold), told in either order: before either is told.",
            name="position",
        ),
    ],
)
