"""Every message about data: importing this registers the codes E401 to E449 and W450 to W451."""

from deepdsl.diagnostics import (
    data_arrays,
    data_csv,
    data_feeds,
    data_files,
    data_labels,
    data_split,
)

__all__ = ["data_arrays", "data_csv", "data_feeds", "data_files", "data_labels", "data_split"]
