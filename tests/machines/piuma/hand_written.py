"""Run a few lines of assembly on both cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparsesim.machines.piuma.check import COMPARED
from sparsesim.machines.piuma.launch import Kernel, Launch, execute, prepare
from sparsesim.machines.piuma.memory_image import Region
from tests.machines.piuma.small_products import machine


def run_text(
    text: str,
    regions: Sequence[Region] = (),
    constants: Mapping[str, int] | None = None,
    **overrides: Any,
) -> Launch:
    """Run `text` on the fast and the stepped core, compare them, and return the fast run.

    All threads of multi-threaded pipelines take part in barriers.
    """
    spec = machine("smash_v3", **{"single_pipelines": 1, **overrides})
    threads = spec.threads_per_core
    kernel = Kernel(
        text=text,
        constants=constants or {},
        regions=list(regions),
        core_barrier=threads,
        global_barrier=spec.cores * threads,
    )
    runs = []
    for fidelity in ("fast", "stepped"):
        launch = prepare(kernel, spec)
        execute(launch, fidelity)
        runs.append(launch)
    for name in COMPARED:
        assert np.array_equal(runs[0].arrays[name], runs[1].arrays[name]), name
    return runs[0]
