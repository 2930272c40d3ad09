"""Zoos: indices of trained models, and getting, checking and publishing the files they name."""

from deepdsl.transfer.zoo.copying import Got, entry_of, get
from deepdsl.transfer.zoo.entry import Index, ZooEntry, ZooTensor
from deepdsl.transfer.zoo.index import open_index
from deepdsl.transfer.zoo.places import Located, locate

__all__ = [
    "Got",
    "Index",
    "Located",
    "ZooEntry",
    "ZooTensor",
    "entry_of",
    "get",
    "locate",
    "open_index",
]
