"""How many dimensions data or a representation really uses, and what that says about learning from it."""

from farfield.measure.dimension.intrinsic_dimension import DimensionEstimate as DimensionEstimate
from farfield.measure.dimension.intrinsic_dimension import dimension_estimate as dimension_estimate
from farfield.measure.dimension.intrinsic_dimension import intrinsic_dimension as intrinsic_dimension
from farfield.measure.dimension.label_sharpness import label_sharpness as label_sharpness
from farfield.measure.dimension.neighbours import nearest_distances as nearest_distances
from farfield.measure.dimension.representation import representation_dimension as representation_dimension
from farfield.measure.dimension.scaling import ScalingFit as ScalingFit
from farfield.measure.dimension.scaling import scaling_fit as scaling_fit
