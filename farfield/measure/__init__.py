"""What a representation holds and how far it reaches: functions of arrays and models that return numbers."""

from farfield.measure.correlation import Correlation as Correlation
from farfield.measure.correlation import domain_correlation as domain_correlation
from farfield.measure.sharpness import epsilon_sharpness as epsilon_sharpness
from farfield.measure.similarity import linear_cka as linear_cka
