"""A rate that is lowered when nothing gets better."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Integer, Names, Number, option
from deepdsl.graph import Builder, Type, Value
from deepdsl.graph.arithmetic import scaled
from deepdsl.nn.initializers import Ones
from deepdsl.nn.schedules.base import Clock, Schedule, per, warmup

# What the step multiplies the rate with.  The step never changes it: the host does, between epochs.
FACTOR_PATH = "schedule.factor"


@record
class Plateau(Schedule):
    """`plateau factor=0.5 patience=5`: rate *= factor after `patience` epochs without improvement.

    An epoch improves when the watched number is better than its best by more than min_delta.  After
    a reduction the count starts again, and `cooldown` epochs are not counted; the rate does not
    fall below min_lr.  It needs a row `valid` in the data section, unless it watches `train.loss`.

    Who trains decides, between epochs: the step multiplies the rate with the state tensor
    `schedule.factor`.  As Keras's ReduceLROnPlateau, which counts the last epoch of a cooldown;
    PyTorch's waits one epoch longer, and its threshold 1e-4 is a share of the best.
    """

    factor: float = option(Number(above=0, below=1), "what the rate is multiplied with", 0.1)
    patience: int = option(Integer(minimum=1), "epochs without improvement", 10)
    on: str = option(Names(), "what is watched", "valid.loss")
    min_delta: float = option(Number(minimum=0), "what counts as improvement", 1e-4)
    cooldown: int = option(Integer(minimum=0), "epochs that are not counted after", 0)
    min_lr: float = option(Number(minimum=0), "the lowest rate", 0.0)
    per: str = per()
    warmup: float = warmup()

    @property
    def needs_epochs(self) -> bool:
        return self.warmup > 0 and super().needs_epochs

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        return scaled(b, lr, b.param(FACTOR_PATH, Type((), "f64"), Ones(), "counter"))
