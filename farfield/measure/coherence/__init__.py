"""Coherence: how far the gradients of single examples agree, what follows from it, and which examples are learned first."""

from farfield.measure.coherence.batches import coherence_from_batches as coherence_from_batches
from farfield.measure.coherence.batches import coherence_of_batches as coherence_of_batches
from farfield.measure.coherence.bound import coherence_bound as coherence_bound
from farfield.measure.coherence.coherence import Coherence as Coherence
from farfield.measure.coherence.coherence import coherence_from_gradients as coherence_from_gradients
from farfield.measure.coherence.coherence import gradient_coherence as gradient_coherence
from farfield.measure.coherence.example_difficulty import example_difficulty as example_difficulty
from farfield.measure.coherence.share import GradientShare as GradientShare
from farfield.measure.coherence.share import gradient_share as gradient_share
