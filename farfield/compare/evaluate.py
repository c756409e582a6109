"""How good a trained model is, near and far: accuracy by test, by domain, and who is taken for whom."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from farfield.tasks.task import Split, Task, column
from farfield.train import predict

MOST_CLASSES_IN_CONFUSION = 30


@dataclass(frozen=True)
class Score:
    """Accuracy in [0, 1] and mean cross-entropy in nats on one split; scores compare by accuracy, then by lower loss.

    >>> Score(0.9, 0.5) > Score(0.9, 0.6) > Score(0.8, 0.1)
    True
    """

    accuracy: float
    loss: float

    def __gt__(self, other: Score) -> bool:
        return (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


def score(model: nn.Module, split: Split) -> Score:
    """Return accuracy and mean cross-entropy of a model on a split.

    >>> from farfield.tasks import Table
    >>> score(nn.Linear(2, 2), Table(x=torch.zeros(4, 2), y=torch.tensor([0, 0, 1, 1]))).accuracy
    0.5
    """
    logits, y = predict(model, split), column(split, "y")
    return Score(accuracy(logits, y), float(nn.functional.cross_entropy(logits, y)))


def accuracy(logits: Tensor, y: Tensor) -> float:
    """Return the share of rows whose largest logit is the true class's.

    >>> accuracy(torch.eye(2), torch.tensor([0, 0]))
    0.5
    """
    return float((logits.argmax(1) == y).double().mean())


def confusion(logits: Tensor, y: Tensor, classes: int) -> list[list[int]]:
    """Return counts ``[true class][predicted class]``.

    >>> confusion(torch.eye(2), torch.tensor([0, 0]), 2)
    [[1, 1], [0, 0]]
    """
    counts = torch.bincount(y * classes + logits.argmax(1), minlength=classes * classes)
    return counts.view(classes, classes).tolist()


def evaluate(model: nn.Module, task: Task) -> dict:
    """Return what a trial reports of its final model: plain data.

    ``accuracy``: by test. ``domains``: on the iid test, by training domain. ``confusion``: by test, for tasks of up to 30
    classes.
    """
    result: dict = {"accuracy": {}, "domains": {}, "confusion": {}}
    for name, split in task.tests.items():
        logits, y = predict(model, split), column(split, "y")
        result["accuracy"][name] = accuracy(logits, y)
        if task.outputs.count <= MOST_CLASSES_IN_CONFUSION:
            result["confusion"][name] = confusion(logits, y, task.outputs.count)
        if name == "iid":
            domain = column(split, "domain")
            for d, label in enumerate(task.domains):
                if (domain == d).any():
                    result["domains"][label] = accuracy(logits[domain == d], y[domain == d])
    return result
