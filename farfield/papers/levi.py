"""Does a frozen network joined with a small one, layer by layer, reach further than fine-tuning it? (Roh et al., ICML 2024)

About 4 minutes on two cores at the small preset. Three networks are pretrained on other data than they are fine-tuned on: seven of
ten digits and a cue that means nothing later (the digits to learn have a cue that means nothing in the far test), reviews of
other products, MNIST before Omniglot's characters. A few labelled examples; far are a random cue, a fourth kind of product, other writers.

1. No code and no box of the algorithm was published. Here: mean-pooled, normalised states of three layers, heads of one hidden layer
   beside the small model, a shared loss, uniform weights ("levi"). Learned weights and nested heads are ways of their own.
2. Learning rates are chosen for each way, task and number of rows by accuracy on near validation data, in one training with a seed
   that no trial has. Equal steps for all; the ensemble of two trainings has twice as many. Weights are interpolated halfway.
3. Networks are perceptrons of three layers of 128 units; for characters, of 14x14 pixels, a CNN. The full preset has the paper's kind.
4. Rows are counted, not epochs: 50 to 300. Of the characters there are 180 for 20 classes, so only 100; reviews begin at 100.
5. The full preset has no Diabetic Retinopathy and no MovieLens: neither can be had by name. Ratings there are five classes.
"""

from farfield.study.claims import greater
from farfield.study.figures import bars, lines, near_far
from farfield.study.study import Per, Preset, Study
from farfield.trials.joined_layers import WAYS, trial
from farfield.trials.pretrained_elsewhere import CHARACTERS, DIGITS, REVIEWS

TASKS = (DIGITS, REVIEWS, CHARACTERS)
SMALL_WAYS = tuple(way for way in WAYS if way != "levi-nested")
FULL = {
    "imagenet-shifts": "hf:google/vit-base-patch16-224-in21k",
    "amazon-ratings/Books": "hf:google-t5/t5-small?length=256",
}

SETTINGS = {
    "model": Per("task", {CHARACTERS: "cnn?width=8"}, otherwise="mlp?hidden=128&depth=3"),
    "least_rows": Per("task", {DIGITS: 0}, otherwise=100),
    "steps": Per("task", {CHARACTERS: 200}, otherwise=400),
    "batch_size": 64,
    "rates": (3e-4, 1e-3, 3e-3),
    "hidden": 32,
    "layers": 3,
    "pool": "mean",
    "small_width": Per("task", {CHARACTERS: 16}, otherwise=32),
    "alpha": 0.5,
    "pretraining_steps": 1000,
    "device": "cpu",
}
NOT_READ = "no figure at hand (the text says that LEVI greatly improves on its baselines)"
DIGITS_ONLY, REAL = {"task": DIGITS}, {"task": [REVIEWS, CHARACTERS]}
OTHERS = "A network of three layers and a small one of two; in the paper the small one has a few percent of the large one's parameters."


study = Study(
    paper="levi",
    question="Does a frozen network joined with a small one, layer by layer, reach further than fine-tuning it?",
    trial=trial,
    grid={"task": TASKS, "rows": (50, 100, 300), "way": SMALL_WAYS},
    presets={
        "smoke": Preset(
            seeds=2,
            grid={"task": (DIGITS, CHARACTERS), "rows": (100,), "way": tuple(WAYS)},
            settings={**SETTINGS, "steps": 4, "rates": (1e-3,), "pretraining_steps": 4},
        ),
        "small": Preset(seeds=10, settings=SETTINGS),
        "full": Preset(
            seeds=5,
            grid={"task": tuple(FULL), "rows": (1000, 10_000, 20_000), "way": tuple(WAYS)},
            settings={
                **SETTINGS,
                "model": Per("task", FULL, otherwise="hf:google/vit-base-patch16-224-in21k"),
                "least_rows": 0,
                "steps": 5000,
                "rates": (1e-5, 5e-5, 3e-4, 1e-3),
                "hidden": 256,
                "layers": 4,
                "small_width": 128,
                "pretraining_steps": 0,
                "device": "cuda",
            },
        ),
    },
    extras={"full": ("hf",)},
    metrics={
        "near": "accuracy near",
        "far": "mean accuracy on far tests",
        "gap": "near minus far",
        "reliance_pretraining": "accuracy lost with pretraining's cue",
        "reliance_fine_tuning": "accuracy lost with fine-tuning's cue",
        "parameters": "trained parameters",
        "milliseconds": "milliseconds for each step, features included",
    },
    claims=[
        greater(
            "levi",
            than=("ft", "lp"),
            metric="far",
            along="way",
            where={**DIGITS_ONLY, "rows": [50, 100]},
            says="LEVI is better out of distribution than fine-tuning and than a linear probe (digits, up to 100 rows).",
            reported=NOT_READ,
            scale=OTHERS,
        ),
        greater(
            "levi",
            than=("ft", "lp"),
            metric="far",
            along="way",
            where={**DIGITS_ONLY, "rows": 300},
            says="LEVI is better out of distribution than fine-tuning and than a linear probe (digits, 300 rows).",
            reported=NOT_READ,
            scale=f"{OTHERS} With more rows fine-tuning learns what pretraining lacks.",
        ),
        greater(
            "levi",
            than=("ft", "lp"),
            metric="far",
            along="way",
            where=REAL,
            says="LEVI is better out of distribution than fine-tuning and than a linear probe (reviews and characters).",
            reported=NOT_READ,
            scale=f"{OTHERS} The reviews' pretraining has the same classes, more data and no spurious cue: nothing is to be made good.",
        ),
        greater(
            "levi",
            than=("levi-no-small", "scratch"),
            metric="far",
            along="way",
            says="The two are complementary: LEVI is better out of distribution than without the small model and than that alone.",
            reported=NOT_READ,
            scale=OTHERS,
        ),
        greater(
            "levi",
            than="levi-last-layer",
            metric="far",
            along="way",
            says="Joining several layers is better out of distribution than joining the last one.",
            reported=NOT_READ,
            scale=OTHERS,
        ),
        greater(
            "levi",
            than="ft",
            metric="near",
            along="way",
            says="LEVI is not worse in distribution than fine-tuning (judged as better than).",
            reported=NOT_READ,
            scale=OTHERS,
        ),
        greater(
            "levi",
            than="ft",
            metric="parameters",
            along="way",
            lower_is_better=True,
            says="LEVI trains fewer parameters than fine-tuning.",
            reported="holds by construction: the pretrained network is frozen",
        ),
        greater(
            "levi",
            than="ft",
            metric="milliseconds",
            along="way",
            lower_is_better=True,
            unit="ms",
            says="A step of LEVI takes less time than one of fine-tuning.",
            reported="holds by construction: no backward pass through the pretrained network",
            scale="In networks this small the number of operations counts, not their size; a small CNN takes as long as one twice as wide.",
        ),
    ],
    figures=[
        near_far(
            "near",
            "far",
            along="way",
            scale=100,
            labels=("accuracy near, %", "accuracy far, %"),
            caption="Accuracy near and far by way, mean over numbers of rows, 95 % intervals over seeds.",
        ),
        lines(
            "rows",
            "far",
            "way",
            labels=("rows to fine-tune on", "accuracy far"),
            caption="Accuracy far by number of rows, for LEVI, what it is made of and its rivals; 95 % intervals over seeds.",
            where={"way": ["levi", "levi-no-small", "scratch", "ft", "lp", "ensemble"]},
        ),
        bars(
            {"reliance_pretraining": "pretraining's cue", "reliance_fine_tuning": "fine-tuning's cue"},
            "way",
            label="accuracy lost when the cue is drawn anew",
            caption="How much hangs on each cue of the digits: accuracy where the cue agrees with the label in 91 %, minus accuracy "
            "where it is random; mean over numbers of rows, 95 % intervals over seeds.",
            name="reliance",
        ),
        bars(
            {"milliseconds": "milliseconds"},
            "way",
            label="time for each step, ms",
            caption="Time of training for each step, with the features of frozen layers, which are computed once; mean of the tasks.",
            name="time",
        ),
    ],
)
