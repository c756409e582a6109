"""Input transformations, each an ``nn.Module`` from batch to batch."""

from farfield.augment.arbitrary_pairs import ArbitraryPairs as ArbitraryPairs
from farfield.augment.color_spaces import hsv_to_rgb as hsv_to_rgb
from farfield.augment.color_spaces import rgb_to_hsv as rgb_to_hsv
from farfield.augment.contrastive_view import ContrastiveView as ContrastiveView
from farfield.augment.mixup import Mixup as Mixup
from farfield.augment.random_field import gaussian_random_field as gaussian_random_field
from farfield.augment.random_field_affine import RandomFieldAffine as RandomFieldAffine
from farfield.augment.random_field_affine import affine_source as affine_source
from farfield.augment.random_field_affine import warp_boxes as warp_boxes
from farfield.augment.random_field_affine import warp_images as warp_images
from farfield.augment.random_field_affine import warp_masks as warp_masks
from farfield.augment.random_field_color import RandomFieldColor as RandomFieldColor
from farfield.augment.random_field_color import local_color as local_color
from farfield.augment.random_field_noise import RandomFieldNoise as RandomFieldNoise
from farfield.augment.random_field_time_warp import RandomFieldTimeWarp as RandomFieldTimeWarp
from farfield.augment.random_shift import RandomShift as RandomShift
from farfield.augment.random_view import RandomView as RandomView
from farfield.augment.torchvision_transform import torchvision_transform as torchvision_transform
