"""The vocabulary of the field: layers, initializers, losses, metrics, optimizers, schedules."""
