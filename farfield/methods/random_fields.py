"""Training on images that are warped and recoloured by Gaussian random fields."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from farfield.augment import RandomFieldAffine, RandomFieldColor
from farfield.errors import InputError
from farfield.methods.method import Choice, Fitted, Range, adamw, check_at_least, cross_entropy, method, minimise
from farfield.tasks.task import Image, Task
from farfield.train import Hook

# Standard deviations at strength 1: radians, logarithm, shear, share of half the width; turns, and logarithms of factors. The
# paper's ranges are not known; those of geometry and brightness come from a small trial on digits, where 1 was too much.
AFFINE = {"rotation": 0.5, "scale": 0.3, "shear": 0.3, "translation": 0.15}
GREY = {"brightness": 0.3}
COLOR = {"hue": 0.1, "saturation": 0.3, "brightness": 0.3}


@method(
    "random-fields",
    source="Mansfield et al., arXiv 2311.03629",
    space={"strength": Range(0.05, 1.0, log=True), "gamma": Choice((2.0, 4.0, 6.0)), "p": Choice((0.5, 1.0))},
    inputs=(Image,),
)
def random_fields(
    model: nn.Module,
    task: Task,
    *,
    steps: int,
    batch_size: int = 64,
    seed: int = 0,
    hooks: Iterable[Hook] = (),
    learning_rate: float | None = None,
    weight_decay: float = 1e-4,
    strength: float = 0.25,
    gamma: float = 4.0,
    p: float = 0.5,
) -> Fitted:
    """Minimise the loss of images warped and recoloured by smooth random fields.

    The paper's augmentations in supervised training: it has them in self-supervised learning. Images of other than one or three
    channels are warped only. Beyond `erm` it
    takes some 0.05 milliseconds of one core for an image of 28x28 pixels: little beside a convolutional network, and about as much again as
    a small perceptron.

    **Arguments:** as `erm`; ``strength``: of all fields, at least 0, see `random_field_transforms`; ``gamma``: their smoothness; ``p``: the
    probability that an image is changed.

    Raises InputError on tasks without images, an argument out of range, and images of one or three channels with values outside [0, 1].

    >>> from farfield import nn, tasks
    >>> task = tasks.load("digits/rotation")
    >>> fitted = random_fields(nn.load("linear", task), task, steps=20)
    >>> len(fitted.history.loss)
    20
    """
    if not isinstance(task.inputs, Image):
        raise InputError(f"random-fields warps images, and the task {task.name} has {task.inputs}")
    transforms = random_field_transforms(strength, gamma=gamma, p=p, channels=task.inputs.channels, seed=seed)

    def loss(model: nn.Module, batch: dict[str, Any]) -> Tensor:
        x = batch["x"]
        for transform in transforms:
            x = transform(x)
        return cross_entropy(model, {**batch, "x": x})

    optimizer = adamw(model, learning_rate, weight_decay)
    return minimise(model, task, loss, optimizer, steps=steps, batch_size=batch_size, seed=seed, hooks=hooks)


def random_field_transforms(
    strength: float, *, channels: int, seed: int, spatial: bool = True, color: bool = True, **settings: Any
) -> list[nn.Module]:
    """Return a `RandomFieldAffine` and a `RandomFieldColor` whose fields all have one strength.

    **Arguments:** ``strength``: at 1 standard deviations are 0.5 rad, 0.3 in the logarithm of scale, 0.3 in shear, 0.15 of half the
    width, 0.1 turns of hue, and 0.3 in the logarithms of saturation and brightness; ``channels``: with 1 of the colours only brightness is
    changed, with other than 1 and 3 none; ``spatial``, ``color``: which of the two; ``settings``: of both, such as ``gamma`` and ``p``.

    Raises InputError on a strength below 0.

    >>> random_field_transforms(0.5, channels=1, seed=0)[0].strengths["rotation"]
    0.25
    """
    check_at_least(0, strength=strength)
    made: list[nn.Module] = []
    if spatial:
        made.append(RandomFieldAffine(**{k: strength * v for k, v in AFFINE.items()}, seed=2 * seed, **settings))
    if color and channels in (1, 3):
        of = GREY if channels == 1 else COLOR
        made.append(RandomFieldColor(**{k: strength * v for k, v in of.items()}, seed=2 * seed + 1, **settings))
    return made
