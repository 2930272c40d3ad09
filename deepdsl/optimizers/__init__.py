"""Optimizers: how a gradient becomes a step, in Keras's forms and defaults."""

from deepdsl.optimizers.adagrad import Adagrad
from deepdsl.optimizers.adam import Adam, Adamw, Amsgrad
from deepdsl.optimizers.adamax import Adamax
from deepdsl.optimizers.base import Optimizer, Rates, Slot, Slots
from deepdsl.optimizers.lion import Lion
from deepdsl.optimizers.nadam import Nadam
from deepdsl.optimizers.rmsprop import Rmsprop
from deepdsl.optimizers.sgd import Sgd
from deepdsl.registry import import_modules

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
