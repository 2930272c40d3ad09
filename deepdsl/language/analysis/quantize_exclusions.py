"""What an export that quantizes leaves as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic
from deepdsl.diagnostics.inference.quantize import KeptNothing, KeptWithoutQuantize
from deepdsl.language.analysis.model import Model


def wrong_keeping(
    quantize: str | None, keep: Sequence[str], model: Model | None, place: Span | None
) -> Iterator[Diagnostic]:
    """What is wrong with the paths of what stays float, if the model is known."""
    if keep and quantize is None:
        yield KeptWithoutQuantize(place, tuple(keep))
    elif model is not None:
        weights = [p.name for p in model.params if p.role == "weight" and p.type.rank > 1]
        names = {name.rpartition(".")[0] for name in weights}
        for path in keep:
            if not any(name == path or name.startswith(f"{path}.") for name in weights):
                yield KeptNothing(place, path, tuple(sorted(names)))
