"""Optimizers, each a ``torch.optim.Optimizer``, and the references that some of them compare a model with."""

from farfield.optim.asam import ASAM as ASAM
from farfield.optim.fisher_sam import FisherSAM as FisherSAM
from farfield.optim.fisher_sam import TRAMFisher as TRAMFisher
from farfield.optim.m3 import M3 as M3
from farfield.optim.references import EMAReference as EMAReference
from farfield.optim.references import InputNoiseReference as InputNoiseReference
from farfield.optim.references import PretrainedReference as PretrainedReference
from farfield.optim.references import PreviousStepReference as PreviousStepReference
from farfield.optim.references import Reference as Reference
from farfield.optim.rm3 import RM3 as RM3
from farfield.optim.robust import coordinate_median as coordinate_median
from farfield.optim.robust import winsorized_mean as winsorized_mean
from farfield.optim.sam import SAM as SAM
from farfield.optim.tram import TRAM as TRAM
from farfield.optim.winsorized import WinsorizedGrad as WinsorizedGrad
