"""The main job: methods x tasks x seeds, ranked by how they hold up outside the training data."""

from farfield.compare.job import Comparison as Comparison
from farfield.compare.job import Plan as Plan
from farfield.compare.job import compare as compare
from farfield.compare.job import plan as plan
from farfield.compare.saved import check_saving as check_saving
from farfield.compare.saved import load_saved as load_saved
from farfield.compare.saved import predict as predict
from farfield.compare.saved import save_best as save_best
from farfield.compare.trial import trial as trial
