"""PyTorch modules that several catalog entries share."""
