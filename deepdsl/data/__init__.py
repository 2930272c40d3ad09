"""What a data section may say, the formats, and the rows that reach a training.

Importing this package declares the sources, rows and transforms and imports no NumPy; everything
that reads data is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepdsl.data.augment import Augmentation
from deepdsl.data.formats.builtin import Builtin
from deepdsl.data.formats.csv import Csv
from deepdsl.data.formats.idx import Idx
from deepdsl.data.formats.images import Images
from deepdsl.data.formats.npy import Npy
from deepdsl.data.formats.npz import Npz
from deepdsl.data.formats.parquet import Parquet
from deepdsl.data.formats.text import TextSource
from deepdsl.data.request import OpenRequest, Placed, Shape, Split, TargetSpec
from deepdsl.data.rows import DataRow, HeldOut, OneHotRow, Take, TargetRow
from deepdsl.data.source import DataSource
from deepdsl.data.spec import DataSpec
from deepdsl.data.transforms import NormalizeTransform, Scale, Standardize, Transform

if TYPE_CHECKING:
    from deepdsl.data.order import epoch_order
    from deepdsl.data.splits import Splits, count_train_rows, fit_transforms, load
    from deepdsl.data.table import ArrayField, Field, Table, View
    from deepdsl.data.table_from_arrays import from_arrays

_LAZY = {
    "ArrayField": "table",
    "Field": "table",
    "Splits": "splits",
    "Table": "table",
    "View": "table",
    "count_train_rows": "splits",
    "epoch_order": "order",
    "fit_transforms": "splits",
    "from_arrays": "table_from_arrays",
    "load": "splits",
}

__all__ = [
    "ArrayField",
    "Augmentation",
    "Builtin",
    "Csv",
    "DataRow",
    "DataSource",
    "DataSpec",
    "Field",
    "HeldOut",
    "Idx",
    "Images",
    "NormalizeTransform",
    "Npy",
    "Npz",
    "OneHotRow",
    "OpenRequest",
    "Parquet",
    "Placed",
    "Scale",
    "Shape",
    "Split",
    "Splits",
    "Standardize",
    "Table",
    "Take",
    "TargetRow",
    "TargetSpec",
    "TextSource",
    "Transform",
    "View",
    "count_train_rows",
    "epoch_order",
    "fit_transforms",
    "from_arrays",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
