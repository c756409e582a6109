"""Input transformations, each an ``nn.Module`` from batch to batch."""

from farfield.augment.mixup import Mixup as Mixup
