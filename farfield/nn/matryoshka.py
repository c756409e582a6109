"""Classification heads that read prefixes of a feature vector, so that each is a representation by itself."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, addmm, nn

from farfield.errors import InputError


class MatryoshkaLinear(nn.Module):
    """Logits from the first m features, for each m of a nesting list: ``logits_i = x[..., :m_i] W_i^T + b_i``.

    **Arguments:**
    - ``nesting``: the sizes m_1 < ... < m_G; the last one, d, is the number of features. The paper takes 8, 16, ...,
      2048 for ResNet-50 and 12, 24, ..., 768 for transformers.
    - ``num_classes``: C, at least 1.
    - ``efficient``: one W (C, d) and one bias for all sizes, each reading its first columns (the paper's MRL-E), in
      place of one layer per size (MRL). Half the parameters and half the multiply-adds; the smallest sizes lose
      accuracy by it. The whole cascade then multiplies each weight once.
    - ``bias``: whether there is one; all of it counts at every size.

    Weights start as those of ``nn.Linear``, and are drawn as there from torch's random state.

    Raises InputError on sizes that do not rise from 1 or more, no class, and inputs of another width.

    Source: Kusupati et al., "Matryoshka Representation Learning", NeurIPS 2022, section 3.

    >>> import torch
    >>> head = MatryoshkaLinear([2, 4, 8], num_classes=3)
    >>> [tuple(logits.shape) for logits in head(torch.zeros(5, 8))]
    [(5, 3), (5, 3), (5, 3)]
    """

    def __init__(self, nesting: Sequence[int], num_classes: int, efficient: bool = False, bias: bool = True):
        super().__init__()
        self.nesting = check_sizes(nesting, "nesting")
        if list(self.nesting) != sorted(self.nesting):
            raise InputError(
                f"nesting is {list(nesting)}; the sizes must rise, so that the order of the logits is plain"
            )
        if num_classes < 1:
            raise InputError(f"num_classes is {num_classes}; it must be at least 1")
        self.num_classes, self.efficient = num_classes, efficient
        sizes = self.nesting[-1:] if efficient else self.nesting
        self.heads = nn.ModuleList(nn.Linear(m, num_classes, bias=bias) for m in sizes)

    def forward(self, x: Float[Tensor, "... d"]) -> tuple[Float[Tensor, "... classes"], ...]:
        """Return the logits of each size, the smallest first."""
        if x.shape[-1] != self.nesting[-1]:
            raise InputError(f"x has {x.shape[-1]} features; the largest size of the head is {self.nesting[-1]}")
        if not self.efficient:
            return tuple(head(x[..., :m]) for m, head in zip(self.nesting, self.heads))
        # logits_i = logits_{i-1} + x_block W_block^T. Split, not sliced: the gradients of slices would each be as large
        # as W.
        widths = [end - start for start, end in pairwise((0, *self.nesting))]
        weight, total, found = self.heads[0].weight, self.heads[0].bias, []
        for columns, block in zip(x.flatten(0, -2).split(widths, 1), weight.split(widths, 1)):
            total = columns @ block.T if total is None else addmm(total, columns, block.T)
            found.append(total.unflatten(0, x.shape[:-1]) if x.ndim != 2 else total)
        return tuple(found)

    def logits_at(self, x: Float[Tensor, "... width"], m: int) -> Float[Tensor, "... classes"]:
        """Return the logits of the first m features.

        **Arguments:** ``x``: at least m features; ``m``: any size up to d where the head is efficient, else one of the
        nesting.

        Raises InputError on another m, or where x is narrower than m.
        """
        allowed = range(1, self.nesting[-1] + 1) if self.efficient else self.nesting
        if m not in allowed:
            expected = f"from 1 to {self.nesting[-1]}" if self.efficient else f"one of {list(self.nesting)}"
            raise InputError(f"m is {m}; expected {expected}")
        if x.shape[-1] < m:
            raise InputError(f"x has {x.shape[-1]} features; the size asked for is {m}")
        if not self.efficient:
            return self.heads[self.nesting.index(m)](x[..., :m])
        return nn.functional.linear(x[..., :m], self.heads[0].weight[:, :m], self.heads[0].bias)


def check_sizes(sizes: Sequence[int], name: str, *, most: int | None = None) -> tuple[int, ...]:
    """Return numbers of dimensions as a tuple, in their order.

    Raises InputError where there is none, one comes twice, or one is no whole number from 1 to ``most``; ``name`` is
    that of the argument.

    >>> check_sizes([8, 16], "nesting", most=8)
    Traceback (most recent call last):
    farfield.errors.InputError: nesting is [8, 16]; the vectors have 8 dimensions, so each must be from 1 to 8
    """
    found = list(sizes)
    if not found or any(int(m) != m or m < 1 for m in found) or len(set(found)) < len(found):
        raise InputError(f"{name} is {found}; expected one or more different whole numbers of at least 1")
    if most is not None and max(found) > most:
        raise InputError(f"{name} is {found}; the vectors have {most} dimensions, so each must be from 1 to {most}")
    return tuple(int(m) for m in found)
