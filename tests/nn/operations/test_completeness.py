"""Whatever can be named in a file, and every operation beneath it, has a row in the samples."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import pytest
import samples

import deepdsl
from deepdsl.core.registry import lookup
from deepdsl.graph import Op

ROWS = {
    "layer": {type(s.layer) for s in samples.LAYERS},
    "initializer": {type(s.init) for s in samples.INITIALIZERS},
    "loss": {type(s.loss) for s in samples.LOSSES},
    "metric": {type(s.metric) for s in samples.METRICS},
    "optimizer": {type(s.optimizer) for s in samples.OPTIMIZERS},
    "schedule": {type(s.schedule) for s in samples.SCHEDULES},
}


def subclasses(cls: type[Any]) -> set[type[Any]]:
    direct = {c for c in cls.__subclasses__() if c.__module__.startswith("deepdsl.")}
    return direct.union(*(subclasses(c) for c in direct))


def test_every_operation_has_a_row() -> None:
    for module in pkgutil.walk_packages(deepdsl.__path__, "deepdsl."):
        if not module.name.startswith(("deepdsl.backends", "deepdsl.cli")):
            import_module(module.name)
    # A class that others derive from is their base, unless it can be used by itself.
    concrete = {c for c in subclasses(Op) if not c.__subclasses__()}
    missing = concrete - {type(s.op) for s in samples.OPS}
    assert not missing, f"no row in OPS for {sorted(c.__name__ for c in missing)}"


@pytest.mark.parametrize("kind", ROWS)
def test_every_entry_has_a_row(kind: str) -> None:
    missing = {c for c in lookup(kind).values() if c not in ROWS[kind]}
    assert not missing, f"no row for {kind} {sorted(c.name for c in missing)}"


def test_sample_ids_are_unique() -> None:
    ids = [s.id for s in samples.OPS]
    assert len(ids) == len(set(ids))
