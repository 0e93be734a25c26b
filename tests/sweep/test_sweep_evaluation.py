from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sparsesim.errors import CheckError
from sparsesim.sweep.evaluation import one_line_error
from tests.sweep import fake_simulators as fake

# In a process of its own: it replaces the simulator and limits Numba.
DEFAULT_SIMULATOR = """
import sys, types
from pathlib import Path
from tests.sweep import fake_simulators as fake
import sparsesim.trace
from sparsesim.machines.registry import load_machine
from sparsesim.sweep.evaluation import Point, evaluate

def run(trace, machine, **options):
    import numba
    print("threads", numba.get_num_threads())
    return fake.simulate(trace, machine, **options)

sys.modules["sparsesim.simulate"] = types.ModuleType("sparsesim.simulate")
sys.modules["sparsesim.simulate"].run = run
path = Path(sys.argv[1])
sha256 = sparsesim.trace.load(path).sha256()
point = Point({}, load_machine("sat"), path, "net", sha256, "", "", "fast", 0)
print(evaluate(point, None).values["pes"])
"""


def test_default_simulator_runs_on_one_thread(tmp_path: Path) -> None:
    path = fake.save_trace(tmp_path / "net.trace")
    done = subprocess.run(
        [sys.executable, "-c", DEFAULT_SIMULATOR, str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "NUMBA_NUM_THREADS": "2"},
    )
    assert done.stdout.splitlines() == ["threads 1", "1024"], done.stderr


def test_errors_are_one_line() -> None:
    assert one_line_error(CheckError("stepped\n and fast differ")) == "stepped and fast differ"
    assert one_line_error(KeyError("pes")) == "KeyError: 'pes'"
    assert one_line_error(MemoryError()) == "MemoryError"
