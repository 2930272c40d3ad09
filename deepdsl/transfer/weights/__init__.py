"""Trained weights for the reused layers of a model: found, matched, and brought into our layout."""

from deepdsl.transfer.weights.loading import Loaded, Row, load_reused
from deepdsl.transfer.weights.table import as_json, table

__all__ = ["Loaded", "Row", "as_json", "load_reused", "table"]
