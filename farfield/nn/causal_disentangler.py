"""A representation in two parts: one for the label, one for a nuisance that changes from place to place."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError
from farfield.nn.gumbel_softmax import GumbelSoftmax


@dataclass(frozen=True)
class Disentangled:
    """What `CausalDisentangler` makes of n rows.

    **Fields:** ``mu``, ``log_sigma`` (n, d): mean and log standard deviation of the label's part; ``x_c`` (n, d): a draw of it, or
    its mean in evaluation mode; ``log_alpha`` (n, k): log probabilities of the nuisance; ``x_t`` (n, k): a soft draw of it;
    ``hate_logits`` (n, classes); ``target_logits`` (n, k): ``log_alpha``, whose softmax it is; ``code`` (n, in_dim): what the
    input is to be reconstructed from.

    >>> out = CausalDisentangler(12, n_targets=3).eval()(torch.randn(4, 12))
    >>> torch.equal(out.x_c, out.mu), torch.equal(out.x_t, out.log_alpha.softmax(1))
    (True, True)
    """

    mu: Tensor
    log_sigma: Tensor
    x_c: Tensor
    log_alpha: Tensor
    x_t: Tensor
    hate_logits: Tensor
    target_logits: Tensor
    code: Tensor


class CausalDisentangler(nn.Module):
    """Split embeddings into a Gaussian part that tells the label and a categorical part that tells the nuisance.

    In the paper the label is hate, the nuisance the group that a post is about; the label is predicted from the Gaussian part
    ``x_c`` alone, which should hold on platforms where other groups are talked about. Train it with
    `farfield.losses.DisentanglementLoss`. Nothing in that loss removes the nuisance from ``x_c`` but the pull of its KL term:
    measure what is left with `farfield.measure.nuisance_probe`.

    **Arguments:**
    - ``in_dim``: width of the embeddings; ``x_c`` has d = ``in_dim - n_targets`` columns.
    - ``n_targets``: values of the nuisance, at least 2; ``n_classes``: of the label, at least 2.
    - ``learn_temperature``, ``tau``: of the categorical draw, see `GumbelSoftmax`.
    - ``dropout``: before each of the head's two layers, from 0 to below 1.
    - ``norm``: of the embeddings: "batch" (as in the paper), "layer" or "none".

    Raises InputError where a number is out of range, or no column is left for ``x_c``.

    Source: Sheth et al., WSDM 2024 (CATCH) and its released code. Differs from the code in: predictions from the mean, not a
    draw; logits, not probabilities, go to the loss.

    >>> split = CausalDisentangler(12, n_targets=3)
    >>> out = split(torch.randn(4, 12))
    >>> out.x_c.shape, out.x_t.shape, out.hate_logits.shape, out.code.shape
    (torch.Size([4, 9]), torch.Size([4, 3]), torch.Size([4, 2]), torch.Size([4, 12]))
    """

    def __init__(
        self,
        in_dim: int,
        n_targets: int,
        n_classes: int = 2,
        *,
        learn_temperature: bool = True,
        tau: float = 1.0,
        dropout: float = 0.2,
        norm: Literal["batch", "layer", "none"] = "batch",
    ):
        super().__init__()
        if n_targets < 2 or n_classes < 2 or in_dim <= n_targets:
            raise InputError(
                f"in_dim is {in_dim}, n_targets {n_targets}, n_classes {n_classes}; expected two targets and classes at least, "
                "and more columns than targets"
            )
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is {dropout}; it must be from 0 to below 1")
        norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": lambda width: nn.Identity()}
        if norm not in norms:
            raise InputError(f"norm is {norm!r}; it must be 'batch', 'layer' or 'none'")
        self.in_dim, self.n_targets, self.width = in_dim, n_targets, in_dim - n_targets
        self.norm = norms[norm](in_dim)
        self.mu = nn.Linear(in_dim, self.width)
        self.log_sigma = nn.Linear(in_dim, self.width)
        half = max(1, in_dim // 2)
        self.target = nn.Sequential(nn.Linear(in_dim, half), nn.ReLU(), nn.Linear(half, n_targets), nn.LogSoftmax(1))
        self.draw = GumbelSoftmax(tau, learn=learn_temperature)
        self.merge = nn.Linear(in_dim, in_dim)
        self.hate = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(self.width, self.width),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Linear(self.width, n_classes),
        )

    def forward(self, z: Float[Tensor, "n in_dim"]) -> Disentangled:
        """Return both parts and what is read from them; draws in training mode, means in evaluation mode.

        Raises InputError on another width, and on a single row where a batch's own mean is needed.
        """
        z = self._normed(z)
        mu, log_sigma, log_alpha = self.mu(z), self.log_sigma(z), self.target(z)
        x_c, x_t = self._sample(mu, log_sigma), self.draw(log_alpha)
        # The head sees another draw than the reconstruction, as in the released code.
        hate_logits = self.hate(self._sample(mu, log_sigma))
        code = self.merge(torch.cat([x_c, x_t], 1))
        return Disentangled(mu, log_sigma, x_c, log_alpha, x_t, hate_logits, log_alpha, code)

    def mean(self, z: Float[Tensor, "n in_dim"]) -> Float[Tensor, "n d"]:
        """Return the mean of the label's part, the representation to use elsewhere."""
        return self.mu(self._normed(z))

    def predict(self, z: Float[Tensor, "n in_dim"], *, sample: bool = False) -> Float[Tensor, "n classes"]:
        """Return the label's logits from the mean of its part; with ``sample`` from a draw, as the released code does."""
        z = self._normed(z)
        mu = self.mu(z)
        return self.hate(mu + self.log_sigma(z).exp() * torch.randn_like(mu) if sample else mu)

    def _normed(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.in_dim:
            raise InputError(f"z has shape {tuple(z.shape)}; expected (n, {self.in_dim})")
        if len(z) < 2 and self.training and isinstance(self.norm, nn.BatchNorm1d):
            raise InputError("z has one row; batch normalisation in training needs at least 2")
        return self.norm(z)

    def _sample(self, mu: Tensor, log_sigma: Tensor) -> Tensor:
        return mu + log_sigma.exp() * torch.randn_like(mu) if self.training else mu
