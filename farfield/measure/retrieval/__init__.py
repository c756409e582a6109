"""How good search by embeddings is: what comes back for a query, by size of the vectors and by model."""

from farfield.measure.retrieval.map_at_k import hit_rate_at_k as hit_rate_at_k
from farfield.measure.retrieval.map_at_k import map_at_k as map_at_k
from farfield.measure.retrieval.map_at_k import precision_at_k as precision_at_k
from farfield.measure.retrieval.nested import expected_dimension as expected_dimension
from farfield.measure.retrieval.nested import margin_score as margin_score
from farfield.measure.retrieval.nested import nested_accuracy as nested_accuracy
from farfield.measure.retrieval.nested import nested_knn as nested_knn
from farfield.measure.retrieval.nested import oracle_accuracy as oracle_accuracy
