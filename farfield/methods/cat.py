"""Networks trained apart, side by side under one head."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.methods._members import another, check_head, joined_batches
from farfield.methods.method import (
    Choice,
    Fitted,
    adamw,
    adamw_settings,
    check_at_least,
    default_learning_rate,
    label_loss,
    method,
    training_batches,
)
from farfield.nn.classifier import Classifier
from farfield.nn.evaluating import evaluating
from farfield.reuse import Cat
from farfield.tasks.task import Task
from farfield.train import Hook, train


def assemble(model: Classifier, *, members: int = 3, **_: object) -> Classifier:
    """Return the kind of model that `cat` returns, untrained, from one of its networks: so that saved weights find their place.

    >>> assemble(Classifier(nn.Flatten(), nn.Linear(4, 2)), members=3).head
    Linear(in_features=12, out_features=2, bias=True)
    """
    return _side_by_side([model, *(another(model, seed=i) for i in range(1, members))])


@method("cat", source="Zhang & Bottou, ICML 2023", space={"members": Choice((2, 3, 4))}, assemble=assemble)
def cat(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    members: int = 3,
    head_share: float = 0.1,
) -> Fitted:
    """Train several networks that differ by the seed, then one head on their frozen features side by side.

    Each network is trained by `erm` on batches of its own; of the steps, all but the last ``head_share`` go to them. Then they are
    frozen and a head, which starts from the mean of their logits, is trained at a tenth of the rate ("[2ft]cat": the paper's
    takes 2 of some 100 epochs). The networks cost ``members`` times `erm`; so does prediction.

    A model trained from scratch is drawn anew for each network. One with ``pretrained`` weights is copied, and the networks
    differ by their head, their batches and dropout. The first is the given one and ends as `erm` would after as many steps
    (dropout draws apart).

    **Arguments:** as `erm`, except that hooks get the networks side by side; ``members``: networks, at least 1;
    ``head_share``: of the steps, from 0 (the mean of the networks' logits) to below 1.

    Raises InputError on a setting out of range, or a model that is no `farfield.nn.Classifier` with a linear head.

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = cat(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss), fitted.model.head.in_features
    (20, 192)
    """
    check_at_least(1, members=members, steps=steps)
    if not 0 <= head_share < 1:
        raise InputError(f"head_share is {head_share}; it must be at least 0 and below 1")
    check_head(model, "cat")
    networks = [model, *(another(model, seed=seed * 1_000 + i) for i in range(1, members))]
    side_by_side = _side_by_side(networks)
    head_steps = min(round(head_share * steps), steps - 1)
    apart = steps - head_steps
    hooks = tuple(hooks)

    def loss(group: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        # No parameter is in two networks, so the sum's gradient in each is that of its own loss.
        found = [
            label_loss(network(x), y)
            for network, x, y in zip(group, batch["x"].chunk(members), batch["y"].chunk(members))
        ]
        return torch.stack(found).sum()

    def watch(step: int, _group: nn.Module, value: float) -> None:
        _take_heads(side_by_side, networks)
        for hook in hooks:
            hook(step, side_by_side, value / members)

    group = nn.ModuleList(networks)
    history = train(
        group,
        task.train,
        loss,
        torch.optim.AdamW(
            [p for p in group.parameters() if p.requires_grad], **adamw_settings(model, learning_rate, weight_decay)
        ),
        steps=apart,
        batches=joined_batches(task, batch_size, members, seed=seed),
        seed=seed,
        hooks=[watch] if hooks else [],
    )
    history.loss[:] = [value / members for value in history.loss]
    _take_heads(side_by_side, networks)
    if head_steps:
        head = train(
            _Head(side_by_side),
            task.train,
            lambda m, batch: label_loss(m(batch["x"]), batch["y"]),
            adamw(side_by_side.head, default_learning_rate(model, learning_rate) / 10, weight_decay),
            steps=head_steps,
            batches=training_batches(task, batch_size, seed=seed + 1),
            seed=seed,
            hooks=[lambda step, _m, value, hook=hook: hook(apart + step, side_by_side, value) for hook in hooks],
        )
        history.loss += head.loss
        history.seconds += head.seconds
    return Fitted(side_by_side, history)


class _Head(nn.Module):
    """The head of a classifier, trained on features that stay as they are, in evaluation mode."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.head = model.head
        # Not registered: training mode and gradients are for the head alone.
        self._encoder = [model.encoder]

    def forward(self, x: Tensor) -> Tensor:
        encoder = self._encoder[0]
        with torch.no_grad(), evaluating(encoder):
            features = encoder(x)
        return self.head(features)


def _side_by_side(networks: Sequence[Classifier]) -> Classifier:
    cat = Cat([network.encoder for network in networks], freeze=False)
    head = cat.head_from([network.head for network in networks])
    return Classifier(cat, head, learning_rate=networks[0].learning_rate, pretrained=networks[0].pretrained)


def _take_heads(side_by_side: Classifier, networks: Sequence[Classifier]) -> None:
    """Set the common head to the mean of the networks' logits."""
    head = side_by_side.encoder.head_from([network.head for network in networks])
    side_by_side.head.load_state_dict(head.state_dict())
