"""How hard a task is to generalize on: the bits of inductive bias that it demands, of any learner or within a space."""

from farfield.measure.difficulty.class_distance import min_class_distance as min_class_distance
from farfield.measure.difficulty.closed_forms import bias_provided as bias_provided
from farfield.measure.difficulty.closed_forms import fewshot_difficulty as fewshot_difficulty
from farfield.measure.difficulty.closed_forms import fewshot_sets as fewshot_sets
from farfield.measure.difficulty.closed_forms import rl_difficulty as rl_difficulty
from farfield.measure.difficulty.closed_forms import union_difficulty as union_difficulty
from farfield.measure.difficulty.complexity import Difficulty as Difficulty
from farfield.measure.difficulty.complexity import inductive_bias_complexity as inductive_bias_complexity
from farfield.measure.difficulty.hypotheses import GPHypotheses as GPHypotheses
from farfield.measure.difficulty.hypotheses import NetworkErrors as NetworkErrors
from farfield.measure.difficulty.hypotheses import median_distance as median_distance
from farfield.measure.difficulty.hypotheses import network_hypotheses as network_hypotheses
from farfield.measure.difficulty.learners import learner_errors as learner_errors
from farfield.measure.difficulty.published import published_difficulty as published_difficulty
from farfield.measure.difficulty.required_bias import Bias as Bias
from farfield.measure.difficulty.required_bias import gp_required_bias as gp_required_bias
from farfield.measure.difficulty.required_bias import provided_bias as provided_bias
from farfield.measure.difficulty.required_bias import required_bias as required_bias
from farfield.measure.difficulty.tails import noncentral_chi2_log_cdf as noncentral_chi2_log_cdf
from farfield.measure.difficulty.tails import sankaran_bias as sankaran_bias
from farfield.measure.difficulty.tails import weighted_chi2_log_cdf as weighted_chi2_log_cdf
from farfield.measure.difficulty.task_difficulty import fewshot_task_difficulty as fewshot_task_difficulty
from farfield.measure.difficulty.task_difficulty import knn_dimension as knn_dimension
from farfield.measure.difficulty.task_difficulty import task_difficulty as task_difficulty
