"""Networks and weights from elsewhere: ONNX import, weight files, model zoos."""
