"""Layers and architectures, each an ``nn.Module``; models by name; what a model needs done to its inputs."""

from farfield.nn.all_cnn import AllCNN as AllCNN
from farfield.nn.autoencoder import Autoencoder as Autoencoder
from farfield.nn.autoencoder import make_autoencoder as make_autoencoder
from farfield.nn.causal_lm import TinyCausalLM as TinyCausalLM
from farfield.nn.causal_lm import gpt_neo as gpt_neo
from farfield.nn.classifier import Classifier as Classifier
from farfield.nn.cnn import CNN as CNN
from farfield.nn.features import features_and_logits as features_and_logits
from farfield.nn.graph import GraphNetwork as GraphNetwork
from farfield.nn.graph import adjacency as adjacency
from farfield.nn.load import default as default
from farfield.nn.load import load as load
from farfield.nn.plain_cnn import alexnet as alexnet
from farfield.nn.plain_cnn import plain_cnn as plain_cnn
from farfield.nn.prepare import prepare as prepare
from farfield.nn.prepare import prepare_inputs as prepare_inputs
from farfield.nn.preprocess import Preprocess as Preprocess
from farfield.nn.relative import RelativeEncoder as RelativeEncoder
from farfield.nn.relative import RelativeProjection as RelativeProjection
from farfield.nn.resnet import ResNet as ResNet
from farfield.nn.running_stats import disable_running_stats as disable_running_stats
from farfield.nn.standardize import Standardize as Standardize
from farfield.nn.stitch_layer import StitchLayer as StitchLayer
from farfield.nn.tuning import Frozen as Frozen
from farfield.nn.vit import ViT as ViT
