"""The training loop and all it keeps: state, callbacks, evaluation, checkpoints, runs, sweeps."""
