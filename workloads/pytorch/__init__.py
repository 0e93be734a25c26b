"""Everything that touches PyTorch: sources, checkpoints, capture, lowering and training."""
