"""The loss of a representation in two parts, of which one tells the label and the other a nuisance."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.losses.reconstruction import EmbeddingReconstruction

Reconstruction = Callable[[Tensor, Tensor], Tensor]


class Parts(Protocol):
    """What the loss reads of a model's output, such as `farfield.nn.CausalDisentangler` returns."""

    mu: Tensor
    log_sigma: Tensor
    log_alpha: Tensor
    hate_logits: Tensor
    target_logits: Tensor
    code: Tensor


class DisentanglementLoss(nn.Module):
    """Cross-entropy of the label and of the nuisance, and the variational bound of both parts.

    ``hate_weight * CE(label) + alpha * (rec + beta_c |KL_c - C_c| + beta_t |KL_t - C_t|) + target_weight * CE(nuisance)``

    **Arguments:**
    - ``alpha``: weight of the bound; ``beta_c``, ``beta_t``: of its KL terms; ``hate_weight``, ``target_weight``. Each at least 0.
    - ``capacity_c``, ``capacity_t``: nats that each part may hold at no cost, at least 0; 0 is the plain variational
      autoencoder. An ``nn.Parameter`` is trained, as in the released code: it then follows the KL, and the term loses its pull.
    - ``class_weights`` (classes,), ``target_class_weights`` (k,): weights above 0, such as `balanced_weights` makes.
    - ``reconstruction``: "embedding" (mean squared error of ``code``), None for none, or a callable ``(code, reference) -> scalar``:
      `BagOfWordsReconstruction`, `TokenReconstruction` or your own. Its parameters are this module's, for the optimizer.
    - ``as_coded``: take the label's loss as the released code does: softmax twice, and the mean over n instead of the weights.

    The call takes the model's output, ``y`` (n,), ``target`` (n,) with -1 where the nuisance is not known, and what is to be
    reconstructed. ``parts`` returns the terms by name.

    Raises InputError on a number out of range or an unknown reconstruction.

    Source: Sheth et al., WSDM 2024 (CATCH). The released notebook leaves out the nuisance's loss and its KL term.

    >>> from farfield.nn import CausalDisentangler
    >>> z, y, target = torch.randn(4, 12), torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 2, -1])
    >>> out = CausalDisentangler(12, n_targets=3)(z)
    >>> sorted(DisentanglementLoss().parts(out, y, target, z))
    ['hate', 'kl_c', 'kl_t', 'reconstruction', 'target']
    """

    def __init__(
        self,
        alpha: float = 1.0,
        beta_c: float = 0.05,
        beta_t: float = 0.05,
        capacity_c: float | nn.Parameter = 0.0,
        capacity_t: float | nn.Parameter = 0.0,
        hate_weight: float = 1.0,
        target_weight: float = 1.0,
        class_weights: Sequence[float] | Tensor | None = None,
        target_class_weights: Sequence[float] | Tensor | None = None,
        *,
        reconstruction: Literal["embedding"] | Reconstruction | None = "embedding",
        as_coded: bool = False,
    ):
        super().__init__()
        numbers = {"alpha": alpha, "beta_c": beta_c, "beta_t": beta_t, "hate_weight": hate_weight}
        numbers |= {"target_weight": target_weight, "capacity_c": capacity_c, "capacity_t": capacity_t}
        for name, value in numbers.items():
            number = float(value.detach() if isinstance(value, Tensor) else value)
            if not number >= 0:
                raise InputError(f"{name} is {number}; it must be at least 0")
        if isinstance(reconstruction, str):
            if reconstruction != "embedding":
                raise InputError(f"reconstruction is {reconstruction!r}; expected 'embedding', None or a callable")
            reconstruction = EmbeddingReconstruction()
        self.alpha, self.beta_c, self.beta_t = alpha, beta_c, beta_t
        self.hate_weight, self.target_weight = hate_weight, target_weight
        self.capacity_c, self.capacity_t = capacity_c, capacity_t
        self.reconstruction, self.as_coded = reconstruction, as_coded
        self.register_buffer("class_weights", _weights(class_weights, "class_weights"))
        self.register_buffer("target_class_weights", _weights(target_class_weights, "target_class_weights"))

    def forward(
        self, out: Parts, y: Int[Tensor, " n"], target: Int[Tensor, " n"], reference: Tensor | None = None
    ) -> Float[Tensor, ""]:
        return torch.stack(list(self.parts(out, y, target, reference).values())).sum()

    def parts(self, out: Parts, y: Tensor, target: Tensor, reference: Tensor | None = None) -> dict[str, Tensor]:
        """Return the weighted terms, whose sum is the loss.

        Raises InputError where rows do not match, or there is nothing given to reconstruct.
        """
        if y.shape != (len(out.mu),) or target.shape != y.shape:
            raise InputError(
                f"y has shape {tuple(y.shape)} and target {tuple(target.shape)}; expected ({len(out.mu)},) of both"
            )
        found = {"hate": self.hate_weight * self._label_loss(out.hate_logits, y)}
        if self.reconstruction is not None:
            if reference is None:
                raise InputError("reference is None; give what is to be reconstructed, or reconstruction=None")
            found["reconstruction"] = self.alpha * self.reconstruction(out.code, reference)
        kl_c, kl_t = gaussian_kl(out.mu, out.log_sigma), categorical_kl_uniform(out.log_alpha)
        found["kl_c"] = self.alpha * self.beta_c * (kl_c - self.capacity_c).abs()
        found["kl_t"] = self.alpha * self.beta_t * (kl_t - self.capacity_t).abs()
        known = target >= 0
        weights = None if self.target_class_weights is None else self.target_class_weights.to(out.mu.dtype)
        nuisance = nn.functional.cross_entropy(out.target_logits, target, weights, ignore_index=-1, reduction="sum")
        # Summed and divided here, so that a batch without a known nuisance adds 0.
        total = known.sum() if weights is None else weights[target[known]].sum()
        found["target"] = self.target_weight * nuisance / total.clamp(min=1e-9)
        return found

    def _label_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits.dtype)
        if not self.as_coded:
            return nn.functional.cross_entropy(logits, y, weights)
        one_hot = nn.functional.one_hot(y, logits.shape[1]).to(logits.dtype)
        return nn.functional.cross_entropy(logits.softmax(1), one_hot, weights)


def gaussian_kl(mu: Float[Tensor, "n d"], log_sigma: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Return the divergence of Gaussians from the standard one, summed over columns, mean over rows, in nats.

    ``mean_i 1/2 sum_j (mu^2 + sigma^2 - 2 log sigma - 1)``.

    >>> gaussian_kl(torch.ones(1, 1), torch.zeros(1, 1))
    tensor(0.5000)
    """
    return 0.5 * (mu.square() + (2 * log_sigma).exp() - 2 * log_sigma - 1).sum(1).mean()


def categorical_kl_uniform(log_alpha: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """Return the divergence of categorical distributions from the uniform one, mean over rows, in nats: 0 to ln k.

    **Arguments:** ``log_alpha``: log probabilities; ``-inf`` for a probability of 0 counts as 0.

    >>> categorical_kl_uniform(torch.tensor([[1.0, 0.0]]).log())  # ln 2
    tensor(0.6931)
    """
    alpha = log_alpha.exp()
    # 0 log 0 = 0: the logarithm is kept finite where its weight is 0.
    each = alpha * log_alpha.where(alpha > 0, 0)
    return each.sum(1).mean() + torch.log(torch.tensor(float(log_alpha.shape[1]), dtype=log_alpha.dtype))


def balanced_weights(labels: Int[Tensor, " n"], classes: int) -> Float[Tensor, " classes"]:
    """Return ``n / (present classes * count)`` for each class, so that all weigh the same in total; 0 for an absent class.

    Raises InputError where there are no labels, or one is outside 0 to classes - 1; -1, not known, is left out.

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    known = labels[labels >= 0]
    if not len(known) or int(known.max()) >= classes:
        raise InputError(f"labels has {len(known)} known rows, at most {classes - 1} is expected of each")
    counts = torch.bincount(known, minlength=classes).float()
    return torch.where(counts > 0, len(known) / ((counts > 0).sum() * counts.clamp(min=1)), 0.0)


def _weights(values: Sequence[float] | Tensor | None, name: str) -> Tensor | None:
    if values is None:
        return None
    weights = torch.as_tensor(values, dtype=torch.float32)
    if weights.ndim != 1 or not bool((weights >= 0).all()) or float(weights.sum()) <= 0:
        raise InputError(f"{name} is {weights.tolist()}; expected a list of numbers, none below 0, not all 0")
    return weights
