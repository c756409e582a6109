"""Which units of two networks do the same: one to one, few to one, many to many (Li et al., ICLR 2016)."""

from farfield.measure.matching.assignment import MatchSummary as MatchSummary
from farfield.measure.matching.assignment import bipartite_match as bipartite_match
from farfield.measure.matching.assignment import match_summary as match_summary
from farfield.measure.matching.assignment import permutation_cycles as permutation_cycles
from farfield.measure.matching.assignment import semi_match as semi_match
from farfield.measure.matching.mutual_information import mutual_information as mutual_information
from farfield.measure.matching.mutual_information import unit_mutual_information as unit_mutual_information
from farfield.measure.matching.sparse_map import SparseMap as SparseMap
from farfield.measure.matching.sparse_map import one_to_one_map as one_to_one_map
from farfield.measure.matching.sparse_map import sparse_map as sparse_map
from farfield.measure.matching.sparse_map import sparse_map_from_statistics as sparse_map_from_statistics
from farfield.measure.matching.spectral import JointClusters as JointClusters
from farfield.measure.matching.spectral import cluster_tree as cluster_tree
from farfield.measure.matching.spectral import joint_spectral_clusters as joint_spectral_clusters
from farfield.measure.matching.subspace import ClusterSimilarity as ClusterSimilarity
from farfield.measure.matching.subspace import cluster_subspace_similarity as cluster_subspace_similarity
from farfield.measure.matching.unit_correlation import UnitCorrelation as UnitCorrelation
from farfield.measure.matching.unit_correlation import UnitStatistics as UnitStatistics
