"""Do several runs of one training hold more for new tasks than a single run, however large? (Zhang & Bottou, ICML 2023)

About 5 minutes on two cores at the small preset. Small perceptrons learn the digits 0 to 4 of MNIST at 14 pixels. Their frozen
features, alone and side by side, are probed on the digits 5 to 9, on turned, noisy and inverted images, and on a few drawings of
characters. Colored MNIST is the case where a shortcut turns against the label.

1. The split is that of the task "mnist" by seed (60 % to train on), not rows 0 to 6999; probes of the source and the shifts use
   its validation images, with labels that no network has seen.
2. The probe is logistic regression on standardised features; its penalty is chosen in folds of the labelled rows, for each
   representation anew. The paper reports the best weight decay on the test.
3. Which loss distilled in the paper is not known: features (cosine) here, with "distill-5-logits" beside it; as many steps as a
   single run.
4. Snapshots: the first is where a single run ends, four more follow, a quarter of its steps apart, at the constant rate.
5. Both ways of fine-tuning choose their rate from the same three on held-out labels (the paper fixes 0.01 for two stages, which
   is too slow in some hundred steps). Five networks of the ten.
6. "sub" takes random features, "wide" has the features and "large" the parameters of cat, "joint" is as many networks trained
   as one. "ensemble" averages the predictions of a probe per network.
7. Out of distribution: heads on frozen features of Colored MNIST, and the networks' own heads on shifted images. Variances are
   between disjoint groups of the same ten runs of a seed. Two logits and cross-entropy instead of one.
8. The full preset probes pretrained networks of various recipes as if they were runs of one; their source is not measured.
"""

from farfield.study.claims import greater
from farfield.study.figures import bars
from farfield.study.metric_panels import metric_panels
from farfield.study.study import Preset, Study
from farfield.trials.rich_representations import FINE_TUNED, trial

REPRESENTATIONS = (
    "cat-10", "bonsai-2", "cat-5", "cat-2", "single", "ensemble-10", "sub-10", "joint-10", "wide-2", "wide-5", "wide-10",
    "large-2", "large-5", "large-10", "distill-5", "distill-5-logits", "snapshots-5", "distill-snapshots-5", "random-10",
    *FINE_TUNED,
)  # fmt: skip
SMOKE = (
    "cat-10", "bonsai-2", "cat-5", "single", "joint-10", "wide-10", "large-10", "distill-5", "snapshots-5", *FINE_TUNED,
)  # fmt: skip
COLOUR = {
    "source": "mnist", "size": 14, "rows": 1000, "hidden": [64, 64], "steps": 51, "robust_steps": 501, "runs": 10,
    "penalties": [1.0, 10.0, 100.0, 1000.0],
}  # fmt: skip
SETTINGS = {
    "size": 14, "hidden": [32, 16], "steps": 600, "batch_size": 64, "learning_rate": 0.1, "weight_decay": 1e-4,
    "budgets": [50, 200, 1000], "shift_labels": 200, "episodes": 60, "drawings": True, "runs": 10, "members": 5,
    "tuning_epochs": 60, "tuning_batch": 256, "colour": COLOUR, "encoder_models": [],
}  # fmt: skip
TINY = {
    **SETTINGS, "size": 8, "budgets": [50, 200], "shift_labels": 50, "episodes": 5, "drawings": False,
    "steps": 20, "members": 2, "tuning_epochs": 5,
    "colour": {
        **COLOUR, "source": "digits", "size": 8, "rows": 200, "hidden": [16, 16], "steps": 5, "robust_steps": 5, "penalties": [10.0],
    },
}  # fmt: skip
# ResNet50s trained on ImageNet-1k, by several recipes: what is public in place of ten runs of one.
RESNETS = [
    f"timm:resnet50.{recipe}_in1k"
    for recipe in ("tv", "a1", "a2", "a3", "b1k", "b2k", "c1", "c2", "d", "ram")
]  # fmt: skip
FULL = {
    "encoder_models": RESNETS, "wide_models": ["timm:wide_resnet50_2.tv_in1k"], "probe_epochs": 28, "probe_batch": 256,
    "decays": [1e-2, 5e-2, 1e-3, 5e-3, 1e-4, 5e-4], "device": "cuda",
}  # fmt: skip
SMALL = "Perceptrons with 16 features, trained on some 3,000 images of five digits."
FAMILIES = {
    "cat": "networks side by side",
    "wide": "one network, as many features",
    "distill": "five distilled into one",
    "large": "one network, as many parameters",
}
OOD = "CAMELYON17, V-REx / ERM: ERM 69.6 +- 10.5 / 66.6 +- 9.8; Cat5 75.2 +- 2.9 / 75.0 +- 2.7; Cat20 76.4 +- 0.5 / 76.5 +- 0.5"
SHORTCUT = "1,500 images of Colored MNIST; after 51 steps a single run reads little but colour, so that all runs lie near the floor, 10 %."
FIG_1 = "ImageNet (read off a figure)"


def _more(better, than, metric, says, reported, scale=SMALL, **more):
    return greater(
        better, than=than, metric=metric, along="representation", says=says, reported=reported, scale=scale, **more
    )


CLAIMS = [
    _more(
        "cat-10", "single", "far", "Several runs side by side are better than one after a shift.",
        f"{FIG_1}, probes of 1 and 10: iNaturalist 37.9 and 49.6, CIFAR-100 73.2 and 79.6, CIFAR-10 90.6 and 93.7",
    ),
    _more(
        "cat-10", "single", "far_minus_source",
        "They gain more after a shift than on the source, where accuracy is nearly equal.",
        f"{FIG_1}: source 75.6 and 78.3, a gain of 2.7 against 11.7, 6.4 and 3.1",
    ),
    _more(
        "cat-10", ("wide-10", "large-10", "joint-10"), "far", "They are better after a shift than one network of their size.",
        "ResNet50 4 times as wide: 78.45 on ImageNet, but 38.7, 74.8, 92.1 on iNaturalist, CIFAR-100, CIFAR-10 (10 runs: 49.6, "
        "79.6, 93.7)",
    ),
    _more(
        "two-stage-ft", "plain-ft", "fine_tuned",
        "Fine-tuning each network alone and then a head on all is better than fine-tuning all together.",
        "10 runs: iNaturalist 69.1 against 64.4, CIFAR-10 98.17 against 97.2", SMALL + " Five networks, some 230 steps.",
    ),
    _more(
        "distill-5", "single", "far",
        "Distilled into one network of the plain size, they are better after a shift than one run.",
        "Distill_5: iNaturalist 40.8 against 37.9, CIFAR-100 76.5 against 73.2",
        SMALL + " 16 features are to hold those of five networks.",
    ),
    *(
        _more(
            better, "single", "one_shot", f"{what} better with one example of each new class.",
            f"miniImageNet, 1-shot (bars): {figure}; Baseline++ about 57.5",
        )
        for better, what, figure in (
            ("cat-5", "Five runs side by side are", "Cat5 about 63.6"),
            ("distill-5", "Five runs distilled into one are", "Distill5 about 62.9"),
            ("snapshots-5", "Five moments of one run side by side are", "Cat5-S about 63"),
        )
    ),
    _more("cat-5", "single", "colour", "Heads on several runs hold up better where a shortcut misleads.", OOD, SHORTCUT),
    _more(
        "cat-5", "single", "colour_variance", "Heads on several runs vary less from run to run where a shortcut misleads.",
        OOD, SHORTCUT, lower_is_better=True, unit="squared points",
    ),
    _more("cat-5", "single", "own_shifted", "Several runs hold up better on shifted images, without a new label.", OOD),
    _more(
        "cat-5", "single", "own_variance", "Several runs vary less on shifted images, without a new label.",
        OOD, lower_is_better=True, unit="squared points",
    ),
    _more(
        "bonsai-2", "cat-5", "colour",
        "Rounds that look for other features hold up better than as many seeds where a shortcut misleads.",
        "CAMELYON17, V-REx / ERM: Bonsai2 77.9 +- 2.7 / 78.2 +- 2.6; Cat5 75.2 / 75.0", "1,500 images of Colored MNIST.",
    ),
]  # fmt: skip

study = Study(
    paper="rich-representations",
    question="Do several runs of one training hold more for new tasks than a single run, however large?",
    trial=trial,
    grid={"representation": REPRESENTATIONS, "task": ("mnist",)},
    presets={
        "smoke": Preset(2, {"task": ("digits",), "representation": SMOKE}, TINY),
        "small": Preset(10, settings=SETTINGS),
        "full": Preset(
            5,
            {"task": ("cifar10", "hub/cifar100"), "representation": ("single", "cat-2", "cat-5", "cat-10", "wide")},
            {**SETTINGS, **FULL},
        ),
    },
    extras={"full": ("hf", "vision")},
    metrics={
        "far": "probe accuracy on new classes and shifted images",
        "source": "probe accuracy on the source",
        "own_source": "accuracy on the source without a new head",
        "own_shifted": "accuracy on shifted images without a new label",
        "own_variance": "its variance between groups of runs, squared points",
        "one_shot": "1-shot accuracy",
        "five_shot": "5-shot accuracy",
        "fine_tuned": "accuracy fine-tuned on new classes",
        "colour": "accuracy where colour misleads, head by V-REx",
        "colour_erm": "the same, head by plain training",
        "colour_ood_tuned": "the same, penalty chosen where colour misleads",
        "colour_variance": "variance of the first between groups of runs, squared points",
        "parameters": "parameters up to the features",
    },
    claims=CLAIMS,
    figures=[
        metric_panels(
            "accuracy",
            "parameters",
            "family",
            FAMILIES,
            scale=100,
            log_x=True,
            labels=("parameters", "accuracy, %"),
            caption="Accuracy of a head on frozen features against the number of parameters, by what it is asked for; on the source, "
            "on new classes, under shifts, and with one or five examples a class. 95 % intervals over seeds.",
            name="size",
        ),
        bars(
            {"far": "after a shift", "source": "source"},
            "representation",
            where={"representation": [m for m in REPRESENTATIONS if m not in (*FINE_TUNED, "bonsai-2")]},
            label="probe accuracy",
            caption="Every representation: probes on new classes and shifted images, and on the source. 95 % intervals over seeds.",
            name="methods",
        ),
        bars(
            {"colour": "V-REx", "colour_erm": "plain training", "colour_ood_tuned": "V-REx, tuned there"},
            "representation",
            where={"representation": ("single", "cat-2", "cat-5", "cat-10", "bonsai-2")},
            label="accuracy where colour contradicts 90 % of labels",
            caption="Colored MNIST: heads on frozen features. Colour alone has 10 %, shape alone 75 %. 95 % intervals over seeds.",
            name="colour",
        ),
    ],
)
