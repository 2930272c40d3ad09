"""The rows of train and export sections."""
