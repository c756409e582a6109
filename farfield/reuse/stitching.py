"""Encoders and heads that were trained apart, put together without training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError, unknown_name
from farfield.nn.relative import RelativeEncoder, RelativeProjection
from farfield.reuse.head import train_head

if TYPE_CHECKING:
    import pandas as pd

Head = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]
Labels = Int[Tensor | np.ndarray, " n"]
COLUMNS = ("absolute", "relative", "procrustes", "shuffled")
SHUFFLE = 0x5F


class Stitched(nn.Module):
    """The encoder of one model before the decoder of another; made by `stitch`.

    >>> Stitched(nn.Linear(4, 3), nn.Linear(3, 2))(torch.zeros(1, 4)).shape
    torch.Size([1, 2])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, norm: RelativeEncoder | None = None):
        super().__init__()
        self.encoder, self.decoder, self.norm = encoder, decoder, norm

    def forward(self, x: Tensor) -> Tensor:
        if self.norm is None:
            return self.decoder(self.encoder(x))
        return self.decoder(self.norm.normalize(self.encoder.similarities(x)))


def stitch(encoder: nn.Module, decoder: nn.Module) -> nn.Module:
    """Return a module that encodes with one model and decodes with another, without any training.

    The parts are shared with the models, not copied, and keep their training flags: ``eval()`` the result before it is judged.

    **Arguments:**
    - ``encoder``: a module inputs -> latents, or a model with a part ``encoder``, such as `farfield.nn.Classifier`.
    - ``decoder``: a module latents -> outputs, or a model with a part ``head`` or ``decoder``. Of a model whose encoder is a
      `RelativeEncoder` too, the layer norm is used as well, since it was trained with that head (as in the official code); a
      bare decoder reads what the encoder's own norm gives.

    A RelativeEncoder uses its own encodings of its own anchors. For the result to mean anything, both sides must have the same
    anchors in the same order; that is checked where both are known.

    Raises InputError where the anchors differ, or the encoder's width is not the one that the decoder reads.

    Source: Moschella et al., ICLR 2023, section 5 (zero-shot stitching).

    >>> models = [nn.Sequential(RelativeEncoder(nn.Linear(4, d), torch.eye(4)), nn.Linear(4, 2)) for d in (3, 5)]
    >>> stitch(models[0][0], models[1][1])(torch.zeros(1, 4)).shape
    torch.Size([1, 2])
    """
    first = getattr(encoder, "encoder", encoder) if not isinstance(encoder, RelativeEncoder) else encoder
    second = getattr(decoder, "head", getattr(decoder, "decoder", decoder))
    own = getattr(decoder, "encoder", None) if second is not decoder else None
    norm = own if isinstance(own, RelativeEncoder) and isinstance(first, RelativeEncoder) else None
    if second is not decoder and isinstance(first, RelativeEncoder) != isinstance(own, RelativeEncoder):
        raise InputError(
            "one of encoder and decoder is relative to anchors and the other is not; they cannot be stitched"
        )
    if norm is not None and not torch.equal(first.anchor_inputs, norm.anchor_inputs):
        raise InputError("encoder and decoder have different anchors, or another order of them; expected the same list")
    reads = _width_read(second)
    if isinstance(first, RelativeEncoder) and reads not in (None, first.width):
        raise InputError(f"the encoder gives {first.width} features but the decoder reads {reads}")
    return Stitched(first, second, norm)


def orthogonal_map(source: Float[Tensor, "k d"], target: Float[Tensor, "k d"]) -> Float[Tensor, "d d"]:
    """Return the rotation or reflection Q with the smallest ``|source Q - target|``: what stitching with fitting would use.

    The upper reference for relative representations: it sees both spaces at the same rows, and gives ``latents @ Q``.

    **Arguments:** latents of the same k rows (anchors) in two spaces of one width.

    Raises InputError where shapes differ or a value is not finite.

    Source: orthogonal Procrustes, by ``scipy.linalg.orthogonal_procrustes``.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    >>> orthogonal_map(x, x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]])).round().abs()
    tensor([[0., 1.], [1., 0.]])
    """
    from scipy.linalg import orthogonal_procrustes

    if source.ndim != 2 or source.shape != target.shape:
        raise InputError(
            f"source has shape {tuple(source.shape)} and target {tuple(target.shape)}; expected one (k, d)"
        )
    if not (torch.isfinite(source).all() and torch.isfinite(target).all()):
        raise InputError("source or target holds a value that is not finite")
    rotation, _ = orthogonal_procrustes(*(v.detach().cpu().double().numpy() for v in (source, target)))
    return torch.from_numpy(rotation).to(source)


def stitching_matrix(
    latents: Mapping[str, tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]]],
    y_train: Labels | Mapping[str, Labels],
    y_test: Labels | Mapping[str, Labels],
    anchors: Int[Tensor, " k"] | Mapping[str, Tensor],
    head: Head = train_head,
    *,
    metric: Literal["accuracy", "weighted_f1"] = "accuracy",
    projection: RelativeProjection | None = None,
    columns: Sequence[str] = COLUMNS[:2],
    seed: int = 0,
) -> pd.DataFrame:
    """Return how well each head reads the latents of each encoder, without training for the pair.

    Heads are trained on the training latents of each encoder, once as they are and once relative to the anchors, as the columns
    need; then every head reads the test latents of every encoder.

    **Arguments:**
    - ``latents``: encoder name -> (train (n, d), test (m, d)). Widths may differ between encoders.
    - ``y_train``, ``y_test``: labels from 0, the same for all encoders, or by encoder name where they read different corpora.
    - ``anchors``: row numbers (k,) into the training latents, one list for all encoders; or by encoder name either row numbers
      or the latents (k, d) of anchors that are in no training set. Entry i must mean the same for every encoder: the same
      example, or a pair of corresponding ones (a text and its translation).
    - ``head``: ``head(features, labels)`` returns a function features -> class scores, see `train_head`.
    - ``metric``: "accuracy", or "weighted_f1", the paper's.
    - ``projection``: cosines by default.
    - ``columns``: what is measured. "absolute" and "relative"; "procrustes": absolute latents after the rotation that brings the
      encoder's anchors nearest to the head's anchors, an upper reference that does fit; "shuffled": relative, with the
      encoder's anchors in a random order (by ``seed``), which must come down to chance for every pair, also that of a head with
      its own encoder.

    **Returns:** columns encoder, head and those asked for (from 0 to 1). absolute and procrustes are missing (NaN) where widths
    differ, as such a pair is undefined: compare columns on the pairs that have both.

    Raises InputError where the rows of latents and labels do not match, there are no encoders, or anchors are out of range, fewer
    than 2, or of different number.

    Source: Moschella et al., ICLR 2023, section 5 (text and image classification).

    >>> from functools import partial
    >>> x, y = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 2
    >>> x[:, 0] += 8 * (2 * y - 1)
    >>> head = partial(train_head, learning_rate=0.1)
    >>> matrix = stitching_matrix({"a": (x, x), "b": (-x, -x)}, y, y, torch.arange(20), head)
    >>> [(row.encoder, row.head, round(row.absolute), round(row.relative)) for row in matrix.itertuples()]
    [('a', 'a', 1, 1), ('a', 'b', 0, 1), ('b', 'a', 0, 1), ('b', 'b', 1, 1)]
    """
    import pandas as pd

    for column in columns:
        if column not in COLUMNS:
            raise unknown_name("column", column, COLUMNS)
    if metric not in ("accuracy", "weighted_f1"):
        raise unknown_name("metric", metric, ("accuracy", "weighted_f1"))
    labels = {name: (_of(y_train, name), _of(y_test, name)) for name in latents}
    _check(latents, labels)
    ids = {name: anchors[name] if isinstance(anchors, Mapping) else anchors for name in latents}
    at = {name: _anchor_latents(name, train, ids[name]) for name, (train, _) in latents.items()}
    if len({len(a) for a in at.values()}) > 1:
        raise InputError(
            f"anchors must be as many for each encoder; these came: { {n: len(a) for n, a in at.items()} }"
        )
    project = RelativeProjection() if projection is None else projection
    classes = 1 + max(int(y.max()) for pair in labels.values() for y in pair)
    order = torch.randperm(len(next(iter(at.values()))), generator=torch.Generator().manual_seed(seed + SHUFFLE))
    with torch.no_grad():
        relative = {n: [project(part, at[n]) for part in latents[n]] for n in latents}
        shuffled = {n: project(latents[n][1], at[n][order.to(at[n].device)]) for n in latents}
    rows = []
    for j, (train, _) in latents.items():
        # Only the heads that the columns need.
        fixed = head(train, labels[j][0]) if {"absolute", "procrustes"} & set(columns) else None
        moving = head(relative[j][0], labels[j][0]) if {"relative", "shuffled"} & set(columns) else None
        for i, (_, test) in latents.items():
            row: dict[str, Any] = {"encoder": i, "head": j}
            for column in columns:
                if column in ("relative", "shuffled"):
                    read, features = moving, relative[i][1] if column == "relative" else shuffled[i]
                elif test.shape[1] != train.shape[1]:
                    row[column] = np.nan
                    continue
                else:
                    read, features = fixed, test @ orthogonal_map(at[i], at[j]) if column == "procrustes" else test
                with torch.no_grad():
                    row[column] = _score(read(features).argmax(1), labels[i][1], classes, metric)
            rows.append(row)
    # By encoder, then head.
    names = list(latents)
    rows.sort(key=lambda r: (names.index(r["encoder"]), names.index(r["head"])))
    return pd.DataFrame(rows)


def _width_read(decoder: nn.Module) -> int | None:
    """Return the width that a decoder's first layer reads, or None where that layer does not tell."""
    leaf = next((m for m in decoder.modules() if not list(m.children())), decoder)
    if isinstance(leaf, nn.Linear):
        return leaf.in_features
    return leaf.normalized_shape[-1] if isinstance(leaf, nn.LayerNorm) else None


def _of(labels: Labels | Mapping[str, Labels], name: str) -> Tensor:
    return torch.as_tensor(labels[name] if isinstance(labels, Mapping) else labels)


def _check(latents: Mapping[str, tuple[Tensor, Tensor]], labels: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    if not latents:
        raise InputError("latents is empty; expected at least one encoder")
    for name, parts in latents.items():
        for x, y, which in zip(parts, labels[name], ("train", "test")):
            if x.ndim != 2 or len(x) != len(y):
                raise InputError(
                    f"the {which} latents of {name} have shape {tuple(x.shape)}; expected ({len(y)}, d), a row per label"
                )
            if not torch.isfinite(x).all():
                raise InputError(f"the {which} latents of {name} hold a value that is not finite")
        if parts[0].shape[1] != parts[1].shape[1]:
            raise InputError(
                f"the train and test latents of {name} have widths {parts[0].shape[1]}, {parts[1].shape[1]}"
            )


def _anchor_latents(name: str, train: Tensor, anchors: Tensor) -> Tensor:
    anchors = torch.as_tensor(anchors).to(train.device)
    if len(anchors) < 2:
        raise InputError(f"{len(anchors)} anchors came for {name}; expected at least 2")
    if anchors.ndim == 2 and anchors.is_floating_point():
        if anchors.shape[1] != train.shape[1]:
            raise InputError(f"the anchors of {name} have {anchors.shape[1]} columns, its latents {train.shape[1]}")
        return anchors.to(train)
    if anchors.ndim != 1 or anchors.is_floating_point():
        raise InputError(
            f"the anchors of {name} are {anchors.dtype} of shape {tuple(anchors.shape)}; expected row numbers"
        )
    if int(anchors.min()) < 0 or int(anchors.max()) >= len(train):
        raise InputError(
            f"the anchors of {name} go up to row {int(anchors.max())}; there are {len(train)} training rows"
        )
    return train[anchors.long()]


def _score(predicted: Tensor, y: Tensor, classes: int, metric: str) -> float:
    if metric == "accuracy":
        return float((predicted == y.to(predicted.device)).double().mean())
    from sklearn.metrics import f1_score

    return float(f1_score(y.cpu(), predicted.cpu(), average="weighted", labels=range(classes), zero_division=0))
