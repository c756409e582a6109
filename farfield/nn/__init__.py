"""Layers and architectures, each an ``nn.Module``."""

from farfield.nn.classifier import Classifier as Classifier
