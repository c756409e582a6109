"""Two labelled image sets on top of each other: each half alone tells the class."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from farfield.errors import InputError
from farfield.tasks.task import Table

Labelled = str | tuple[Tensor, Tensor]


class Dominoes:
    """Images with one picture above another: the i-th class of the upper set always meets the i-th class of the lower one.

    Pictures of a class are paired at random, each at most once, so that rows can be split into training and test; of each class
    there are as many pairs as the smaller of the two sets has pictures. Grey pictures over coloured ones are repeated to their
    channels, and the smaller halves get a black border, so that both are of one size.
    ``Dominoes("mnist-full", "cifar10", (0, 1), (1, 9))`` is the paper's MNIST-CIFAR, (3, 64, 32).

    **Arguments:**
    - ``top``, ``bottom``: names of image sources ("mnist", "mnist-full", "cifar10", "omniglot", "digits"), or pairs of images (m, channels, height,
      width), uint8 or in [0, 1], and labels (m,).
    - ``classes_top``, ``classes_bottom``: labels of each set, at least two and as many above as below: the i-th of both are class i.
    - ``size``: side to which every picture is reduced by area first; as it is where not given.
    - ``official``: of sources with a published test split, take "train" or "test" only; all pictures where not given.
    - ``seed``: of the pairs and their order.

    **Fields:** ``x`` (n, channels, 2 height, width) float32 in [0, 1], ``y`` (n,) int64.

    Raises InputError on classes that do not match or have no picture, images of another shape or range, numbers of channels that
    differ (both above 1), and where a source cannot be had or has no published split.

    Source: Shah et al., NeurIPS 2020, section 3 (MNIST-CIFAR).

    >>> black, white = (torch.full((6, 1, 2, 2), v) for v in (0.0, 1.0))
    >>> labels = torch.tensor([0, 0, 0, 1, 1, 1])
    >>> data = Dominoes((black, labels), (white, labels), (0, 1), (1, 0))
    >>> data.x.shape, data.y.bincount().tolist(), data.x[0, 0, :, 0].tolist()
    (torch.Size([6, 1, 4, 2]), [3, 3], [0.0, 0.0, 1.0, 1.0])
    """

    def __init__(
        self,
        top: Labelled,
        bottom: Labelled,
        classes_top: tuple[int, ...],
        classes_bottom: tuple[int, ...],
        *,
        size: int | None = None,
        official: str | None = None,
        seed: int = 0,
    ):
        if len(classes_top) != len(classes_bottom) or len(classes_top) < 2:
            raise InputError(
                f"classes_top are {tuple(classes_top)} and classes_bottom {tuple(classes_bottom)}; expected as many of "
                "each, at least two"
            )
        generator = torch.Generator().manual_seed(seed)
        pictures, rows = [], []
        for name, given, classes in (("top", top, classes_top), ("bottom", bottom, classes_bottom)):
            images, labels = _read(name, given, official)
            drawn = []
            for c in classes:
                of_class = (labels == c).nonzero()[:, 0]
                if not len(of_class):
                    raise InputError(f"{name} has no picture of class {c}; it has {labels.unique().tolist()}")
                drawn.append(of_class[torch.randperm(len(of_class), generator=generator)])
            pictures.append(images)
            rows.append(drawn)
        counts = [min(len(a), len(b)) for a, b in zip(*rows)]
        halves = []
        for images, drawn in zip(pictures, rows):
            chosen = images[torch.cat([r[:m] for r, m in zip(drawn, counts)])]
            halves.append(_reduced(chosen, size))
        y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        order = torch.randperm(len(y), generator=generator)
        self.x, self.y = torch.cat(_same_size(*halves), 2)[order], y[order]

    def __len__(self) -> int:
        return len(self.y)

    def groups(self) -> dict[str, Int[Tensor, "half"]]:
        """Return "top" and "bottom" -> places of that half in the flattened image, for `farfield.measure.feature_reliance`."""
        _, channels, height, width = self.x.shape
        places = torch.arange(channels * height * width).reshape(channels, height, width)
        return {
            "top": places[:, : height // 2].flatten(),
            "bottom": places[:, height // 2 :].flatten(),
        }

    def table(self) -> Table:
        """Return x and y as a split to train on."""
        return Table(x=self.x, y=self.y)


def _read(name: str, given: Labelled, official: str | None) -> tuple[Tensor, Tensor]:
    if official not in (None, "train", "test"):
        raise InputError(f"official is {official!r}; it must be 'train' or 'test', or not given")
    if isinstance(given, str):
        from farfield.tasks.sources import load_source

        source = load_source(given)
        images, labels = source.images, torch.as_tensor(source.labels)
        if official:
            if not source.official_test.any():
                raise InputError(f"{name} is {given}, which has no published test split; leave official out")
            kept = torch.as_tensor(source.official_test == (official == "test"))
            images, labels = images[kept], labels[kept]
        return images, labels
    images, labels = given
    if images.ndim != 4 or labels.shape != images.shape[:1]:
        raise InputError(
            f"{name} has images of shape {tuple(images.shape)} and labels {tuple(labels.shape)}; expected "
            "(m, channels, height, width) and (m,)"
        )
    if images.dtype != torch.uint8 and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(f"{name} has values from {images.min():g} to {images.max():g}; expected uint8, or [0, 1]")
    return images, labels


def _reduced(images: Tensor, size: int | None) -> Float[Tensor, "n channels height width"]:
    from farfield.tasks.sources import area_average

    x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if size is None:
        return x
    if not 1 <= size <= min(x.shape[2:]):
        raise InputError(
            f"size is {size}; pictures of {x.shape[2]}x{x.shape[3]} can be reduced to 1 to {min(x.shape[2:])}"
        )
    return area_average(x, size, size).clamp_(0, 1)


def _same_size(top: Tensor, bottom: Tensor) -> list[Tensor]:
    channels = max(top.shape[1], bottom.shape[1])
    height, width = (max(a, b) for a, b in zip(top.shape[2:], bottom.shape[2:]))
    result = []
    for half in (top, bottom):
        if half.shape[1] not in (1, channels):
            raise InputError(f"top has {top.shape[1]} channels and bottom {bottom.shape[1]}; expected the same, or 1")
        above, left = (height - half.shape[2]) // 2, (width - half.shape[3]) // 2
        border = (left, width - half.shape[3] - left, above, height - half.shape[2] - above)
        result.append(pad(half.expand(-1, channels, -1, -1), border))
    return result
