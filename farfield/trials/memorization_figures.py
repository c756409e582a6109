"""The figures of a study of memorization: coherence and accuracies along training, and what each way of training ends with."""

from collections.abc import Iterable

from farfield.study.figures import bars, lines
from farfield.study.study import Figure
from farfield.study.unrolled import unrolled


def memorization_figures(noisy: Iterable[str], clipped: Iterable[str], apart: str) -> list[Figure]:
    """Return the figures of trials of `farfield.trials.memorization` and `farfield.trials.easy_hard`.

    **Arguments:** cells of the study: ``noisy``: optimizers and noise levels; ``clipped``: numbers of examples clipped; ``apart``: easy and hard
    examples.

    >>> [figure.name for figure in memorization_figures(["sgd"], ["c = 0"], "easy and hard")]
    ['coherence', 'layers', 'accuracy', 'overfit', 'winsorized', 'easy-hard']
    """
    noisy = {"cell": tuple(noisy)}
    transfer = {"easy_easy": "easy to easy", "hard_easy": "hard to easy", "easy_hard": "easy to hard"}
    return [
        unrolled(
            "epoch",
            {"coherence_curve": ""},
            "noise",
            form="{:.0%} random",
            where=noisy,
            labels=("epoch", "m-coherence"),
            caption="m-coherence of up to 1,000 training examples along SGD's way, by the share of labels that were replaced at "
            "random: 1 is orthogonal gradients.",
            name="coherence",
            log_x=True,
            log_y=True,
        ),
        unrolled(
            "epoch",
            {"first_layer_curve": ", first layer", "last_layer_curve": ", last layer"},
            "noise",
            form="{:.0%} random",
            where={"optimizer": "sgd", "noise": (0.0, 1.0), **noisy},
            labels=("epoch", "m-coherence"),
            caption="The same of the first and the last layer, for real and for random labels.",
            name="layers",
            log_x=True,
            log_y=True,
        ),
        unrolled(
            "epoch",
            {"train_curve": ", training", "test_curve": ", test"},
            "optimizer",
            where={"noise": 0.5, **noisy},
            labels=("epoch", "accuracy"),
            caption="Training accuracy (on the given labels) and test accuracy (on right ones) with half of the labels random.",
            name="accuracy",
            log_x=True,
        ),
        lines(
            "noise",
            "overfit",
            "optimizer",
            where=noisy,
            labels=("share of labels replaced at random", "adjusted overfit"),
            caption="Training accuracy beyond what right labels alone would give, after the last epoch.",
            name="overfit",
        ),
        bars(
            {"corrupt": "wrong labels", "pristine": "right labels", "test": "test"},
            "cell",
            where={"cell": tuple(clipped)},
            label="accuracy, mean of the data sets",
            caption="Winsorization with half of the labels random: accuracies at the end, by how many examples of a batch are "
            "clipped on each side.",
            name="winsorized",
        ),
        bars(
            {**transfer, "hard_hard": "hard to hard"},
            "task",
            where={"cell": apart},
            label="test accuracy",
            caption="Trained on easy or on hard examples, and tested on new ones of either kind.",
            name="easy-hard",
        ),
    ]
