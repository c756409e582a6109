"""How good search by embeddings is: what comes back for a query, by size of the vectors and by model."""

from farfield.measure.retrieval.average_precision import retrieval_map as retrieval_map
from farfield.measure.retrieval.cmc import cmc as cmc
from farfield.measure.retrieval.compatibility import Violations as Violations
from farfield.measure.retrieval.compatibility import average_accuracy as average_accuracy
from farfield.measure.retrieval.compatibility import average_compatibility as average_compatibility
from farfield.measure.retrieval.compatibility import compatibility_matrix as compatibility_matrix
from farfield.measure.retrieval.compatibility import compatibility_violations as compatibility_violations
from farfield.measure.retrieval.compatibility import identification_accuracy as identification_accuracy
from farfield.measure.retrieval.compatibility_report import Compatibility as Compatibility
from farfield.measure.retrieval.compatibility_report import CompatibilityReport as CompatibilityReport
from farfield.measure.retrieval.compatibility_report import Retrieval as Retrieval
from farfield.measure.retrieval.compatibility_report import compatibility_report as compatibility_report
from farfield.measure.retrieval.compatibility_report import update_gain as update_gain
from farfield.measure.retrieval.map_at_k import hit_rate_at_k as hit_rate_at_k
from farfield.measure.retrieval.map_at_k import map_at_k as map_at_k
from farfield.measure.retrieval.map_at_k import precision_at_k as precision_at_k
from farfield.measure.retrieval.nested import expected_dimension as expected_dimension
from farfield.measure.retrieval.nested import margin_score as margin_score
from farfield.measure.retrieval.nested import nested_accuracy as nested_accuracy
from farfield.measure.retrieval.nested import nested_knn as nested_knn
from farfield.measure.retrieval.nested import oracle_accuracy as oracle_accuracy
