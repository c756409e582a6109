"""Complete recipes by name: a model and a task in, a trained model out."""

from farfield.methods.coral import coral as coral
from farfield.methods.dann import dann as dann
from farfield.methods.erm import erm as erm
from farfield.methods.erm import erm_sgd as erm_sgd
from farfield.methods.group_dro import group_dro as group_dro
from farfield.methods.irm import irm as irm
from farfield.methods.method import METHODS as METHODS
from farfield.methods.method import Choice as Choice
from farfield.methods.method import Fitted as Fitted
from farfield.methods.method import Method as Method
from farfield.methods.method import Range as Range
from farfield.methods.method import load as load
from farfield.methods.method import method as method
from farfield.methods.mixup import mixup as mixup
from farfield.methods.mmd import mmd as mmd
from farfield.methods.sam import asam as asam
from farfield.methods.sam import sam as sam
from farfield.methods.swad import swad as swad
from farfield.methods.vrex import vrex as vrex
from farfield.methods.weight_average import weight_average as weight_average
