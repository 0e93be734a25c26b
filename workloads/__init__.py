"""From a real model to a trace: capture, pruning, training phases, and a catalog of networks."""
