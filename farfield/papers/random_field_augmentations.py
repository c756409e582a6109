"""Do augmentations that vary smoothly over an image make self-supervised features reach further? (Mansfield et al., 2023)

About 4 minutes on two cores at the small preset. A small network learns from two views of unlabelled MNIST digits (SimCLR); linear
classifiers then read digits, and other data, out of its features. The views are cropped; the arms add random fields of
rotation, scale, shear, translation and brightness, or one number for an image in place of each field (global).

1. The paper's ranges, spectra and temperature could not be read: those here are ours, fixed in a small trial of two seeds.
2. Every probe has up to 1,000 labels of its own data, as the paper's on iNaturalist. Far data: scikit-learn's digits, 20 characters of
   Omniglot, MNIST turned by 45 degrees, MNIST with noise. "far" is their mean.
3. The base is warped by the identity: every arm samples its images as often. Crops are the only other augmentation of digits.
4. Coloured arms have digits on random smooth colours, and hue, saturation and brightness as fields; they are shown, not judged.
5. The full preset trains at 64 pixels (ImageNet at 224 does not fit into memory) and with batches of 512. It has CIFAR-10 too.
"""

from collections.abc import Mapping
from typing import Any

from farfield.study.augmentation_figures import augmented_images, by_strength
from farfield.study.claims import greater
from farfield.study.figures import bars
from farfield.study.study import Per, Preset, Study
from farfield.trials import contrastive_views

LOCAL = {"local 0.25": 0.25, "local 0.5": 0.5, "local 1": 1.0, "local 2": 2.0}
MILD = ("local 0.25", "local 0.5")
COLOURED = {"background": True, "size": 16}

# What each arm changes.
ARMS: dict[str, dict[str, Any]] = {
    "base": {},
    "global 0.5": {"strength": 0.5, "kernel": "constant"},
    **{name: {"strength": strength} for name, strength in LOCAL.items()},
    "gamma 2": {"strength": 0.5, "gamma": 2.0},
    "gamma 6": {"strength": 0.5, "gamma": 6.0},
    "half of the images": {"strength": 0.5, "p": 0.5},
    "elastic": {"strength": 1.0, "fields": "elastic", "length": 0.15},
    "coloured, base": {**COLOURED},
    "coloured, spatial 0.5": {**COLOURED, "strength": 0.5, "fields": "spatial"},
    "coloured, colour 0.5": {**COLOURED, "strength": 0.5, "fields": "colour"},
    "coloured, both 0.5": {**COLOURED, "strength": 0.5},
}
JUDGED = ("base", "global 0.5", *LOCAL)

VIEW = {"crop": (0.6, 1.0), "flip": 0.0, "jitter": 0.0, "grayscale": 0.0, "blur": 0.0}
FIELDS = {"strength": 0.0, "fields": "both", "gamma": 4.0, "kernel": "power", "length": None, "p": 1.0}
SETTINGS = {
    "probe_tasks": ("digits", "omniglot", "mnist/rotation?train=3", "mnist/noise?train=3"),
    "size": 14,
    "background": False,
    "model": "small",
    "objective": "info-nce",
    "temperature": 0.2,
    "projection": 32,
    **VIEW,
    **FIELDS,
    "steps": 300,
    "batch_size": 192,
    "learning_rate": 2e-3,
    "labels": 1000,
    "ways": 20,
    "device": "cpu",
}

IMAGENET = "hf:ILSVRC/imagenet-1k?image=image&target=label&size=64"
INATURALIST = "hf:zguo0525/inat_2021?image=image&target=label&size=64"
SVHN = "hf:ufldl-stanford/svhn?config=cropped_digits&image=image&target=label&size=32"
FULL = {
    **SETTINGS,
    "probe_tasks": Per("task", {IMAGENET: (INATURALIST,)}, otherwise=("hub/cifar100", SVHN, "hub/flowers")),
    "size": Per("task", {IMAGENET: 64}, otherwise=32),
    "model": Per(
        "task", {IMAGENET: "farfield.trials.contrastive_views:resnet50"}, otherwise="resnet?width=64&depth=3"
    ),
    **{"crop": (0.08, 1.0), "flip": 0.5, "jitter": 1.0, "grayscale": 0.2, "blur": Per("task", {IMAGENET: 0.5}, otherwise=0.0)},
    "temperature": 0.1,
    "projection": 128,
    "steps": Per("task", {IMAGENET: 250_000}, otherwise=20_000),
    "batch_size": 512,
    "learning_rate": 1e-3,
    "labels": 10_000_000,
    "ways": None,
    "device": "cuda",
}  # fmt: skip


def trial(point: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Run one arm, see `farfield.trials.contrastive_views.trial`."""
    return contrastive_views.trial({**point, **ARMS[point["arm"]]}, seed)


SMALL = "A network of 14,000 weights and 300 steps on digits of 14 pixels; ResNet-50 on ImageNet in the paper."
ACCURACY = {"near": "digits it learned from", "far": "other data"}

study = Study(
    paper="random-field-augmentations",
    question="Do augmentations that vary smoothly over an image make self-supervised features reach further?",
    trial=trial,
    grid={"task": ("mnist",), "arm": tuple(ARMS)},
    presets={
        "smoke": Preset(
            seeds=2,
            grid={"task": ("mnist?rows=1000",), "arm": (*JUDGED, "elastic", "coloured, both 0.5")},
            settings={
                **SETTINGS,
                "probe_tasks": ("digits", "digits/noise?train=3"),
                "steps": 4,
                "batch_size": 32,
                "labels": 100,
            },
        ),
        "small": Preset(seeds=5, settings=SETTINGS),
        "full": Preset(
            seeds=3,
            grid={"task": (IMAGENET, "cifar10"), "arm": (*JUDGED, "gamma 2", "gamma 6", "half of the images")},
            settings=FULL,
        ),
    },
    extras={"full": ("hf",)},
    metrics={
        "near": "accuracy of a linear probe on the data it learned from",
        "far": "mean accuracy of linear probes on other data",
        "structure_loss": "1 - structural similarity of images under the fields",
        "displacement": "mean displacement of a pixel, pixels",
        "folded": "share of the image that is folded",
        "loss": "contrastive loss at the end, nats",
    },
    claims=[
        greater(
            MILD,
            than="base",
            metric="near",
            along="arm",
            says="Mild random fields improve features on the data that they were learned from.",
            reported="ImageNet top-1, linear evaluation: +1.7 points",
            scale=SMALL,
        ),
        greater(
            MILD,
            than="base",
            metric="excess",
            along="arm",
            says="The gain is larger on other data.",
            reported="linear evaluation: +3.6 points on iNaturalist, +1.7 on ImageNet",
            scale=SMALL + " Digits in other preparations are nearer to MNIST than plants and animals to ImageNet.",
        ),
        greater(
            MILD,
            than="local 2",
            metric="near",
            along="arm",
            says="Strong random fields destroy the structure of images, and features are worse than with mild ones.",
            reported="qualitative: sensitive to the strengths, strong ones degrade",
            scale=SMALL,
        ),
        greater(
            "local 0.5",
            than="global 0.5",
            metric="near",
            along="arm",
            says="Local transformations improve features more than global ones of the same standard deviations.",
            reported="not a printed figure: implied by calling them a generalisation",
            scale=SMALL,
        ),
    ],
    figures=[
        by_strength(
            ACCURACY,
            {"base": 0.0, **LOCAL},
            along="arm",
            baseline="base",
            labels=("strength of the random fields", "accuracy of linear probes"),
            caption="Accuracy of linear probes by the strength of the fields (1: 0.5 rad, 0.3 in log scale, shear and log brightness, 0.15 of half "
            "the width); dotted: without fields; 95 % bands over seeds.",
        ),
        augmented_images(
            "examples",
            ("base", "global 0.5", "local 0.25", "local 0.5", "local 1", "local 2", "elastic", "coloured, both 0.5"),
            along="arm",
            caption="The same digits under each arm's fields, before any crop.",
        ),
        bars(
            ACCURACY,
            "arm",
            label="accuracy of linear probes",
            caption="Accuracy by arm, 95 % intervals over seeds. Coloured arms have another task: compare them with each other.",
            name="arms",
        ),
        bars(
            {"structure_loss": "structure lost (1 - SSIM)", "folded": "share folded"},
            "arm",
            label="of images under the fields",
            caption="How much of an image's structure an arm destroys, and how much of it is folded.",
            name="damage",
        ),
    ],
)
