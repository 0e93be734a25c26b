"""ONNX graphs as PyTorch modules, so that one capture serves every source."""
