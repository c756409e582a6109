"""Which features a trained model relies on: by breaking their tie to the label, and by where perturbations go."""

from farfield.measure.reliance.pieces import linear_pieces as linear_pieces
from farfield.measure.reliance.randomize import FeatureReliance as FeatureReliance
from farfield.measure.reliance.randomize import feature_reliance as feature_reliance
from farfield.measure.reliance.randomize import randomize_features as randomize_features
from farfield.measure.reliance.randomize import randomized_auc as randomized_auc
from farfield.measure.reliance.universal import UniversalPerturbation as UniversalPerturbation
from farfield.measure.reliance.universal import ascent_uap as ascent_uap
from farfield.measure.reliance.universal import perturbation_budget as perturbation_budget
from farfield.measure.reliance.universal import svd_uap as svd_uap
