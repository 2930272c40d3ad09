"""Devices that run graphs; the only importer of onnxruntime."""
