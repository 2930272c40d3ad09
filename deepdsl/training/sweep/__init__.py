"""Trains a file with different settings, and compares the runs."""
