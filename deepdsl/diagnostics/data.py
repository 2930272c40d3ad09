"""Every message about data: importing this registers the codes E401 to E482 and W450 to W469."""

from deepdsl.diagnostics import (
    data_arrays,
    data_augment,
    data_csv,
    data_feeds,
    data_files,
    data_images,
    data_labels,
    data_parquet,
    data_sequences,
    data_split,
)

__all__ = [
    "data_arrays",
    "data_augment",
    "data_csv",
    "data_feeds",
    "data_files",
    "data_images",
    "data_labels",
    "data_parquet",
    "data_sequences",
    "data_split",
]
