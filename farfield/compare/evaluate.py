"""How good a trained model is, near and far: accuracy by test, by domain, and who is taken for whom."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from farfield.nn.evaluating import evaluating
from farfield.tasks.task import Split, Task, column
from farfield.train import predict, to_device

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


@torch.no_grad()
def next_token_loss(model: nn.Module, split: Split, *, batch_size: int = 8) -> float:
    """Return the mean cross-entropy in nats of a language model on every position of a split; its exponential is the perplexity.

    **Arguments:** ``model``: tokens (n, t) -> logits (n, t, vocabulary); ``split``: ``x`` and ``y`` (n, t), gone over in batches, so
    that the logits of one batch are in memory at a time.

    >>> from farfield.tasks import Table
    >>> rows = Table(x=torch.zeros(3, 2, dtype=torch.long), y=torch.zeros(3, 2, dtype=torch.long))
    >>> round(next_token_loss(nn.Embedding.from_pretrained(torch.zeros(1, 4)), rows), 4)
    1.3863
    """
    device = next(itertools.chain(model.parameters(), model.buffers())).device
    total = torch.zeros((), dtype=torch.float64, device=device)
    positions = 0
    with evaluating(model):
        for i in range(0, len(split), batch_size):
            batch = to_device(split[slice(i, i + batch_size)], device)
            logits, y = model(batch["x"]), batch["y"]
            total += nn.functional.cross_entropy(logits.flatten(0, 1).float(), y.flatten().long(), reduction="sum")
            positions += y.numel()
    return float(total) / positions


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
