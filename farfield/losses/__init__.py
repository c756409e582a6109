"""Objectives and regularizers, each an ``nn.Module`` that returns a scalar tensor."""

from farfield.losses.adversarial import DomainAdversarial as DomainAdversarial
from farfield.losses.adversarial import gradient_reversal as gradient_reversal
from farfield.losses.adversarial import reversal_strength as reversal_strength
from farfield.losses.coral import CoralPenalty as CoralPenalty
from farfield.losses.divergence import divergence as divergence
from farfield.losses.feature_loss import FeatureLoss as FeatureLoss
from farfield.losses.group_dro import GroupDRO as GroupDRO
from farfield.losses.irm import IRMPenalty as IRMPenalty
from farfield.losses.mmd import MMDPenalty as MMDPenalty
from farfield.losses.r3f import R3FLoss as R3FLoss
from farfield.losses.smart import SMARTLoss as SMARTLoss
from farfield.losses.trust_region import TrustRegionPenalty as TrustRegionPenalty
from farfield.losses.vrex import VRExPenalty as VRExPenalty
