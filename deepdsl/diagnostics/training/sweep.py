"""E580 to E589: what a sweep cannot do."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.diagnostics.base import Diagnostic, ExitStatus, did_you_mean


@record
class BadSweep(Diagnostic):
    """The values of a sweep cannot be read.

    `dnnc sweep FILE --set optimizer.lr=0.1,0.01 --set let.depth=1..4` goes through all combinations:
    values are in a list with commas, and `1..4` is the whole numbers from 1 to 4.
    """

    code = "E580"
    exit_status = ExitStatus.USAGE
    written: str
    reason: str

    @property
    def message(self) -> str:
        return f"cannot sweep `{self.written}`: {self.reason}"

    @property
    def help(self) -> str:
        return "write values with commas, such as optimizer.lr=0.1,0.01, or let.depth=1..4"


@record
class NothingToSweep(Diagnostic):
    """A sweep with one setting and one seed is a single run."""

    code = "E581"
    exit_status = ExitStatus.USAGE

    @property
    def message(self) -> str:
        return "there is nothing to compare: one setting, one seed"

    @property
    def help(self) -> str:
        return "give several values, such as --set optimizer.lr=0.1,0.01, or --seeds 3"


@record
class TooManyRuns(Diagnostic):
    """The sweep has too many combinations."""

    code = "E582"
    exit_status = ExitStatus.USAGE
    count: int
    most: int

    @property
    def message(self) -> str:
        return f"that is {self.count:,} runs, and {self.most:,} is the most"

    @property
    def help(self) -> str:
        return "sweep fewer settings at a time, or fewer values of each"


@record
class NoSuchFigure(Diagnostic):
    """`--on` names a figure that the runs of a sweep do not have, or that is not a single number."""

    code = "E583"
    exit_status = ExitStatus.USAGE
    name: str
    known: tuple[str, ...]
    reason: str = ""

    @property
    def message(self) -> str:
        return f"the runs have no figure `{self.name}`" + (
            f": {self.reason}" if self.reason else ""
        )

    @property
    def help(self) -> str:
        return did_you_mean(self.name, self.known) or "one of: " + ", ".join(self.known)
