"""Can any two images be a positive pair, if each pair of classes has features of its own to be alike in? (Wu et al., 2024)

About 3 minutes on two cores at the small preset. A small network learns from 150 of Omniglot's characters, 7 of
scikit-learn's digits and 48 of 64 glyphs (shape, texture, colour), and is tested there and on the classes left out.
"hydra" gates the features by the two classes of a pair (the paper's method, later called SimLAP); "arbitrary" pairs
any two images too, with all features alike in all pairs.

1. No code is published. The form of the gate is certain; masking of a pair's own classes, temperature and both
   directions are our reading.
2. The loss is on the 64 features that are tested; the paper has a projection between (the full preset has one of
   three layers).
3. Held-out pairs are of any two classes for every way, with the same candidates; the gates are used there and nowhere
   else.
4. "supcon" draws a second image of the class from all training rows: of 150 classes a batch of 128 often holds one
   row only.
5. Accuracy on learned classes is that of the nearest training image (1-NN); with few labels, 5 images of each new
   class.
6. Frozen features (claim 5) are SimCLR's; a gate is learned on training images and judged by balanced accuracy on
   held-out ones.
7. The full preset is the sheet's: CIFAR-100, with a ResNet-20 of width 64 in place of ResNet-18, and a DINO ViT-S as
   it is; not ImageNet-1K.
"""

from farfield.study.claims import at_least, greater
from farfield.study.figures import bars, curves
from farfield.study.study import Per, Preset, Study
from farfield.trials.arbitrary_pairs import WAYS, trial
from farfield.trials.pair_figures import class_tree

SETTINGS = {
    "classes": Per("task", {"characters": 150, "digits": 7, "glyphs": 48}, otherwise=None),
    "transfer_tasks": (), "model": "farfield.trials.pair_networks:small", "projection": 0, "dims": 64,
    "steps": Per("task", {"characters": 800}, otherwise=400), "batch_size": 128, "learning_rate": 1e-3, "temperature": 0.2,
    "combine": "mean", "mask_shared": True, "symmetric": True, "eta": 1.0,
    "crops": False, "shift": Per("task", {"characters": 2}, otherwise=1), "intensity": 0.3, "noise": 0.1,
    "draws": 5, "shots": 5, "test_rows": 2000, "pairs": 50, "gate_steps": 200, "frozen_models": (), "device": "cpu",
}  # fmt: skip
TINY = {"steps": 12, "draws": 2, "pairs": 4, "gate_steps": 10}
# Each at 32 pixels, as CIFAR-100 is.
TRANSFER = (
    "hf:uoft-cs/cifar10?image=img&target=label&size=32",
    "hf:tanganke/stl10?image=image&target=label&size=32",
    "hf:dpdl-benchmark/oxford_flowers102?image=image&target=label&size=32",
    "hf:timm/oxford-iiit-pet?image=image&target=label&size=32",
    "hf:tanganke/dtd?image=image&target=label&size=32",
    "hf:Donghyun99/FGVC-Aircraft?image=image&target=label&size=32",
)
FULL = {
    "classes": 100, "transfer_tasks": TRANSFER, "model": "resnet?width=64&depth=3", "projection": 3, "dims": 128,
    # 200 epochs of 50,000 images.
    "steps": 19_531, "batch_size": 512, "temperature": 0.1, "crops": True,
    "frozen_models": ("hf:facebook/dino-vits16",), "device": "cuda",
}  # fmt: skip
# The sheet has no figures of the paper: its tables were not at hand.
NO_FIGURE = "no figure of the paper at hand"
SMALL = "A small perceptron and a few hundred steps here; ViT-S and ViT-B on ImageNet-1K in the paper."

study = Study(
    paper="hydra",
    question="Can any two images be a positive pair, if each pair of classes has features of its own to be alike in?",
    trial=trial,
    grid={"task": ("characters", "digits", "glyphs"), "way": WAYS},
    presets={
        "smoke": Preset(2, {"task": ("digits", "glyphs")}, {**SETTINGS, **TINY}),
        "small": Preset(5, settings=SETTINGS),
        "full": Preset(1, {"task": ("hub/cifar100",), "way": (*WAYS, "pretrained")}, {**SETTINGS, **FULL}),
    },
    extras={"full": ("hf",)},
    metrics={
        "pair_top1": "held-out pairs, partner found",
        "pair_loss": "held-out pairs, loss, nats",
        "candidates": "candidates of a pair",
        "knn": "1-NN accuracy, learned classes",
        "transfer_knn": "1-NN accuracy, new classes, 5 labels each",
        "transfer_linear": "linear accuracy, new classes, 5 labels each",
        "effective_rank": "effective rank",
        "gate_mean": "mean gate",
        "gate_off": "gates below 0.1",
        "gate_on": "gates above 0.9",
        "relation_correlation": "likeness of gates with what classes share, rank correlation",
        "subspace_gated": "pair of classes told in a learned subspace",
        "subspace_ungated": "pair of classes told by all features",
        "subspace_random": "pair of classes told by a random half",
    },
    claims=[
        greater(
            "hydra",
            than="arbitrary",
            metric="pair_top1",
            along="way",
            says="With the filter, partners in arbitrary pairs are found on held-out images far more often than without.",
            reported=f"{NO_FIGURE}; without the filter about chance",
            scale=SMALL,
        ),
        greater(
            "hydra",
            than="arbitrary",
            metric="pair_loss",
            along="way",
            lower_is_better=True,
            unit="nats",
            says="With the filter, the contrastive loss of arbitrary pairs on held-out images is lower than without.",
            reported=f"{NO_FIGURE}; without the filter about chance",
            scale=SMALL,
        ),
        greater(
            "hydra",
            than="supcon",
            metric="transfer_knn",
            along="way",
            says="Features learned from arbitrary pairs with the filter transfer better to unseen classes than those of same-class pairs.",
            reported=NO_FIGURE,
            scale=SMALL,
        ),
        greater(
            "hydra",
            than=("simclr", "supervised"),
            metric="transfer_knn",
            along="way",
            says="They transfer better than those of ordinary contrastive learning and of supervised training.",
            reported=NO_FIGURE,
            scale=SMALL,
        ),
        *(
            greater(
                "hydra",
                than=rival,
                metric="effective_rank",
                along="way",
                says=f"The filter reduces dimensional collapse: the effective rank is above that of {name}.",
                reported=NO_FIGURE,
                scale=SMALL,
            )
            for rival, name in (("supcon", "same-class pairs"), ("simclr", "two views of an image"))
        ),
        greater(
            "hydra",
            than="simclr",
            metric="knn",
            along="way",
            says="On the learned classes the features are at least as good as those of ordinary contrastive learning.",
            reported='"superior performance" on ImageNet-1K; no figure of the paper at hand',
            scale=SMALL + " Digits are too easy to tell the ways apart.",
        ),
        at_least(
            "subspace_gain",
            0,
            where={"way": ("simclr", "pretrained")},
            says="In frozen features, two arbitrary classes are told from all others better in a learned subspace than by all features.",
            reported=NO_FIGURE,
            scale="Held-out accuracy; few images of each class to learn a gate from.",
        ),
        at_least(
            "random_loss",
            0,
            where={"way": ("simclr", "pretrained")},
            says="A fixed random subspace tells them no better than all features.",
            reported="the control of the claim before; no figure",
        ),
        at_least(
            "shared_factor_gap",
            0,
            where={"way": "hydra"},
            says="The gates reveal relations: where two classes share a factor, the gate keeps the features that tell it.",
            reported="the paper's finding that gates reveal relations between classes, asked here where the relations are known",
            scale=SMALL,
        ),
    ],
    figures=[
        curves(
            "log_spectrum",
            along="way",
            labels=("principal direction, % of all", "share of the variance, log10"),
            caption="How the variance of held-out features is spread over their principal directions: a steep fall is a collapse.",
            name="spectra",
        ),
        curves(
            "losses",
            along="way",
            labels=("share of training, %", "training loss, nats"),
            caption="Loss of arbitrary pairs while training: with all features, a learned gate or a random half of them.",
            name="losses",
        ),
        class_tree(
            "relations",
            "class_names",
            where={"way": "hydra", "task": "glyphs"},
            label="1 - cosine similarity of the classes' gates",
            caption="Glyphs joined by how alike their gates are (first seed), beside what each is: shape, texture, colour.",
        ),
        bars(
            {"knn": "learned classes", "transfer_knn": "new classes, 5 labels each"},
            "way",
            label="1-NN accuracy",
            caption="Accuracy of the nearest neighbour on held-out images of learned and of new classes, mean of the tasks.",
            name="accuracy",
        ),
    ],
)
