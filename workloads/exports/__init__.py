"""Traces in the formats of other simulators, so that their counts can be compared with ours."""
