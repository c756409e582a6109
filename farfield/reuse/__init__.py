"""Moving a representation: encoders and heads that were trained apart, put together."""

from farfield.reuse.anchors import select_anchors as select_anchors
from farfield.reuse.head import StitchingHead as StitchingHead
from farfield.reuse.head import train_head as train_head
from farfield.reuse.stitching import orthogonal_map as orthogonal_map
from farfield.reuse.stitching import stitch as stitch
from farfield.reuse.stitching import stitching_matrix as stitching_matrix
