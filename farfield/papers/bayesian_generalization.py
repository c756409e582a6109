"""How many attributes does a network need for a concept, and does that decide between rules and similarity? (Shi et al., ICML 2023)

About 3 minutes on two cores at the small preset. Eight sets of small images, from plain shapes to shapes in clutter, and a network on each:
its channels are ordered by how well they represent a class, and the fewest that keep 90 % of the accuracy are counted. Then all 64
classes make one world, of which 16 are novel: membership in them is judged by a rule and by similarity.

1. Eight sets of 28x28 grey images, 8 classes each, instead of LEGO, 2D-Geometric, ACRE, AwA, Places and ImageNet; scikit-learn's digits
   have fewer images (1,438). One small network for all instead of ResNet-18, -101 and -152, whose depth goes with the set.
2. A description must keep 90 % of the accuracy with all channels; the released code sums the accuracy lost over K (also shown).
   Classes below twice chance, and sets below an accuracy of 0.5, are left out.
3. The attribute matrix comes from 50 training images of each class, the curves from test images; the released code takes the same images for both.
4. Entropy is that of images rounded to 17 grey levels: with every float distinct all sets come near to the number of pixels.
5. The test of rules against similarity is ours, as the paper's is not public: an attribute is on above its 75 % quantile; a rule is the most
   probable conjunction of up to 3 of the 6 most representative attributes that three examples share; similarity is the mean over all
   hypotheses, or the cosine. The length of a novel concept's description is measured with a head that is fitted to all 64 on frozen features.
6. The full preset takes ready networks on ImageNet, Places365 and AwA2, whose last layer is trained anew.
"""

from farfield.study.claims import at_least
from farfield.study.figures import bars
from farfield.study.study import Preset, Study
from farfield.tasks.complexity_ladder import LADDER
from farfield.trials.description import ALL, WORLD, trial
from farfield.trials.description_figures import accuracy_curves, channels_by_class, length_against_entropy

WIDTH, OTHERS = 48, (32, 96)
SETTINGS = {
    "sets": LADDER,
    "rows": 2400,
    "model": "small",
    "maps": "encoder.maps",
    "epochs": 10,
    "patience": 3,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "device": "cpu",
    "images": 50,
    "share": 0.9,
    "repeats": 5,
    "levels": 17,
    "entropy_images": 400,
    "least_accuracy": 0.5,
    "novel": 16,
    "world_images": 60,
    "world_concepts": 50,
    "examples": 3,
    "draws": 10,
    "top": 6,
    "rule_size": 3,
    "quantile": 0.75,
}
QUICK = ("fixed", "jittered", "digits", "gradient", "clutter")
SMOKE = {
    "sets": QUICK, "rows": 320, "epochs": 4, "repeats": 2, "entropy_images": 40, "least_accuracy": 0.0, "world_images": 12, "draws": 2, "novel": 8, "batch_size": 16,
}  # fmt: skip
PHOTOGRAPHS = tuple(
    f"hf:{name}?image=image&target=label&size=224"
    for name in ("ILSVRC/imagenet-1k", "dpdl-benchmark/Places365-Validation", "mikewang/AwA2")
)
FULL = {
    "sets": PHOTOGRAPHS, "model": "hf:microsoft/resnet-152?tune=probe", "maps": "encoder.backbone", "epochs": 20, "batch_size": 256,
    "learning_rate": 1e-3, "device": "cuda", "levels": 64, "entropy_images": 2000, "world_concepts": 20, "world_images": 20, "novel": 15,
}  # fmt: skip

ABOUT = "over six data sets, fitted by a second-order polynomial; no coefficient at hand"
TREND = "yes, in its own experiment, which is not public; no figure at hand"
OURS = "The test is our own, on 16 novel concepts of small images; the paper's is not public."
FEW = (
    "Sets of 8 classes need only 1 to 3 of the channels, so little is left to differ; the paper's sets have up to 1,000 classes, and its "
    "networks grow with the set."
)
AUCS = {
    "high/rule": "rule, long descriptions",
    "low/rule": "rule, short descriptions",
    "high/similarity": "similarity, long",
    "low/similarity": "similarity, short",
    "high/cosine": "cosine, long",
    "low/cosine": "cosine, short",
}
HERE, ELSEWHERE, NOVEL = {"data": ALL, "width": WIDTH}, {"data": ALL, "width": OTHERS}, {"data": WORLD}

study = Study(
    paper="bayesian-generalization",
    question="How many attributes does a network need for a concept, and does that decide between rules and similarity?",
    trial=trial,
    grid={"data": (*LADDER, ALL, WORLD), "width": (WIDTH, *OTHERS)},
    presets={
        "smoke": Preset(2, {"data": (*QUICK, ALL, WORLD), "width": (16, WIDTH)}, {**SETTINGS, **SMOKE}),
        "small": Preset(5, settings=SETTINGS),
        "full": Preset(3, {"data": (*PHOTOGRAPHS, ALL, WORLD), "width": (2048,)}, {**SETTINGS, **FULL}),
    },
    extras={"full": ("hf",)},
    metrics={
        "accuracy": "accuracy on test images",
        "entropy": "entropy of the images, bits",
        "k/roa": "channels needed, by representativeness",
        "k/share": "by P(z|c) only",
        "k/random": "in random order",
        "k/weighted": "by weight times activation",
        "log_area": "logarithm of the accuracy lost, summed over K",
        "learnt_sets": "sets learnt",
        "peak": "entropy at the top of the fit, bits",
        "two_lines": "share of seeds in which two lines rise and fall",
        "area_inverted": "inverted U by the area form (above 0: yes)",
        "complexity": "channels needed, mean over novel concepts",
        "auc/rule": "AUC by a rule",
        "auc/rule_uniform": "the same, uniform prior",
        "auc/similarity": "AUC by all hypotheses",
        "auc/cosine": "AUC by cosine",
        "cosine_interaction": "interaction by cosine",
        "area_rho": "rank correlation with the area form",
    },
    claims=[
        at_least(
            "smallest_gap", 0, where=HERE, unit="channels",
            says="In order of representativeness a description is shorter than in random order, in every set (48 channels).",
            reported="models use attributes of high representativeness; no figure at hand",
        ),
        at_least(
            "smallest_gap", 0, where=ELSEWHERE, unit="channels",
            says="The same with 32 and 96 channels.", reported="no figure at hand",
        ),
        at_least(
            "concavity", 0, where=HERE, scale=FEW,
            says="The length of descriptions is concave in the entropy of the images (both logarithmic).", reported=f"negative quadratic coefficient {ABOUT}",
        ),
        at_least(
            "inverted", 0, where=HERE, scale=FEW,
            says="It is an inverted U: it rises at the plainest set and falls at the richest.", reported=f"maximum inside the range {ABOUT}",
        ),
        at_least(
            "inverted", 0, where=ELSEWHERE, scale=FEW,
            says="The same with 32 and 96 channels.", reported="no figure at hand",
        ),
        at_least(
            "rule_gap", 0, where=NOVEL, scale=OURS, unit="AUC",
            says="Rules work better for concepts with long descriptions than for those with short ones.", reported=TREND,
        ),
        at_least(
            "similarity_gap", 0, where=NOVEL, scale=OURS, unit="AUC",
            says="Similarity works better for concepts with short descriptions than for those with long ones.", reported=TREND,
        ),
        at_least(
            "interaction", 0, where=NOVEL, scale=OURS, unit="AUC",
            says="Long descriptions favour rules over similarity (difference of the two differences).", reported=TREND,
        ),
        at_least(
            "rho", 0, where=NOVEL, scale=OURS, unit="rank correlation",
            says="The longer a concept's description, the more a rule does better than similarity.", reported=TREND,
        ),
    ],
    figures=[
        length_against_entropy(
            width=WIDTH, caption="Channels that a network needs of a class, against how complex the images look; line: quadratic fit.",
        ),
        accuracy_curves(width=WIDTH, caption="Accuracy with the first channels only, by how they are ordered; mean over classes and seeds."),
        channels_by_class("jittered", width=WIDTH, caption="Which channels stand for which of the eight jittered shapes, in the network of seed 0."),
        bars(AUCS, "width", where=NOVEL, label="AUC of membership in novel concepts", name="rules-similarity", caption="By a rule and by similarity, for concepts that need many channels (long) and few (short), by width."),
        bars({f"k/{o}": label for o, label in (("roa", "representativeness"), ("share", "P(z|c) only"), ("weighted", "weight x activation"), ("random", "random"))}, "data", label="channels needed for 90 % of the accuracy", name="lengths", caption="Length of descriptions by the order of channels, mean over widths."),
    ],
)  # fmt: skip
