"""Settings of the whole suite."""

from __future__ import annotations

import signal

# A job that a shell started in the background ignores Ctrl-C, and so would the commands that the
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
