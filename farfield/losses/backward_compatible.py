"""Training a new model whose vectors can be compared with those of the old one."""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, linear, normalize

from farfield.errors import InputError
from farfield.nn.basis_transform import BasisTransformed


class BackwardCompatibleLoss(nn.Module):
    """``CE(logits, y) + alpha CE(h V^T, y)``, in nats: the new features h must also be told apart by the old model's classes.

    **Arguments:**
    - ``pseudo_classifier``: V (classes, d_old), as `farfield.reuse.pseudo_classifier` makes it; kept as it is.
    - ``alpha``: weight of the second term, at least 0; 0 is plain cross-entropy.
    - ``label_smoothing``: of both terms, from 0 to 1 (the released code of BT^2 takes 0.1 for this baseline).

    Raises InputError on a value out of range, or features that are not as wide as V.

    Source: Shen et al., CVPR 2020; the form of Zhou et al., ICCV 2023, in their released code.

    >>> import torch
    >>> loss = BackwardCompatibleLoss(torch.eye(2), alpha=1.0)(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]))
    >>> round(float(loss), 4)  # 2 ln 2
    1.3863
    """

    def __init__(
        self, pseudo_classifier: Float[Tensor, "classes d_old"], alpha: float = 10.0, label_smoothing: float = 0.0
    ):
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise InputError(f"label_smoothing is {label_smoothing}; it must be from 0 to 1")
        if not alpha >= 0:
            raise InputError(f"alpha is {alpha}; it must be at least 0")
        self.alpha, self.label_smoothing = alpha, label_smoothing
        self.register_buffer("pseudo_classifier", _matrix(pseudo_classifier))

    def forward(
        self, logits: Float[Tensor, "n classes"], features: Float[Tensor, "n d_old"], y: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """Return the loss of a batch.

        **Arguments:** ``logits`` of the new model; ``features``: h, of length 1, the coordinates that meet the old
        gallery; ``y``.
        """
        _fit(features, self.pseudo_classifier, "features")
        old_logits = linear(features, self.pseudo_classifier)
        return cross_entropy(logits, y, label_smoothing=self.label_smoothing) + self.alpha * cross_entropy(
            old_logits, y, label_smoothing=self.label_smoothing
        )


class BT2Loss(nn.Module):
    """The loss of a `farfield.nn.BasisTransformHead`, in nats, and its parts.

    ``CE(logits, y) + l_influence CE(b V^T, y) + l_old (1 - cos(phi_old, compatible)) + l_new (1 - cos(phi_new, f))``,
    means over the batch, with b = ``compatible`` at length 1.

    **Arguments:**
    - ``pseudo_classifier``: V (classes, d_old), see `farfield.reuse.pseudo_classifier`; kept as it is. None: no classes
      are known, and only the two cosine terms are left (not in the paper).
    - ``l_new``, ``l_influence``, ``l_old``: weights, at least 0 (lambda 1, 2 and 3 of the released code).

    Raises InputError on a weight below 0, targets of another shape, or labels that are not there where V is.

    Source: Zhou et al., ICCV 2023, equations of section 3.4, as in the released code (transfer_trainer).

    >>> import torch
    >>> from farfield.nn import BasisTransformHead
    >>> output = BasisTransformHead(4, 2, 2, num_classes=3, extra_dims=1)(torch.ones(1, 4))
    >>> loss, parts = BT2Loss(torch.eye(3, 2))(output, torch.tensor([0]), output.compatible, output.feature)
    >>> sorted(parts), parts["old"].abs().item() < 1e-6, parts["new"].abs().item() < 1e-6
    (['classes', 'influence', 'new', 'old'], True, True)
    """

    def __init__(
        self,
        pseudo_classifier: Float[Tensor, "classes d_old"] | None,
        l_new: float = 1.0,
        l_influence: float = 10.0,
        l_old: float = 5.0,
    ):
        super().__init__()
        for name, value in {"l_new": l_new, "l_influence": l_influence, "l_old": l_old}.items():
            if not value >= 0:
                raise InputError(f"{name} is {value}; it must be at least 0")
        self.l_new, self.l_influence, self.l_old = l_new, l_influence, l_old
        self.register_buffer("pseudo_classifier", None if pseudo_classifier is None else _matrix(pseudo_classifier))

    def forward(
        self,
        output: BasisTransformed,
        y: Int[Tensor, " n"] | None,
        phi_old: Float[Tensor, "n d_old"],
        phi_new: Float[Tensor, "n d_new"],
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Return the loss of a batch, and its four parts without their weights: classes, influence, old, new.

        **Arguments:** ``output`` of the head; ``y``; ``phi_old``, ``phi_new``: targets, the old and the independent new
        model's embeddings of the same items, of any length.
        """
        for name, target, wanted in (
            ("phi_old", phi_old, output.compatible),
            ("phi_new", phi_new, output.feature),
        ):
            if target.shape != wanted.shape:
                raise InputError(f"{name} has shape {tuple(target.shape)}; expected {tuple(wanted.shape)}")
        parts = {
            "old": 1 - cosine_similarity(phi_old, output.compatible, dim=1).mean(),
            "new": 1 - cosine_similarity(phi_new, output.feature, dim=1).mean(),
        }
        loss = self.l_old * parts["old"] + self.l_new * parts["new"]
        if self.pseudo_classifier is None:
            return loss, parts
        if y is None or output.logits is None:
            missing = "no y came" if y is None else "the head has no classes"
            raise InputError(f"{missing}, but the loss has a pseudo-classifier; give it None to do without classes")
        _fit(output.compatible, self.pseudo_classifier, "output.compatible")
        unit = normalize(output.compatible, dim=1)
        parts["classes"] = cross_entropy(output.logits, y)
        parts["influence"] = cross_entropy(linear(unit, self.pseudo_classifier), y)
        return loss + parts["classes"] + self.l_influence * parts["influence"], parts


def _matrix(values: Tensor) -> Tensor:
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"pseudo_classifier has shape {tuple(values.shape)}; expected (classes, d_old)")
    return values.detach().clone()


def _fit(features: Tensor, classifier: Tensor, name: str) -> None:
    if features.ndim != 2 or features.shape[1] != classifier.shape[1]:
        raise InputError(
            f"{name} has shape {tuple(features.shape)}; the pseudo-classifier needs (n, {classifier.shape[1]})"
        )
