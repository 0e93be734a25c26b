"""Hardware units of PIUMA machines."""
