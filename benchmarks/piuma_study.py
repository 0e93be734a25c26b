"""The SMASH study: kernels, baselines and scaling on the thesis-like R-MAT, as result folders.

`python -m benchmarks.piuma_study OUT` writes one result folder per run (minutes) for `sparsesim
report` to draw. Finished runs are kept, so it can be interrupted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparsesim.results import write_folder
from sparsesim.simulate import run
from sparsesim.trace import Trace
from workloads.extract import extract

SOURCES = {
    "rmat": "rmat:thesis",
    "shuffled": "rmat:scale=14,edges=270100,a=0.5,b=0.1,c=0.1,seed=1,shuffle=true",
}
KERNELS = ("smash_v4", "smash_v3", "smash_v2", "smash_v1", "rowwise", "outer")
CORES = (1, 2, 4, 8, 16, 32, 64)


def runs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(folder, source, machine overrides) of every run."""
    for kernel in KERNELS:
        yield f"rmat-{kernel}", "rmat", {"kernel": kernel}
    yield "rmat-inner", "rmat", {"kernel": "inner", "sample_rows": 32}
    for kernel in ("smash_v4", "smash_v3"):
        for cores in CORES[1:]:
            yield f"rmat-{kernel}-{cores}", "rmat", {"kernel": kernel, "cores": cores}
    for cores in CORES[3:]:
        overrides = {"kernel": "smash_v4", "cores": cores, "topology": "hyperx"}
        yield f"rmat-smash_v4-hyperx-{cores}", "rmat", overrides
    for kernel in KERNELS:
        yield f"shuffled-{kernel}", "shuffled", {"kernel": kernel}


def main(out: Path) -> None:
    """Run what is not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    traces: dict[str, Trace] = {}
    for folder, source, overrides in runs():
        if (out / folder).exists():
            continue
        if source not in traces:
            traces[source] = extract(SOURCES[source])
        start = time.process_time()
        result = run(traces[source], "piuma", overrides=overrides)
        write_folder(result, out / folder)
        seconds = time.process_time() - start
        print(f"{folder}: {result.total_cycles} cycles, {seconds:.1f} s CPU", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
