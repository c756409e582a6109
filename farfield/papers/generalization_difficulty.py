"""How many bits of inductive bias does a task demand of any learner? (Boopathy et al., ICML 2023)

About 40 seconds on two cores at the small preset. The released formula on the paper's own inputs (exact), and the same measure
on small real data, on spheres and tori of known dimension, and beside the errors of three ordinary learners.

1. Small data: delta is the exact minimum over all pairs of different class, not the extreme-value estimate; m is rounded,
   as in the released code; error to reach 0.01. A seed draws nine tenths of the rows (at most 1,500), noise and samples.
2. Noise on the inputs moves classes apart; the paper's statement that noise adds difficulty holds delta fixed. Both are shown.
3. The few-shot task is measured on Omniglot's two small background sets at 28x28 pixels (the paper: all, at 105x105).
4. Control is a closed form in the paper; here a pole's push is also read from its observations, as a classification.
5. Whether the bits predict a learner's error is not a claim of the paper. The learners see 100 examples of each task.
"""

import math
from functools import partial
from itertools import pairwise

import numpy as np

from farfield import measure
from farfield.study.claims import correlates, exact, greater
from farfield.study.figures import bars, scatter
from farfield.study.study import Preset, Study
from farfield.trials.difficulty import sensitivity, trial

PAIRS = tuple(f"digits?classes={a},{b}" for a in range(10) for b in range(a + 1, 10))
SPHERES = tuple(f"sphere?m={m}&resolution=0.3" for m in range(1, 7))
TORI = tuple(f"torus?m={m}&resolution={r}" for m in (1, 2, 3) for r in (0.3, 0.5))
LEARNED = (*PAIRS, *SPHERES, *TORI)
NOISY = tuple(f"digits?noise={s}" for s in (0, 0.05, 0.1, 0.2, 0.4))
PARTIAL = tuple(f"cartpole?velocities=no&horizon={t}" for t in (1, 2, 3))
TABLES, SMALLER = ("iris", "wine", "breast-cancer"), ("digits?size=2", "digits?size=4")
SHOWN = (
    *TABLES, "digits?classes=0,1", "digits?classes=3,8", *SMALLER, "digits", "mnist", "omniglot", "cartpole", *PARTIAL,
)  # fmt: skip
SMOKE = ("digits?noise=0.1", *SPHERES[:2], *TORI[:1], "digits?classes=0,1", "digits?classes=3,8")
SETTINGS = {"error": 0.01, "rows": 1500, "delta_by": "min", "train_rows": 100}
BITS = "inductive-bias complexity, log10 bits"

# The paper's figures, in bits.
REPORTED = {"MNIST": 1.48e16, "SVHN": 1.21e31, "CIFAR-10": 3.44e32, "ImageNet": 3.58e41}
CARTPOLE, MUJOCO = (4.4e9, 3.3e17, 1.5e25, 4.7e32, 1.2e40), (2.9e25, 7.6e58, 1.7e66)


def published(name, **changed):
    """Return the bits of the formula on the paper's own inputs, some of them changed."""
    return measure.published_difficulty(name, **changed).bits


def order(_records):
    """Whether the formula gives the paper's figures, and so its order of the image sets."""
    bits = {name: published(name) for name in REPORTED}
    near = all(abs(bits[name] / REPORTED[name] - 1) < 5e-3 for name in bits)
    return near and bits["MNIST"] < bits["CIFAR-10"] < bits["ImageNet"]


def few_shot(_records):
    """Whether few-shot Omniglot demands about 10^145 bits, and so more than ImageNet."""
    omniglot = measure.fewshot_difficulty(0.01, measure.fewshot_sets([20] * 30), 22, 29, 49.4065, 5.4772).bits
    return omniglot > published("ImageNet") and round(math.log10(omniglot)) == 145


def control(_records):
    """Whether the closed forms of control give the paper's figures, each harder task more bits."""
    cartpole = [measure.rl_difficulty(2, 1, 1e4, 1e-3, 1e-3, horizon=t)[0] for t in range(1, 6)]
    mujoco = [measure.rl_difficulty(m, d, 1e6, 1e-3, 1e-3)[0] for m, d in ((6, 2), (15, 4), (17, 6))]
    near = all(abs(a / b - 1) < 0.03 for a, b in zip(cartpole + mujoco, CARTPOLE + MUJOCO))
    return near and all(a < b for a, b in (*pairwise(cartpole), *pairwise(mujoco)))


def growth(_records):
    """Whether bits grow as the m-th power of the resolution, and at least double with each dimension."""

    def log(m, delta):
        return measure.inductive_bias_complexity(0.01, 1000, m, 1.0, 2, delta, 1).log2_bits

    slopes = [(log(m, 1e-4) - log(m, 2e-4)) / m for m in (3, 6, 9)]
    doublings = np.diff([log(m, 0.01) for m in range(1, 40)])
    return all(abs(s - 1) < 0.03 for s in slopes) and bool((doublings > 1).all())


def little(_records):
    """Whether numbers of points and errors far apart change the bits of ImageNet by less than a fifth."""
    few, many = (published("ImageNet", n=n) for n in (1e2, 1e19))
    lax, strict = (published("ImageNet", error=e) for e in (0.97, 0.09))
    return many < few < 1.1 * many and lax < strict < 1.2 * lax


harder = partial(greater, metric="log10_bits", along="data")

study = Study(
    paper="generalization-difficulty",
    question="How many bits of inductive bias does a task demand of any learner, and what decides it?",
    trial=trial,
    grid={"data": tuple(dict.fromkeys((*SHOWN, *NOISY, *LEARNED)))},
    presets={
        "smoke": Preset(seeds=2, grid={"data": SMOKE}, settings={**SETTINGS, "rows": 300}),
        "small": Preset(seeds=5, settings=SETTINGS),
        "full": Preset(
            seeds=5,
            grid={"data": ("task",), "task": ("mnist-full", "cifar10", "omniglot")},
            settings={**SETTINGS, "rows": 60_000, "delta_by": "evt", "train_rows": 10_000},
        ),
    },
    metrics={"log10_bits": BITS, "m": "dimension", "delta": "smallest class distance", "mean_error": "learners' error"},
    claims=[
        exact(
            order,
            says="MNIST demands less inductive bias than CIFAR-10, and CIFAR-10 less than ImageNet.",
            reported="1.48e16, 3.44e32 and 3.58e41 bits (SVHN 1.21e31)",
            relation="bits of the published inputs in this order, each within 0.5 % of the paper's",
        ),
        harder(
            "digits",
            than="digits?classes=3,8",
            says="Ten digits demand more inductive bias than the pair 3 and 8.",
            reported="no figure: the small analogue of the order of data sets",
        ),
        harder(
            "digits?classes=3,8",
            than="digits?classes=0,1",
            says="Telling 3 from 8 demands more inductive bias than telling 0 from 1.",
            reported="no figure: the small analogue of the order of data sets",
        ),
        exact(
            few_shot,
            says="Few-shot learning of simple images demands more inductive bias than classifying ImageNet.",
            reported="Omniglot, 20-way 1-shot: about 10^145 bits; ImageNet 3.58e41",
            relation="bits of the published inputs: Omniglot > ImageNet, and 10^145",
        ),
        harder(
            "omniglot",
            than="mnist",
            says="Few-shot learning of characters demands more than classifying digits, both measured here.",
            reported="about 10^145 bits against 1.48e16",
        ),
        exact(
            control,
            says="Partial observation makes control harder, and so do more joints.",
            reported="Cartpole, 1 to 5 steps: 4.4e9 to 1.2e40; Reacher 2.9e25, Hopper 7.6e58, Half-Cheetah 1.7e66",
            relation="the closed forms in this order, each within 3 % of the paper's",
        ),
        harder(
            PARTIAL[1],
            than="cartpole",
            says="Reading the push from two observations without velocities demands more than from the whole state.",
            reported="no figure: the small analogue, as a classification",
            scale="delta is read off 1,500 states, where the paper's is 0.001 for every task, and decides more than m.",
        ),
        exact(
            growth,
            says="The bits are exponential in the dimension and polynomial, of that degree, in the resolution.",
            reported="no figure; d log bits / d log(1/delta) is about m",
            relation="slopes within 3 % of m = 3, 6, 9; each further dimension, 2 to 39, more than doubles them",
        ),
        correlates(
            "true_dimension",
            "log10_bits",
            where={"data": SPHERES},
            says="The bits measured on spheres grow with their dimension.",
            reported="no figure: the small analogue",
        ),
        exact(
            little,
            says="The number of training points and the error to reach matter little.",
            reported="ImageNet: 3.62e41 to 3.46e41 from 10^2 to 10^19 points, 3.11e41 to 3.60e41 from error 0.97 to 0.09",
            relation="less than 10 % of the bits over n, less than 20 % over the error",
        ),
        correlates(
            "log10_bits",
            "mean_error",
            where={"data": LEARNED},
            says="Tasks that demand more bits are learned with more error (not the paper's claim: a test from outside).",
            reported="nothing",
            scale="An upper bound for any learner need not order the errors of three of them at 100 examples.",
        ),
    ],
    figures=[
        bars({"log10_bits": ""}, "data", where={"data": SHOWN}, label=BITS, caption="Bits that each task demands."),
        sensitivity("CIFAR-10", caption="Dimension and resolution decide; data, classes and error hardly matter."),
        bars(
            {"held/log10_bits": "delta of clean images", "log10_bits": "delta as measured"},
            "data",
            where={"data": NOISY},
            label=BITS,
            caption="Noise adds difficulty where delta is held fixed, but it moves the classes apart as well.",
            name="noise",
        ),
        scatter(
            "log10_bits",
            "mean_error",
            "family",
            where={"data": LEARNED},
            labels=(BITS, "mean test error of three learners"),
            caption="Bits beside the error of k-NN, SVM and MLP at 100 examples: pairs of digits, spheres and tori.",
        ),
    ],
)
