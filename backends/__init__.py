"""Devices that graphs run on.  onnxruntime is imported here and nowhere else."""
