"""Optimizers: how a gradient becomes a step, in Keras's forms and defaults."""

from deepdsl.core.registry import import_modules
from deepdsl.nn.optimizers.adagrad import Adagrad
from deepdsl.nn.optimizers.adam import Adam, Adamw, Amsgrad
from deepdsl.nn.optimizers.adamax import Adamax
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots
from deepdsl.nn.optimizers.lion import Lion
from deepdsl.nn.optimizers.nadam import Nadam
from deepdsl.nn.optimizers.rmsprop import Rmsprop
from deepdsl.nn.optimizers.sgd import Sgd

import_modules(__name__)

__all__ = [
    "Adagrad",
    "Adam",
    "Adamax",
    "Adamw",
    "Amsgrad",
    "Lion",
    "Nadam",
    "Optimizer",
    "Rates",
    "Rmsprop",
    "Sgd",
    "Slot",
    "Slots",
]
