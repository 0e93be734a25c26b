"""Do whole training steps of a captured network give one result in both fidelities?"""

from __future__ import annotations

import pytest

from sparsesim.simulate import run
from workloads.extract import extract

OPTIONS = [
    {},
    {"fusion": "drain", "dataflow": "os", "interleave": 1},
    {"fusion": "none", "weight_reduction": "online", "dataflow": "ws", "dram_bandwidth": 2e9},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["default", "drain-os", "online-ws"])
@pytest.mark.parametrize("method", ["dense", "srste", "sdgp", "sdwp", "bdwp"])
def test_fast_equals_stepped(method: str, options: dict[str, object]) -> None:
    trace = extract("digits_cnn", prune="nm:2:8", method=method, batch=2, lazy=True)
    machine = {"rows": 8, "cols": 8, "act_banks": 8, **options}
    fast = run(trace, "sat", overrides=machine)
    stepped = run(trace, "sat", overrides=machine, fidelity="stepped")
    assert fast.operators == stepped.operators
    assert fast.engines == stepped.engines
    assert fast.total_cycles == stepped.total_cycles
    sparse = any(op.macs_effective < op.macs_dense for op in fast.operators)
    assert sparse == (method != "dense")
