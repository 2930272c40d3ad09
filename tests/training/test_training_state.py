"""A TrainingState comes back from its checkpoint as it was, and follows from the one before it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepdsl.training.stages import Proof, StatePlace
from deepdsl.training.training_state import PlateauCounters, TrainingState
from deepdsl.transfer.weights.checkpoint import read, write

NUMBERS = st.floats(allow_nan=False)
FIGURES = st.dictionaries(
    st.sampled_from(["loss", "accuracy", "confusion"]),
    NUMBERS | st.lists(st.lists(NUMBERS, max_size=2), max_size=2),
)
PROOFS = st.builds(
    Proof, st.sampled_from(["", "warm_up"]), st.dictionaries(st.text(max_size=5), st.integers(0, 9))
)
COUNTERS = st.builds(PlateauCounters, st.none() | NUMBERS, st.integers(0, 9), st.integers(0, 9))
STATES = st.builds(
    TrainingState,
    epoch=st.integers(0, 99),
    steps_done=st.integers(0, 99),
    sums=FIGURES,
    place=st.builds(StatePlace, st.integers(0, 3), st.integers(0, 50)),
    on=st.sampled_from(["valid.loss", "train.accuracy"]),
    best=st.none() | st.tuples(st.integers(1, 99), NUMBERS),
    plateau=st.none() | COUNTERS,
    train=FIGURES,
    best_train=FIGURES,
    proofs=st.lists(PROOFS, max_size=2).map(tuple),
)


def there_and_back(state: TrainingState, several_stages: bool) -> TrainingState:
    """The state that is read from the files of its checkpoint."""
    tensors = {"w": np.arange(3.0, dtype=np.float32), "step": np.array(7)}
    with TemporaryDirectory() as folder:
        place = Path(folder) / "last"
        roles = {"w": "weight", "step": "counter"}
        write(place, state.checkpoint(tensors, several_stages), roles, "")
        return TrainingState.from_checkpoint(read(place))


@given(STATES)
def test_there_and_back(state: TrainingState) -> None:
    assert there_and_back(state, several_stages=True) == state


@given(STATES)
def test_a_training_with_one_stage_counts_its_epochs(state: TrainingState) -> None:
    one = replace(state, place=StatePlace(0, state.epoch), proofs=())
    assert "stage" not in one.checkpoint({}, several_stages=False).watched
    assert there_and_back(one, several_stages=False) == one


def test_the_keys_on_the_disk() -> None:
    """Runs of earlier versions are resumed: no key of theirs changes."""
    state = TrainingState(on="valid.loss", plateau=PlateauCounters(0.5, 2, 1))
    one, several = (state.checkpoint({}, several).watched for several in (False, True))
    assert list(one) == ["on", "train", "best_train", "plateau"]
    assert list(several) == [*list(one)[:3], "stage", "phase_epochs", "proofs", "plateau"]
    assert json.loads(json.dumps(one))["plateau"] == {"best": 0.5, "waited": 2, "resting": 1}


@given(STATES)
def test_an_epoch_is_counted_and_its_sums_begin_again(state: TrainingState) -> None:
    after = state.after_epoch(None)
    changed = {f.name for f in fields(state) if getattr(state, f.name) != getattr(after, f.name)}
    assert changed <= {"epoch", "steps_done", "sums"}
    assert (after.epoch, after.steps_done, after.sums) == (state.epoch + 1, 0, {})
    assert state.after_epoch((state.epoch + 1, 0.5)).best == (state.epoch + 1, 0.5)


@given(STATES)
def test_what_was_best_of_another_figure_is_forgotten(state: TrainingState) -> None:
    plateau = state.plateau is not None
    assert state.watching(state.on, plateau, new_phase=False) == state
    other = state.watching("valid.accuracy", plateau, new_phase=False)
    assert other == replace(state, on="valid.accuracy", best=None)
    fresh = state.watching(state.on, True, new_phase=True)
    assert (fresh.best, fresh.plateau) == (None, PlateauCounters())


def test_a_state_is_frozen() -> None:
    with pytest.raises(AttributeError):
        TrainingState().epoch = 3  # type: ignore[misc]
