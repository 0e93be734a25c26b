"""The SAT study: networks, training methods, ablations and sensitivities, with their figures.

``python -m reports.sat_study -o DIR`` makes DIR; docs/sat-study.md says what was measured.
"""
