"""Dissimilarity matrices of representations: made, transformed, compared, and what can be told from them."""

from farfield.measure.dissimilarity.bootstrap import Bootstrap as Bootstrap
from farfield.measure.dissimilarity.bootstrap import bootstrap_rdms as bootstrap_rdms
from farfield.measure.dissimilarity.compare import compare_rdms as compare_rdms
from farfield.measure.dissimilarity.geodesic import geodesic_rdm as geodesic_rdm
from farfield.measure.dissimilarity.geotopology import geotopological as geotopological
from farfield.measure.dissimilarity.geotopology import rank_minmax as rank_minmax
from farfield.measure.dissimilarity.identify import Identification as Identification
from farfield.measure.dissimilarity.identify import distance_ratio as distance_ratio
from farfield.measure.dissimilarity.identify import identification as identification
from farfield.measure.dissimilarity.identify import identification_accuracy as identification_accuracy
from farfield.measure.dissimilarity.identify import trsa_grid as trsa_grid
from farfield.measure.dissimilarity.matrix import rdm as rdm
from farfield.measure.dissimilarity.windows import lu_class as lu_class
from farfield.measure.dissimilarity.windows import sample_lu as sample_lu
