"""Do networks trained from different random weights learn the same units? (Li et al., ICLR 2016)

About 1 minute on two cores at the small preset. Each seed trains two networks of one architecture on the same images and compares
them layer by layer on images that neither has seen: units one to one, few to one through a sparse linear map, and in clusters. The same
networks before training, and images that do not correspond, say what would be alike without learning.

1. scikit-learn's digits in the library's split (60 % train, 40 % to measure on) and a network of 16, 32 and 32 channels instead of
   AlexNet on ImageNet; 10 pairs of networks that share none, instead of pairs among 4 networks.
2. Units are taken after their ReLU, where the paper leaves it open.
3. The sparse map is the exact optimum of its loss (proximal gradient), not stochastic gradient descent with a threshold; its
   losses are on other images than it was fitted on. Penalties above 0.1 are added so that a fifth of the weights is reached.
4. Clusters, compared by eye in the paper, are compared by their canonical correlations. Edges are between networks only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farfield.study.claims import at_least, exact, greater
from farfield.study.figures import bars, curves, lines
from farfield.study.study import Figure, Preset, Study
from farfield.trials.convergence import NETS, trial

if TYPE_CHECKING:
    import pandas as pd

CONVOLUTIONS = ("conv1", "conv2", "conv3")
LAYERS = (*CONVOLUTIONS, "fc", "logits")
SETTINGS = {
    "model": "farfield.nn.plain_cnn:plain_cnn",
    "epochs": 15,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "penalties": [0, 1e-3, 1e-2, 3e-2, 0.1, 0.2, 0.3, 0.5],
    "clusters": [4, 8, 12],
    "images": 1000,
    "positions": 64,
    "device": "cpu",
}
SMALL = "Networks of 16 to 64 units on 8x8 images here; 96 to 384 units on ImageNet in the paper."
TRAINED = {"nets": "trained"}
IMAGENET = "hf:ILSVRC/imagenet-1k?image=image&target=label&size=224"
FULL = {"model": "farfield.nn.plain_cnn:alexnet", "epochs": 60, "batch_size": 128, "learning_rate": 1e-4}


def draw_units(records: pd.DataFrame) -> str | None:
    """Draw the correlation of each unit with its partner, from the best unit to the worst, a panel per layer."""
    import pandas as pd

    shown = {
        ("trained", "greedy_curve"): "best partner",
        ("trained", "matching_curve"): "one to one",
        ("untrained", "matching_curve"): "untrained",
        ("shuffled", "matching_curve"): "chance",
    }
    rows = [
        {"task": row.layer, "seed": row.seed, "pairing": name, "curve": getattr(row, metric)}
        for row in records.itertuples()
        for (nets, metric), name in shown.items()
        if row.nets == nets
    ]
    labels = ("units, from the best match to the worst, %", "correlation with partner")
    return curves("curve", along="pairing", labels=labels, caption="", name="units").draw(pd.DataFrame(rows))


def draw_maps(records: pd.DataFrame) -> str | None:
    """Draw the loss of linear maps against how many weights they use, a line per layer."""
    trained = records[records["nets"] == "trained"][["task", "layer", "seed", "map_weights", "map_loss"]]
    rows = trained.explode(["map_weights", "map_loss"]).astype({"map_weights": float, "map_loss": float})
    # Every seed has its own number of weights at a penalty: drawn at their mean.
    rows["penalty"] = rows.groupby(["task", "layer", "seed"]).cumcount()
    rows["weights"] = rows.groupby(["task", "layer", "penalty"])["map_weights"].transform("mean")
    labels = ("weights that are not zero, per unit", "loss on other images")
    return lines("weights", "map_loss", "layer", labels=labels, caption="", name="maps").draw(rows)


study = Study(
    paper="convergent-learning",
    question="Do networks trained from different random weights learn the same units?",
    trial=trial,
    grid={"task": ("digits",), "layer": LAYERS, "nets": NETS},
    presets={
        "smoke": Preset(
            seeds=2, settings={**SETTINGS, "epochs": 1, "images": 120, "penalties": [0, 0.1, 0.3], "clusters": [4]}
        ),
        "small": Preset(seeds=10, settings=SETTINGS),
        "full": Preset(
            seeds=2,
            grid={"task": (IMAGENET,), "layer": (*CONVOLUTIONS, "conv4", "conv5")},
            settings={**SETTINGS, **FULL, "images": 50_000, "positions": 4, "device": "cuda"},
        ),
    },
    extras={"full": ("hf",)},
    metrics={
        "greedy": "mean correlation with the best partner",
        "matching": "mean correlation one to one",
        "overlap": "share whose one-to-one partner is the best",
        "best": "best unit",
        "worst": "worst unit",
        "information_agreement": "share of the 8 best units with the same partner by mutual information",
        "dense_loss": "loss of a full linear map",
        "few_loss": "loss with at most 10 weights per unit",
        "one_to_one_loss": "loss with one weight per unit",
        "canonical": "squared canonical correlation in joint clusters",
        "cluster_one_to_one": "squared one-to-one correlation in joint clusters",
        "dead": "share of dead units",
        "accuracy": "accuracy of the networks",
    },
    claims=[
        *(
            at_least(
                "some_not_all",
                0,
                where={**TRAINED, "layer": layer},
                says=f"Some but not all units of {layer} converge: the best has a partner above 0.8, the worst none above 0.5.",
                reported="from near-perfect matches to none, in each convolution (figures; no table)",
                scale=SMALL + " With 16 units the worst is the lowest of few.",
                unit="correlation beyond the nearer of the two bounds",
            )
            for layer in CONVOLUTIONS
        ),
        exact(
            lambda records: bool((records["excess"] <= 0).all()),
            says="One to one, units correlate at most as much as with their best partners.",
            reported="best partner/one to one/overlap: conv1 .703/.663/.729, conv2 .556/.507/.578, conv3 .478/.446/.617, conv4 .369/.342/.581, conv5 .416/.385/.645",
            relation="matching <= greedy for every unit that has a partner, in every trial",
        ),
        *(
            greater(
                "trained",
                than=("untrained", "shuffled"),
                metric="matching",
                along="nets",
                where={"layer": layer},
                says=f"Matched units of {layer} correlate far above chance: above untrained networks and unrelated images.",
                reported=f"one to one: {reported}; the paper has no untrained control",
                scale=SMALL,
            )
            for layer, reported in {"conv1": ".663", "conv2": ".507", "fc": "not given for fc"}.items()
        ),
        greater(
            "conv1",
            than="conv3",
            metric="greedy",
            along="layer",
            where=TRAINED,
            says="Convergence falls from the first to the middle convolution.",
            reported="best partner: conv1 .703, conv3 .478, conv4 .369",
            scale=SMALL,
        ),
        at_least(
            "fifth_margin",
            0,
            where={**TRAINED, "layer": "conv1"},
            says="Few to one suffices, strict: with a fifth of the weights the loss of conv1 is within 5 % of a full linear map's.",
            reported="conv1: .172 with 14 of 96 weights per unit against .170; conv2: .392 with 6.7 of 256 against .373",
            scale="Layers of 16 units need most of their partners: a fifth is 3 weights.",
            unit="loss below the bound",
        ),
        at_least(
            "few_gain",
            0,
            where={**TRAINED, "layer": CONVOLUTIONS},
            says="Few to one suffices, weak: at most 10 weights per unit predict better than the best single partner.",
            reported="conv1: .172 with 14 weights per unit; one to one, (1 - C^2) / 2 from C = .703: about .25",
            scale=SMALL,
            unit="loss",
        ),
        at_least(
            "shared_subspace",
            0,
            where=TRAINED,
            says="Clusters share subspaces with other bases: canonical correlations exceed those of the best pairs, squared.",
            reported="seen by eye in clusters of conv1 and conv2; no figure",
            scale="Units of a cluster span far fewer directions than there are units: pairs count a shared direction often, canonical correlations once.",
            unit="squared correlation",
        ),
    ],
    figures=[
        Figure(
            "units",
            "Correlation of units with their partners in the other network, by layer: the best partner, and one to one, also in untrained networks and on unrelated images (chance); 95 % bands.",
            draw_units,
        ),
        Figure(
            "maps",
            "How well a layer is predicted from the other network's by few or many weights (loss 0.5: nothing predicted); 95 % bands.",
            draw_maps,
        ),
        bars(
            {"one_to_one_loss": "one", "few_loss": "at most 10", "dense_loss": "all"},
            "layer",
            where=TRAINED,
            label="loss on other images (0.5: nothing predicted)",
            caption="Loss of linear maps with one, at most 10, and all weights per unit; 95 % intervals over pairs of networks.",
            name="weights",
        ),
    ],
)
