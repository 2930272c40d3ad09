"""What a checkpoint says of a training comes back from JSON as it was."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from deepdsl.training.progress import TrainingProgress
from deepdsl.training.stages import Proof
from deepdsl.transfer.weights.checkpoint import Checkpoint

FIGURES = st.dictionaries(st.sampled_from(["loss", "accuracy"]), st.floats(allow_nan=False))
PROOFS = st.builds(
    Proof, st.sampled_from(["", "warm_up"]), st.dictionaries(st.text(max_size=5), st.integers(0, 9))
)
PLATEAU = st.none() | st.fixed_dictionaries(
    {"best": st.none() | st.floats(allow_nan=False), "waited": st.integers(0, 9)}
)


@given(
    st.builds(
        TrainingProgress,
        on=st.sampled_from(["valid.loss", "train.accuracy"]),
        train=FIGURES,
        best_train=FIGURES,
        stage=st.integers(0, 3),
        phase_epochs=st.integers(0, 50),
        proofs=st.lists(PROOFS, max_size=2).map(tuple),
        plateau=PLATEAU,
    )
)
def test_there_and_back(progress: TrainingProgress) -> None:
    kept = json.loads(json.dumps(progress.as_json(several_stages=True)))
    assert TrainingProgress.of(Checkpoint({}, 7, 0, watched=kept)) == progress


def test_a_training_with_one_stage_counts_its_epochs() -> None:
    kept = TrainingProgress(on="valid.loss").as_json(several_stages=False)
    assert "stage" not in kept
    assert TrainingProgress.of(Checkpoint({}, 7, 0, watched=kept)).phase_epochs == 7
