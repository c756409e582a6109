"""Draws from categories that gradients can pass through."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from farfield.errors import InputError

# Keeps both logarithms of the Gumbel noise finite, as in the released code.
TINY = 1e-12


class GumbelSoftmax(nn.Module):
    """Soft one-hot draws ``softmax((log_alpha + G) / tau)`` with Gumbel noise ``G = -log(-log(U))``.

    In evaluation mode there is no noise: ``softmax(log_alpha / tau)``, so that a model's predictions do not change from call to
    call. As ``tau`` goes to 0 the rows become one-hot at the largest ``log_alpha + G``.

    **Arguments:** ``tau``: the temperature, above 0; ``learn``: train it, from this value on. What is trained is its logarithm:
    the released code trains the temperature itself, which may then cross 0.

    Raises InputError on a temperature that is not above 0.

    Source: Jang, Gu, Poole, ICLR 2017; as used in CATCH (Sheth et al., WSDM 2024).

    >>> draw = GumbelSoftmax(tau=0.5).eval()
    >>> draw(torch.tensor([[0.5, 0.5]]).log())
    tensor([[0.5000, 0.5000]], grad_fn=<SoftmaxBackward0>)
    """

    def __init__(self, tau: float = 1.0, *, learn: bool = True):
        super().__init__()
        if not (0 < tau < math.inf):
            raise InputError(f"tau is {tau}; it must be a number above 0")
        log_tau = torch.tensor(math.log(tau))
        if learn:
            self.log_tau = nn.Parameter(log_tau)
        else:
            self.register_buffer("log_tau", log_tau)

    @property
    def tau(self) -> Tensor:
        """The temperature now, a scalar."""
        return self.log_tau.exp()

    def forward(self, log_alpha: Float[Tensor, "n k"], uniform: Float[Tensor, "n k"] | None = None) -> Tensor:
        """Return the draws (n, k), each row summing to 1.

        **Arguments:** ``log_alpha``: logarithms of the categories' probabilities; ``uniform``: numbers in [0, 1) that the noise is made
        of, in either mode; by default drawn while training.
        """
        if uniform is None and self.training:
            uniform = torch.rand_like(log_alpha)
        noise = 0.0 if uniform is None else -torch.log(-torch.log(uniform + TINY) + TINY)
        return ((log_alpha + noise) / self.tau).softmax(-1)
