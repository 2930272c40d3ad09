"""Zoos: indices of trained models, and getting, checking and publishing the files they name."""

from deepdsl.transfer.zoo.copying import Got, entry_of, get
from deepdsl.transfer.zoo.entry import Entry, Index, Tensor
from deepdsl.transfer.zoo.index import open_index
from deepdsl.transfer.zoo.places import Located, locate

__all__ = ["Entry", "Got", "Index", "Located", "Tensor", "entry_of", "get", "locate", "open_index"]
