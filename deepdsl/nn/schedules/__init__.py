"""Learning-rate schedules: functions of the step counter, inside the graph, so that any host trains
with them.
"""

from deepdsl.core.registry import import_modules
from deepdsl.nn.schedules.base import Clock, Schedule
from deepdsl.nn.schedules.decay import (
    ConstantSchedule,
    Cosine,
    Exponential,
    Linear,
    Polynomial,
    Power,
)
from deepdsl.nn.schedules.one_cycle import OneCycle
from deepdsl.nn.schedules.piecewise import Piecewise
from deepdsl.nn.schedules.plateau import FACTOR_PATH, Plateau

import_modules(__name__)

__all__ = [
    "FACTOR_PATH",
    "Clock",
    "ConstantSchedule",
    "Cosine",
    "Exponential",
    "Linear",
    "OneCycle",
    "Piecewise",
    "Plateau",
    "Polynomial",
    "Power",
    "Schedule",
]
