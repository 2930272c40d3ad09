"""Outputs of frozen layers, computed once and trained on."""

from deepdsl.training.feature_cache.job import Cached, Refused, cached_job

__all__ = ["Cached", "Refused", "cached_job"]
