"""Trained weights for the reused layers of a model: found, matched, and brought into our layout."""

from deepdsl.transfer.weights.loading import Loaded, MatchRow, load_reused
from deepdsl.transfer.weights.table import as_json, table

__all__ = ["Loaded", "MatchRow", "as_json", "load_reused", "table"]
