"""Optimizers, each a ``torch.optim.Optimizer``."""

from farfield.optim.asam import ASAM as ASAM
from farfield.optim.sam import SAM as SAM
