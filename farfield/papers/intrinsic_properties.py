"""Do the dimension of a data set and the sharpness of its labels tell how well it is learned? (Konz & Mazurowski, ICLR 2024)

About 4 minutes on two cores at the small preset. Generated surfaces of known dimension, the same with classes farther apart,
pairs of MNIST digits, and digits whose label is a faint patch: the dimension and the label sharpness of the training inputs
are measured, a network is trained, and its test loss, its loss to an attack and the dimension of its representation noted.

1. Networks are small (a perceptron, a CNN with GroupNorm on standardised images); the paper trains ResNets and VGGs at 224 pixels.
2. Every network takes the same number of steps, whatever the size of its data, so that the smallest sets are learned too.
3. d_data and d_repr are both by maximum likelihood with 20 neighbours; the released scripts take TwoNN for d_repr (also shown).
4. Label sharpness is that of different labels over all pairs of 1,000 samples; the released code compares equal labels.
5. Images are in [0, 1], so the paper's attack of 2 of 255 grey levels is 0.0078; the small preset takes 0.02 and 0.1.
6. The medical data sets need a registration; the full preset has four of MedMNIST beside the natural ones, at 64 pixels.
"""

from functools import partial
from itertools import combinations

from farfield.study.claims import at_least, correlates, increases_along, within
from farfield.study.figures import lines, scatter
from farfield.study.property_figures import cloud
from farfield.study.study import Preset, Study
from farfield.trials.properties import trial

MANIFOLDS = tuple(f"latent-manifold?d={d}&frequency={w}" for d in (2, 4, 8, 16) for w in (1, 2))
MARGINS = tuple(f"latent-manifold?d=4&frequency=1&margin={m}" for m in (0, 0.1, 0.2, 0.4))
PAIRS = tuple(f"mnist?classes={a},{b}" for a, b in list(combinations(range(10), 2))[::2][:20])
PATCHES = tuple(f"mnist?patch={delta}" for delta in (1, 0.3, 0.1))
NATURAL = ("mnist-full", "cifar10", "hf:ufldl-stanford/svhn?config=cropped_digits&image=image&target=label&size=32")
IMAGENET = "hf:ILSVRC/imagenet-1k?image=image&target=label&size=64"
MEDICAL = tuple(f"medmnist/{name}" for name in ("pneumonia", "derma", "organ-a", "chest"))

REAL = ("natural", "medical")
PAPER_SIZES = (500, 750, 1000, 1250, 1500, 1750)
SETTINGS = {
    "sizes": {"manifold": (100, 400, 1600), "margin": (800,), "patch": (800,), "natural": (200, 800)},
    "test_rows": 1000,
    "pairs": False,
    "side": 0,
    "grey": False,
    "vector_model": "mlp?hidden=64&depth=2",
    "vector_rate": 2e-3,
    "image_rate": 1e-3,
    "weight_decay": 1e-4,
    "vector_steps": 1500,
    "image_steps": 300,
    "batch_size": 32,
    "vector_eps": (0.005,),
    "image_eps": (0.02, 0.1),
    "device": "cpu",
}
SMOKE = {
    "sizes": {"manifold": (60, 120), "margin": (60,), "patch": (60,), "natural": (60, 120)},
    "test_rows": 100,
    "vector_steps": 40,
    "image_steps": 40,
}
FULL = {
    "sizes": {group: PAPER_SIZES for group in ("natural", "medical")},
    "test_rows": 750,
    "pairs": True,
    "side": 64,
    "grey": True,
    "image_steps": 100 * 1750 // 32,
    "image_eps": (2 / 255, 8 / 255),
    "device": "cuda",
}

FIXED_N = "At fixed N, test loss rises with the dimension of the data"
BOTH_DOMAINS = "in both domains, all six models and all sizes; no figure at hand"
SHARPER = "At the same dimension and N, sharper labels mean a higher test loss"
STEEPER = "the paper's account of the steeper slope of medical images; no figure at hand"
ROBUST = "a negative correlation of K_F with robustness, for the models and sizes tested; no figure at hand"
VULNERABLE = "Label sharpness goes with the accuracy that an attack costs"
NARROWER = "The representation has at most the dimension of the data"
DIGITS = "Pairs of MNIST digits differ little: dimensions of 8 to 13, label sharpness of 0.15 to 0.3, all learned."
BOUND = "N^(-1/d), the rate of an upper bound; no measured slope at hand"
FLATTER = "The law bounds the loss from above, and these losses fall faster than it for every d, by a factor of 3 to 6 from d = 4."

dimension_and_loss = partial(correlates, reported=BOTH_DOMAINS)
sharpness_and_loss = partial(correlates, "sharpness", "loss", reported=STEEPER)
sharpness_and_penalty = partial(correlates, reported=ROBUST, where={"group": REAL})

study = Study(
    paper="intrinsic-properties",
    question="Do the dimension of a data set and the sharpness of its labels tell how well it is learned?",
    trial=trial,
    grid={"data": (*MANIFOLDS, *MARGINS, *PATCHES, *PAIRS), "model": ("cnn?width=8",)},
    presets={
        "smoke": Preset(2, {"data": (*MANIFOLDS[::2], *MARGINS[::3], *PATCHES[:2], *PAIRS[:3])}, {**SETTINGS, **SMOKE}),
        "small": Preset(6, settings=SETTINGS),
        "full": Preset(
            5,
            {
                "data": ("task",),
                "task": (*NATURAL, IMAGENET, *MEDICAL),
                "model": ("resnet?width=64&depth=2", "resnet?width=64&depth=3", "all-cnn-c"),
            },
            {**SETTINGS, **FULL},
        ),
    },
    extras={"full": ("hf",)},
    metrics={
        "d_data": "dimension of the data",
        "sharpness": "label sharpness K_F",
        "loss": "test loss, nats",
        "penalty": "accuracy that the attack costs",
        "d_repr": "dimension of the representation",
        "train_accuracy": "training accuracy",
        "rate": "slope of ln loss on ln N",
        "law_slope": "the same over that of N^(-1/d)",
    },
    claims=[
        dimension_and_loss("d_data", "loss", where={"group": "manifold"}, says=f"{FIXED_N} (surfaces, N = 1,600)."),
        dimension_and_loss(
            "few/d_data", "few/loss", where={"group": "manifold"}, says=f"{FIXED_N} (surfaces, N = 100)."
        ),
        dimension_and_loss("d_data", "loss", where={"group": REAL}, says=f"{FIXED_N} (digits, N = 800).", scale=DIGITS),
        sharpness_and_loss(
            where={"group": "margin"}, says=f"{SHARPER} (surfaces of dimension 4, classes moved apart)."
        ),
        sharpness_and_loss(where={"group": "patch"}, says=f"{SHARPER} (digits with a bright or faint patch)."),
        sharpness_and_penalty("sharpness", "penalty", says=f"{VULNERABLE} (digits, N = 800).", scale=DIGITS),
        sharpness_and_penalty("few/sharpness", "few/penalty", says=f"{VULNERABLE} (digits, N = 200).", scale=DIGITS),
        at_least("narrower", 0.9, says=f"{NARROWER}, in nine runs of ten.", reported="in nearly all runs"),
        increases_along(
            "d",
            metric="rate",
            where={"group": "manifold"},
            says="The loss falls with N at a flatter rate for a larger dimension.",
            reported=BOUND,
            scale=FLATTER,
        ),
        within(
            "law_slope",
            0.75,
            1.25,
            where={"group": "manifold"},
            says="That rate is -1/d, to a quarter.",
            reported=BOUND,
            scale=FLATTER,
        ),
    ],
    figures=[
        cloud(
            "d_data",
            "loss",
            "sharpness",
            "group",
            labels=("dimension of the data", "test loss, nats", "label sharpness K_F"),
            caption="Test loss, dimension and label sharpness: a point per network, at the largest N of each group.",
            name="dimension-loss",
            log_y=True,
        ),
        scatter(
            "sharpness",
            "loss",
            "margin",
            where={"group": "margin"},
            labels=("label sharpness K_F", "test loss, nats"),
            caption="Surfaces of dimension 4, N = 800: the farther apart the classes (the margin), the less sharp the labels.",
            name="sharpness-loss",
            log_x=True,
            log_y=True,
        ),
        cloud(
            "sharpness",
            "penalty",
            "d_data",
            "group",
            where={"group": REAL},
            labels=("label sharpness K_F", "accuracy that the attack costs", "dimension of the data"),
            caption="Label sharpness and the accuracy lost to the larger attack, a step against the label: real images.",
            name="sharpness-penalty",
        ),
        cloud(
            "d_data",
            "d_repr",
            "sharpness",
            "group",
            labels=("dimension of the data", "dimension of the representation", "label sharpness K_F"),
            caption="Dimension of what goes into the last layer against that of the data; on the line they are equal.",
            name="representation",
            equality=True,
        ),
        lines(
            "d",
            "rate",
            "frequency",
            where={"group": "manifold"},
            labels=("latent dimension d", "slope of ln loss on ln N"),
            caption="How fast the loss falls with N on surfaces, by how often the label changes along the diagonal.",
            name="rate",
        ),
    ],
)
