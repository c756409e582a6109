"""What prefixes of a representation are worth: accuracy by size, and how many dimensions a cascade needs."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from farfield.errors import InputError
from farfield.measure._arrays import Array, like, same_rows, tensor
from farfield.nn.matryoshka import check_sizes

BLOCK = 16_000_000  # similarities held at once


def nested_accuracy(logits: Sequence[Float[Array, "n classes"]], y: Int[Array, " n"]) -> tuple[float, ...]:
    """Return the accuracy of each size: the share of rows whose largest logit is that of their class.

    **Arguments:** ``logits``: of each size, as `farfield.nn.MatryoshkaLinear` gives them, or one array (G, n, classes).

    Raises InputError where rows do not match or a label has no logit.

    Source: Kusupati et al., NeurIPS 2022, section 4.1.

    >>> import numpy as np
    >>> nested_accuracy([np.array([[2.0, 1.0], [2.0, 1.0]]), np.array([[2.0, 1.0], [0.0, 1.0]])], np.array([0, 1]))
    (0.5, 1.0)
    """
    if not len(logits):
        raise InputError("logits is empty; expected the logits (n, classes) of at least one size")
    labels, found = tensor(y, "y", dims=1, dtype=torch.int64), []
    for i, each in enumerate(logits):
        values = tensor(each, f"logits[{i}]", dtype=None)
        same_rows(logits=values, y=labels)
        if labels.min() < 0 or labels.max() >= values.shape[1]:
            raise InputError(
                f"y holds labels from {labels.min()} to {labels.max()}; logits has {values.shape[1]} classes"
            )
        found.append(float((values.argmax(1) == labels.to(values.device)).double().mean()))
    return tuple(found)


def nested_knn(
    train: Float[Array, "n d"],
    y_train: Int[Array, " n"],
    test: Float[Array, "m d"],
    y_test: Int[Array, " m"],
    dims: Sequence[int],
) -> tuple[float, ...]:
    """Return the 1-NN accuracy of test rows among training rows, for each number of dimensions.

    The nearest by Euclidean distance between prefixes of length 1, brought to it after the cut (a prefix of zeros stays
    zeros); of several equally near the first. Exact: all n x m distances, in blocks.

    **Arguments:** ``dims``: in any order, each from 1 to d; ``train`` and ``test``: float32 is compared in float32.

    Raises InputError where shapes do not match or a size is out of range.

    Source: Kusupati et al., NeurIPS 2022, section 4.1 (1-NN accuracy).

    >>> import numpy as np
    >>> rows, labels = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([0, 1])
    >>> nested_knn(rows, labels, rows, labels, dims=[1, 2])
    (0.5, 1.0)
    """
    database, queries = tensor(train, "train", dtype=None), tensor(test, "test", dtype=None)
    known, wanted = (
        tensor(values, name, dims=1, dtype=torch.int64).to(database.device)
        for values, name in ((y_train, "y_train"), (y_test, "y_test"))
    )
    same_rows(train=database, y_train=known)
    same_rows(test=queries, y_test=wanted)
    if database.shape[1] != queries.shape[1]:
        raise InputError(f"train has {database.shape[1]} dimensions but test {queries.shape[1]}; they must be equal")
    queries = queries.to(database)
    return tuple(
        float((known[_nearest(database[:, :m], queries[:, :m])] == wanted).double().mean())
        for m in check_sizes(dims, "dims", most=database.shape[1])
    )


def oracle_accuracy(preds: Int[Array, "sizes n"], y: Int[Array, " n"]) -> float:
    """Return the share of rows that at least one size classifies right: what a perfect choice of sizes would reach.

    It is at least the accuracy of the best size.

    **Arguments:** ``preds``: class indices predicted by each size.

    Raises InputError where the numbers of rows differ.

    Source: Kusupati et al., NeurIPS 2022, section 5 and its appendix (oracle upper bound).

    >>> import numpy as np
    >>> oracle_accuracy(np.array([[0, 1, 1], [1, 1, 0]]), np.array([0, 1, 2]))
    0.6666666666666666
    """
    found, labels = tensor(preds, "preds", dtype=torch.int64), tensor(y, "y", dims=1, dtype=torch.int64)
    same_rows(preds=found.T, y=labels)
    return float((found == labels.to(found.device)).any(0).double().mean())


def expected_dimension(levels: Int[Array, " n"], nesting: Sequence[int]) -> float:
    """Return the mean number of dimensions that a cascade used.

    **Arguments:** ``levels``: which size answered for each row, 0 for the first, as
    `farfield.reuse.CascadeClassifier.predict` gives them; ``nesting``: the sizes.

    Raises InputError on a level that has no size.

    Source: Kusupati et al., NeurIPS 2022, section 4.2.1.

    >>> import numpy as np
    >>> expected_dimension(np.array([0, 0, 1, 2]), [8, 16, 32])
    16.0
    """
    sizes = torch.tensor(check_sizes(nesting, "nesting"), dtype=torch.float64)
    found = tensor(levels, "levels", dims=1, dtype=torch.int64).cpu()
    if found.min() < 0 or found.max() >= len(sizes):
        raise InputError(f"levels go from {found.min()} to {found.max()}; nesting has {len(sizes)} sizes")
    return float(sizes[found].mean())


def margin_score(logits: Float[Array, "... n classes"]) -> Float[Array, "... n"]:
    """Return ``1 - (p_(1) - p_(2))`` of each row, from its two largest probabilities: 0 where sure, 1 where torn.

    **Arguments:** ``logits``: at least two classes.

    Raises InputError on a single class.

    Source: Kusupati et al., NeurIPS 2022, the margin score of the released code.

    >>> import numpy as np
    >>> margin_score(np.log([[0.5, 0.5, 1e-9], [0.9, 0.1, 1e-9]])).round(2)
    array([1. , 0.2])
    """
    values = tensor(logits, "logits", dims=None, dtype=None)
    if values.ndim < 2 or values.shape[-1] < 2:
        raise InputError(f"logits has shape {tuple(values.shape)}; expected (..., classes) with at least two classes")
    first, second = values.softmax(-1).topk(2, dim=-1).values.unbind(-1)
    return like(1 - (first - second), logits)


def _nearest(database: Tensor, queries: Tensor) -> Tensor:
    """Return the row (m,) of the nearest unit prefix for each query."""
    units = F.normalize(database, dim=1)
    # |q - c|^2 = |q|^2 + |c|^2 - 2 q c; |c| is 1, or 0 where a prefix is zeros.
    half = units.square().sum(1).div(2).round(decimals=1)
    blocks = F.normalize(queries, dim=1).split(max(1, BLOCK // len(units)))
    return torch.cat([(block @ units.T - half).argmax(1) for block in blocks])
