"""What is in a representation, do its classes lie apart, and do two of them agree?"""

from farfield.inspect.job import Inspection as Inspection
from farfield.inspect.job import inspect as inspect
from farfield.inspect.labels import Labels as Labels
from farfield.inspect.labels import read_labels as read_labels
from farfield.inspect.read import Representation as Representation
from farfield.inspect.read import read_representations as read_representations
