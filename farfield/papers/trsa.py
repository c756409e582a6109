"""Does who is near whom tell layers apart better than all distances do? (Lin & Kriegeskorte, PNAS 2024)

About 2 minutes on two cores at the small preset. Ten networks that differ in their seed see the same 60 digits; the layer that a
dissimilarity matrix belongs to is told from the other nine networks. Ten windows (l, u) are drawn of each class of the
geo-topological transform, once for all. Beside it, four curves in space: two geometries of each of two topologies.

1. A seed is the network that is left out, and the unit of the tests; the paper takes sampled windows as the unit and divides by
   the standard deviation. The centroids of two seeds share eight networks, so seeds are not quite independent.
2. The best window of the grid is chosen on one half of the networks and scored on the other; then the halves change places.
3. The transform ranks first, and ranking alone explains part of its gain: every comparison with the raw matrix has one with ranks.
4. Noise is also added to activations, relative to the layer's standard deviation; the paper's code adds it to the matrices only.
5. 1,078 digits train each network, in 132 steps (6 epochs of 1,400). At the full preset the learning rate stays constant, and the
   62 images are as many of each class as can be; the recordings of human brains are not distributed.
"""

import functools

import numpy as np
import torch

from farfield import measure, nn, tasks
from farfield.study.claims import exact, greater
from farfield.study.figures import bars, lines
from farfield.study.layer_figures import matrices_in_the_plane, window_map
from farfield.study.study import Preset, Study
from farfield.trials import layer_identification
from farfield.trials.layer_identification import CLASSES, STATISTICS

SETTINGS = {
    "task": "digits", "model": "farfield.papers.trsa:small_cnn", "method": "erm", "device": "cpu",
    "steps": 132, "batch_size": 64, "learning_rate": 1e-3, "weight_decay": 0.0,
    "layers": "encoder.*.1", "stimuli": 60,
    "systems": 10, "windows": 10, "draws": 3, "step": 0.05, "bootstraps": 100,
}  # fmt: skip
SMALL = "Six layers of a small network on 8x8 digits here; ten layers of All-CNN-C, and regions of human brains, in the paper."
CLEAN, NOISIEST = {"noise": 0.0}, {"noise": 0.4, "noise_on": "rdms"}
NO_NUMBER = "no number is stated; the paper shows it in figures"


def small_cnn(task):
    """Return six convolutions of 16 channels, the third and the fifth with stride 2, and a linear head."""
    plan = zip([task.inputs.channels] + [16] * 5, [1, 1, 2, 1, 2, 1])
    convolutions = [torch.nn.Conv2d(channels, 16, 3, stride=stride, padding=1) for channels, stride in plan]
    layers = [torch.nn.Sequential(convolution, torch.nn.ReLU()) for convolution in convolutions]
    left = -(-task.inputs.height // 4) * -(-task.inputs.width // 4)
    head = torch.nn.Linear(16 * left, task.outputs.count)
    return nn.Classifier(torch.nn.Sequential(*layers, torch.nn.Flatten()), head)


def trial(point, seed):
    """Tell the layers of one network from those of the others; beside it the four curves, which are the same in every trial."""
    return {**layer_identification.trial(point, seed), "shapes": shape_ratios()}


@functools.cache
def shape_ratios():
    """Return, by statistic, how far apart two geometries of a topology are, over how far apart the two topologies are."""
    raw = {name: measure.rdm(points) for name, points in tasks.figure_eights(50).items()}

    def ratio(way, **window):
        flat, twist, loop_flat, loop_twist = (way(d, **window) for d in raw.values())
        geometry = np.linalg.norm(flat - twist) + np.linalg.norm(loop_flat - loop_twist)
        return float(geometry / (np.linalg.norm(flat - loop_flat) + np.linalg.norm(twist - loop_twist)))

    return {
        "rdm": ratio(np.asarray),
        "rank": ratio(measure.rank_minmax),
        "rgtm": ratio(measure.geotopological, l=0, u=0.075),
        "rgdm": ratio(measure.geodesic_rdm, l=0, u=0.075),
    }


def falls(records):
    """Whether geometry over topology falls from matrix to geo-topological to geodesic matrix, to below 1."""
    rdm, rgtm, rgdm = (records[f"shapes/{name}"].iloc[0] for name in ("rdm", "rgtm", "rgdm"))
    return bool(rdm > rgtm > rgdm and rgdm < 1)


COMPARED = {"metric": "accuracy", "along": "statistic", "scale": SMALL}

study = Study(
    paper="trsa",
    question="Does who is near whom tell layers apart better than all distances do?",
    trial=trial,
    grid={"statistic": STATISTICS, "noise": (0.0, 0.1, 0.2, 0.3, 0.4), "noise_on": ("rdms", "activations")},
    presets={
        "smoke": Preset(
            seeds=2,
            grid={"noise": (0.0, 0.4), "noise_on": ("rdms",)},
            settings={
                **SETTINGS, "steps": 20, "stimuli": 20, "systems": 4, "windows": 2, "draws": 1, "step": 0.5, "bootstraps": 3,
            },
        ),
        "small": Preset(seeds=10, settings=SETTINGS),
        "full": Preset(
            seeds=10,
            settings={
                **SETTINGS, "task": "cifar10", "model": "all-cnn-c", "method": "erm-sgd", "steps": 109_375, "batch_size": 128,
                "learning_rate": 0.01, "weight_decay": 1e-3, "layers": ["**.layers.*.1", "encoder", "head"], "stimuli": 62,
                "bootstraps": 1000, "device": "cuda",
            },
        ),
    },
    metrics={
        "accuracy": "share of the held-out network's layers that are told",
        "half_accuracy": "the same within one half of the networks",
        "accuracy_lost": "accuracy lost to the noise",
        "bootstrap_sd": "standard deviation over bootstraps",
    },
    claims=[
        greater(
            CLASSES,
            than="rdm",
            where=CLEAN,
            says="A class of geo-topological statistics identifies layers better than the dissimilarity matrix.",
            reported=NO_NUMBER,
            **COMPARED,
        ),
        greater(
            CLASSES,
            than="rank",
            where=CLEAN,
            says="It also does so better than the ranks of that matrix.",
            reported="not compared",
            **COMPARED,
        ),
        greater(
            "topology",
            than="geometry",
            where=CLEAN,
            margin=-0.02,
            says="Topology-sensitive windows keep the sensitivity of geometry-sensitive ones, within 0.02.",
            reported=NO_NUMBER,
            **COMPARED,
        ),
        greater(
            "local",
            than="geometry",
            where=NOISIEST,
            says="Noise on the matrices costs local extractors more than wide windows.",
            reported=NO_NUMBER,
            **(COMPARED | {"metric": "accuracy_lost"}),
        ),
        greater(
            "geometry",
            than=("local", "global"),
            where={"noise_on": "rdms"},
            says="Over all levels of that noise, local and global extractors stay below wide windows.",
            reported=NO_NUMBER,
            **COMPARED,
        ),
        greater(
            "chosen",
            than="rank",
            where=CLEAN,
            says="The best window is not (0, 1), the ranks: chosen on half of the networks, it does better on the other half.",
            reported=NO_NUMBER,
            **(COMPARED | {"metric": "half_accuracy"}),
        ),
        exact(
            falls,
            says="For four curves, geometry over topology falls from matrix to geo-topological to geodesic matrix, to below 1.",
            reported=NO_NUMBER + "; the authors' transforms give 4.69, 1.77 and 0.67",
            relation="shapes: rdm > rgtm > rgdm, rgdm < 1",
        ),
    ],
    figures=[
        window_map(
            caption="Share of layers told, by window of the geo-topological transform, without noise; the best is marked. Upper "
            "left: all of the geometry. Along the diagonal: topology only."
        ),
        bars(
            {"accuracy": "told from all others", "half_accuracy": "within halves"}, "statistic", label="share of layers told", where=CLEAN, name="statistics",
            caption="Share of a network's layers that are told without noise, 95 % intervals over networks. Within halves: from four "
            "others; chosen is the window that is best in the other half.",
        ),
        *(
            lines(
                "noise", "accuracy", "statistic", labels=(f"noise on {what}, standard deviations", "share of layers told"),
                caption=f"Share of layers told under noise on {what}, with 95 % intervals over networks.",
                name=f"noise-on-{on}", where={"noise_on": on},
            )
            for on, what in (("rdms", "matrices"), ("activations", "activations"))
        ),
        matrices_in_the_plane(
            transformed=False, name="plane-rdm",
            caption="Dissimilarity matrices of every layer of every network, by their Euclidean distances (classical scaling).",
        ),
        matrices_in_the_plane(
            transformed=True, name="plane-rgtm",
            caption="The same under the best window of the transform, turned and scaled to fit the figure before.",
        ),
    ],
)  # fmt: skip
