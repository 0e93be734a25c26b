"""A ResNet-18 training step, batch 32: dense and BDWP 2:8 traces through the whole simulator."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import best_seconds, peak_memory_mib
from sparsesim.simulate import run as simulate
from sparsesim.trace import load


def run() -> dict[str, float]:
    """Measure; keys name the figure and its unit."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, prune in (("dense", "none"), ("sparse", "nm:2:8")):
            files[name] = Path(folder) / f"{name}.trace"
            # In a process of its own, so that PyTorch is not in the memory measured here.
            _command("extract", "resnet18", "--prune", prune, "-o", str(files[name]))
        dense, sparse = load(files["dense"]), load(files["sparse"])
        cycles = [simulate(trace, "sat").total_cycles for trace in (dense, sparse)]
        seconds = best_seconds(lambda: [simulate(trace, "sat") for trace in (dense, sparse)])
        small = Path(folder) / "digits.trace"
        _command("extract", "digits_cnn", "--prune", "nm:2:8", "-o", str(small))
        _command("run", str(small), "--machine", "sat", "-o", str(Path(folder) / "warm"))
        return {
            "ResNet-18 dense + 2:8, fast core, seconds (target 2)": seconds,
            "peak memory so far, MiB (target 1024)": peak_memory_mib(),
            "predicted BDWP 2:8 speedup over dense": cycles[0] / cycles[1],
            "second `sparsesim run` of a small trace, wall s (target 2)": _command(
                "run", str(small), "--machine", "sat", "-o", str(Path(folder) / "again")
            ),
            "`sparsesim --help`, wall s, best of 5 (target 0.3)": min(
                _command("--help") for _ in range(5)
            ),
        }


def _command(*arguments: str) -> float:
    """Wall seconds of one `sparsesim` command."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", "from sparsesim.cli import main; main()", *arguments],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start
