"""Complete recipes by name: a model and a task in, a trained model out."""

from farfield.methods.erm import erm as erm
from farfield.methods.erm import erm_sgd as erm_sgd
from farfield.methods.method import METHODS as METHODS
from farfield.methods.method import Choice as Choice
from farfield.methods.method import Fitted as Fitted
from farfield.methods.method import Method as Method
from farfield.methods.method import Range as Range
from farfield.methods.method import load as load
from farfield.methods.method import method as method
