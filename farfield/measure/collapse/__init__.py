"""Neural collapse: how far the features of a class have contracted, and how classes and classifier lie to each other."""

from farfield.measure.collapse.decision import ncc_agreement as ncc_agreement
from farfield.measure.collapse.duality import SelfDuality as SelfDuality
from farfield.measure.collapse.duality import ood_alignment as ood_alignment
from farfield.measure.collapse.duality import self_duality as self_duality
from farfield.measure.collapse.geometry import Equinorm as Equinorm
from farfield.measure.collapse.geometry import equinorm as equinorm
from farfield.measure.collapse.geometry import etf_error as etf_error
from farfield.measure.collapse.geometry import interference as interference
from farfield.measure.collapse.geometry import uniformity as uniformity
from farfield.measure.collapse.neural_collapse import collapse_summary as collapse_summary
from farfield.measure.collapse.neural_collapse import neural_collapse as neural_collapse
from farfield.measure.collapse.spread import Spread as Spread
from farfield.measure.collapse.statistics import ClassMoments as ClassMoments
from farfield.measure.collapse.statistics import ClassStatistics as ClassStatistics
from farfield.measure.collapse.within import cdnv as cdnv
from farfield.measure.collapse.within import nc1 as nc1
