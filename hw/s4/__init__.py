"""Hardware units of S4 machines."""
