"""Can encoders and decoders trained apart work together, where they speak of similarities to the same anchors?

(Moschella et al., ICLR 2023.) About 4 minutes on two cores at the small preset. Autoencoders of digits and of MNIST exchange
their decoders; seven frozen encoders exchange their heads; two spaces are compared example by example; and 48 networks on Cora
are judged by their similarity to the best of them. Each seed has its own split, anchors and networks.

1. The loss of an autoencoder is half the log of the mean squared error: the code's Gaussian likelihood but for a constant.
   The errors reported are plain mean squared errors. No gradient is clipped.
2. Heads are a layer norm and a linear layer. The code's standardise over all test rows of a call
   (``train_head(hidden=2, transductive=True)``), so that its accuracy depends on them. Accuracy, not weighted F1.
3. The reference on Cora is the best network of the sweep, left out of the correlation; the paper trains one for longer.
4. Spaces beside the paper's two: "layernorm" normalises absolute codes, "centered" subtracts the anchors' mean first,
   "procrustes" rotates codes onto the other network's anchors, "shuffled" reads the anchors in a wrong order.
5. Relative representations of trained networks all have cosines near 1, also shuffled: go by neighbours and ranks.
"""

from farfield.study.claims import at_least, greater
from farfield.study.figures import MARKERS, PALETTE, bars
from farfield.study.matrices import matrices
from farfield.study.study import Figure, Preset, Study
from farfield.trials.spaces import SPACES
from farfield.trials.stitching import trial
from farfield.web import svg

IMAGES = ("digits", "mnist")
COUNTS = (10, 50, 100, 200)
SWEEP = {
    "convolution": ["gcn", "gin"],
    "depth": [2, 8],
    "dropout": [0.1, 0.5],
    "activation": ["relu"],
    "optimizer": ["adam"],
    "learning_rate": [0.01, 0.02],
}
SETTINGS = {
    "kind": "mlp", "anchors": 200, "counts": COUNTS, "topk": 10, "steps": 800, "batch_size": 100, "head_steps": 430,
    "image_models": (), "text_models": (), "sweep": SWEEP, "epochs": (10, 30, 50), "hidden": 64, "graph_anchors": 300,
    "device": "cpu",
}  # fmt: skip
# The paper's data sets (ImageNet left out, which is gated), models, and sweep on Cora.
FULL_TASKS = [
    "mnist-full", "hub/fashion-mnist", "cifar10", "hub/cifar100", "hub/cifar100-coarse", "hub/trec", "hub/dbpedia",
    "hub/amazon-reviews", "cora", "citeseer",
]  # fmt: skip
FULL = {
    "kind": "conv", "anchors": 500, "steps": 25_000, "head_steps": 5000, "hidden": 300, "device": "cuda",
    "image_models": [
        "hf:google/vit-base-patch16-224", "timm:vit_small_patch16_224", "timm:vit_base_r50_s16_384", "timm:rexnet_100",
        "timm:regnetx_002",
    ],
    "text_models": [
        "hf:google-bert/bert-base-cased", "hf:google-bert/bert-base-uncased", "hf:google/electra-base-discriminator",
        "hf:FacebookAI/roberta-base", "hf:FacebookAI/xlm-roberta-base",
    ],
    "sweep": SWEEP | {
        "convolution": ["gcn2", "gin"], "depth": [32, 64], "activation": ["relu", "tanh"], "optimizer": ["adam", "sgd"],
    },
}  # fmt: skip
SMALL = "Small networks on 1,797 digits and 10,000 of MNIST here."


def cloud(records):
    """Each network of the sweep on Cora: how similar it is to the best, against its accuracy."""
    rows = (
        records[records["space"] == "relative"].dropna(subset=["best_accuracy"]) if "best_accuracy" in records else []
    )
    if not len(rows):
        return None
    figure, axes = svg.canvas(4.4, 3.2)
    svg.margins(figure, left=48, right=10, top=8, bottom=38)
    for i, row in enumerate(rows.to_dict("records")):
        style = {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)], "markersize": 4}
        axes.plot(row["similarities"], [100 * a for a in row["accuracies"]], linestyle="", alpha=0.7, **style)
    svg.name_axes(axes, "mean cosine to the best network's relative representation", "validation accuracy, %")
    return svg.render(figure, "proxy")


study = Study(
    paper="relative-representations",
    question="Can encoders and decoders trained apart work together, where they speak of similarities to the same anchors?",
    trial=trial,
    grid={"space": SPACES, "task": (*IMAGES, "cora")},  # Spaces outside: workers seldom wait for the same network.
    presets={
        "smoke": Preset(
            seeds=2,
            grid={"task": ("digits",)},
            settings={**SETTINGS, "anchors": 50, "counts": (10, 50), "steps": 60, "head_steps": 20},
        ),
        "small": Preset(seeds=5, settings=SETTINGS),
        "full": Preset(seeds=5, grid={"task": FULL_TASKS}, settings={**SETTINGS, **FULL}),
    },
    extras={"full": ("hf", "vision")},
    metrics={
        "mse": "error of autoencoders with their own decoder",
        "stitched_mse": "error with the decoder of the other",
        "accuracy": "accuracy of a classifier trained end to end",
        "own_accuracy": "accuracy of heads on their own encoder",
        "swapped_accuracy": "accuracy on other encoders of the same width",
        "swapped_all": "accuracy on all other encoders",
        "agreement/jaccard": "shared neighbours of two spaces (Jaccard)",
        "agreement/mrr": "mean reciprocal rank of an example in the other space",
        "agreement/cosine": "mean cosine of an example in the two spaces",
        "proxy": "rank correlation of similarity to the best and accuracy",
    },
    claims=[
        greater(
            "relative",
            than="absolute",
            metric="stitched_mse",
            along="space",
            lower_is_better=True,
            says="With the decoder of another network, absolute codes collapse and relative ones do not.",
            reported="Error x 1000, own to stitched (figures from memory): MNIST absolute 0.66 to 97.79, relative 1.18 to 2.83; "
            "F-MNIST 1.57 to 120.54, 3.59 to 6.37; CIFAR-10 1.94 to 86.74, 2.83 to 5.39; CIFAR-100 2.13 to 97.17, 3.50 to 18.03",
            scale=SMALL,
        ),
        greater(
            "relative",
            than="absolute",
            metric="accuracy",
            along="space",
            margin=-0.02,
            says="Relative input costs little end to end: at most 2 points of accuracy.",
            reported="No figure at hand; the paper finds the accuracies on par",
            scale=SMALL,
        ),
        greater(
            "relative",
            than=("absolute", "shuffled"),
            metric="swapped_accuracy",
            along="space",
            says="Heads read frozen encoders of another kind by relative latents, far above absolute ones and above chance.",
            reported="No figure at hand; tables of text and image encoders",
            scale=SMALL + " Pairs of equal width only; chance is what the shuffled anchors give.",
        ),
        *(
            greater(
                "relative",
                than="absolute",
                metric=f"agreement/{name}",
                along="space",
                says=f"Two spaces agree more where they are relative: {what}.",
                reported=f"Word embeddings, fastText to word2vec (from memory): relative {figures}",
                scale=SMALL,
            )
            for name, what, figures in (
                ("jaccard", "shared neighbours", "0.34, absolute 0"),
                ("mrr", "rank of the same example", "0.94, absolute 0"),
                ("cosine", "cosine of the same example", "0.86, absolute 0.01"),
            )
        ),
        at_least(
            "proxy",
            0.5,
            where={"space": "relative"},
            says="Similarity to the best network tells how accurate a network is, over a sweep on Cora.",
            reported="A strong correlation over about 2,000 networks (a figure)",
            scale="48 networks of 2 to 8 convolutions here.",
        ),
    ],
    figures=[
        matrices(
            "matrix",
            "encoders",
            along="space",
            values=("absolute", "relative"),
            where={"task": "digits"},
            labels=("encoder that the head was trained on", "encoder that it reads"),
            caption="Accuracy in % of each head (column) on each frozen encoder (row), digits; empty where widths differ.",
            name="stitching-matrices",
        ),
        bars(
            {"mse": "own decoder", "stitched_mse": "the other's decoder"},
            "space",
            label="mean squared error of a pixel",
            caption="Reconstruction with the network's own decoder and with another's, mean of digits and MNIST; the mean image has "
            "an error of 0.07. 95 % intervals over seeds.",
            name="reconstruction",
            where={"space": [s for s in SPACES if s != "centered"], "task": list(IMAGES)},
            log=True,
        ),
        bars(
            {f"jaccard_at/{k}": f"{k} anchors" for k in COUNTS},
            "space",
            label="shared part of the 10 nearest neighbours",
            caption="How far two autoencoders agree on neighbours, by the number of anchors; mean of digits and MNIST.",
            name="agreement",
            where={"task": list(IMAGES)},
        ),
        Figure("proxy", "Every network of the sweep on Cora; a colour is a seed. The best network is left out.", cloud),
    ],
)
