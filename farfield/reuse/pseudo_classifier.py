"""A classifier made of an old model's vectors, also for classes that it never saw."""

import torch
from jaxtyping import Float, Int

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor


def pseudo_classifier(
    features: Float[Array, "n d"], y: Int[Array, " n"], num_classes: int
) -> Float[Array, "classes d"]:
    """Return the mean of the features of each class, as they are: not centred, not brought to length 1 afterwards.

    **Arguments:** ``features``: of the old model on the new training set, of length 1 in the paper; float32 stays so,
    anything else becomes float64; ``y``: classes from 0 to num_classes - 1, of each at least one row.

    Raises InputError on a label out of range, or a class without a row.

    Source: Zhou et al., ICCV 2023, section 3.1 and the released code; Shen et al., CVPR 2020 (synthesized classifier).

    >>> import numpy as np
    >>> pseudo_classifier(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), np.array([0, 0, 1]), 2).tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """
    x = tensor(features, "features", dtype=None)
    labels = tensor(y, "y", dims=1, dtype=torch.int64).to(x.device)
    same_rows(features=x, y=labels)
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(
            f"y holds labels from {labels.min()} to {labels.max()}; expected from 0 to num_classes - 1 = {num_classes - 1}"
        )
    counts = torch.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise InputError(f"class {int(counts.argmin())} has no row; each of {num_classes} classes needs at least one")
    sums = torch.zeros(num_classes, x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, labels, x)
    return like(sums / counts[:, None], features)
