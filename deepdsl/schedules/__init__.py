"""Learning-rate schedules: functions of the step counter, inside the graph, so that any host trains
with them.
"""

from deepdsl.registry import import_modules
from deepdsl.schedules.base import Clock, Schedule
from deepdsl.schedules.decay import Constant, Cosine, Exponential, Linear, Polynomial, Power
from deepdsl.schedules.one_cycle import OneCycle
from deepdsl.schedules.piecewise import Piecewise
from deepdsl.schedules.plateau import FACTOR_PATH, Plateau

import_modules(__name__)

__all__ = [
    "FACTOR_PATH",
    "Clock",
    "Constant",
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
