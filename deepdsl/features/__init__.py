"""Outputs of frozen layers, computed once and trained on."""

from deepdsl.features.job import Cached, Refused, cached_job

__all__ = ["Cached", "Refused", "cached_job"]
