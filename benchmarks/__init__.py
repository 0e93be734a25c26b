"""Speed of the simulator, as ratios measured in one run: ``python -m benchmarks``."""
