"""How far apart two sets of predictions on the same examples are: divergences between logits."""

import torch
from jaxtyping import Float
from torch import Tensor

from farfield.errors import InputError, unknown_name
from farfield.losses._domains import full_precision

# Each adds up kernels of these bandwidths b, as functions of the squared distance D.
BANDWIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
KERNELS = {
    "imq": lambda d, b: b / (b + d),
    "imq2": lambda d, b: (b * b + d).rsqrt(),
    "imq3": lambda d, b: b * b / (b * b + d),
    "rbf": lambda d, b: (-d / (2 * b)).exp(),
}
KINDS = ("kl_forward", "kl_reverse", "kl_symmetric", "l2", "mmd", *(f"mmd_{kernel}" for kernel in KERNELS))


def divergence(
    target_logits: Float[Tensor, "n ... classes"],
    logits: Float[Tensor, "n ... classes"],
    kind: str = "kl_forward",
    reduction: str = "batchmean",
) -> Float[Tensor, ""]:
    """Return how far predictions are from target predictions, as one number; gradients flow to both.

    **Arguments:**
    - ``target_logits``, ``logits``: of the same examples, ``(n, classes)`` or ``(n, positions, classes)``; a row is the last
      dimension. Positions that do not count, such as padding, are left out by indexing both with a mask first.
    - ``kind``: with p the softmax of a row of ``target_logits`` and q that of ``logits``,

      - "kl_forward": mean over rows of ``KL(p || q)``, in nats; "kl_reverse": ``KL(q || p)``; "kl_symmetric": their sum.
      - "l2": mean over rows of the Euclidean distance of the logits.
      - "mmd_imq", "mmd_imq2" (or "mmd"), "mmd_imq3", "mmd_rbf": squared maximum mean discrepancy between the rows of logits,
        ``mean k(t, t') + k(l, l') - 2 k(t, l)``, with k the sum of ``b / (b + D)``, ``(b^2 + D)^(-1/2)``, ``b^2 / (b^2 + D)``
        or ``exp(-D / 2 b)`` over b in {0.1, 0.2, 0.5, 1, 2, 5, 10} and D the squared distance.
    - ``reduction``: "batchmean" is the above, the paper's expectation. "official" is the scale of TRAM's released code: the
      KL kinds over ``classes * n``, the others over ``n``.

    All is at least 0 up to rounding, and 0 where the logits are equal. It is computed in float32 at least.

    Raises InputError on an unknown kind or reduction, or shapes that do not match.

    Source: Sherborne et al., ICLR 2024, section 3 and appendix; github.com/tomsherborne/tram_optimizer, kl.py.

    >>> p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.75, 0.25]])
    >>> divergence(p.log(), q.log()), divergence(p.log(), q.log(), "kl_reverse")
    (tensor(0.1438), tensor(0.1308))
    """
    check_kind(kind)
    if reduction not in ("batchmean", "official"):
        raise unknown_name("reduction", reduction, ["batchmean", "official"])
    if target_logits.shape != logits.shape or logits.ndim < 2 or logits.numel() == 0:
        raise InputError(
            f"target_logits has shape {tuple(target_logits.shape)} and logits {tuple(logits.shape)}; "
            f"expected the same, (n, classes) or (n, positions, classes), without a dimension of 0"
        )
    n, classes = len(logits), logits.shape[-1]
    with full_precision(logits):
        target, current = (_rows(t) for t in (target_logits, logits))  # (rows, classes)
        if kind.startswith("kl"):
            value = _kl(target, current, kind)
            return value if reduction == "batchmean" else value / (classes * n)
        if kind == "l2":
            value = torch.linalg.vector_norm(current - target, dim=-1).mean()
        else:
            value = _mmd(target, current, kind.partition("_")[2] or "imq2")
        return value if reduction == "batchmean" else value / n


def check_kind(kind: str) -> None:
    """Raise InputError on a kind of divergence that there is not, with the nearest.

    >>> check_kind("kl_forwards")
    Traceback (most recent call last):
    farfield.errors.InputError: unknown divergence 'kl_forwards'; nearest: kl_forward, ...
    """
    if kind not in KINDS:
        raise unknown_name("divergence", kind, KINDS)


def _rows(logits: Tensor) -> Tensor:
    rows = logits.reshape(-1, logits.shape[-1])
    return rows.float() if rows.dtype.itemsize < 4 else rows


def _kl(target: Tensor, current: Tensor, kind: str) -> Tensor:
    log_p, log_q = target.log_softmax(-1), current.log_softmax(-1)

    if kind == "kl_forward":
        return (log_p.exp() * (log_p - log_q)).sum() / len(log_p)
    if kind == "kl_reverse":
        return (log_q.exp() * (log_q - log_p)).sum() / len(log_p)
    # KL(p || q) + KL(q || p) = sum (p - q)(log p - log q).
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum() / len(log_p)


def _mmd(target: Tensor, current: Tensor, kernel: str) -> Tensor:
    # Distances do not change with the origin; at the centre they lose the fewest digits.
    both = torch.cat([target, current])
    both = both - both.detach().mean(0)
    squares = both.square().sum(1)
    distances = (squares[:, None] + squares - 2 * both @ both.T).clamp(min=0)  # (2 rows, 2 rows)
    values = sum(KERNELS[kernel](distances, b) for b in BANDWIDTHS)
    m = len(target)
    return values[:m, :m].mean() + values[m:, m:].mean() - 2 * values[:m, m:].mean()
