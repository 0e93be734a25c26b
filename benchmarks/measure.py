"""Time a callable the same way everywhere: warm, repeated, CPU seconds, best of several."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Smallest CPU seconds of `repeats` calls, after one call that warms caches."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def peak_memory_mib() -> float:
    """Largest resident set of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
