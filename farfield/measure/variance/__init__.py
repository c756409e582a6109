"""Which features of the input a representation plays up: variance explained, interventions, what a new classifier follows."""

from farfield.measure.variance.feature_design import FeatureDesign as FeatureDesign
from farfield.measure.variance.feature_design import feature_design as feature_design
from farfield.measure.variance.feature_variance import VarianceByPart as VarianceByPart
from farfield.measure.variance.feature_variance import feature_variance as feature_variance
from farfield.measure.variance.feature_variance import feature_variance_by_pc as feature_variance_by_pc
from farfield.measure.variance.feature_variance import feature_variance_by_unit as feature_variance_by_unit
from farfield.measure.variance.feature_variance import total_variance as total_variance
from farfield.measure.variance.interventions import feature_direction as feature_direction
from farfield.measure.variance.interventions import flip_curve as flip_curve
from farfield.measure.variance.interventions import pc_truncation_curve as pc_truncation_curve
from farfield.measure.variance.reliance import shortcut_reliance as shortcut_reliance
