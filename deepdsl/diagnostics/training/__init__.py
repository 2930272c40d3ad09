"""Messages about runs of a training."""
