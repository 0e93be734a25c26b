"""PEs with one dataflow, the yardstick of what the unified PE costs: they equal its reference."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from hw.cosim.amaranth_simulation import AmaranthSimulation
from hw.sat.uspe import Uspe
from hw.sat.uspe_reference import run_reference
from hw.sat.uspe_stimuli import stimulus
from hw.sat.uspe_unit import input_trace, output_trace
from sparsesim.machines.sat.spec import UspeSpec

DENSE = UspeSpec(rows=4, m_max=1, n_max=1, interleave=2, mul_latency=2, add_latency=2)
SPARSE = DENSE.model_copy(update={"m_max": 4, "n_max": 2})

#: What a PE without the other dataflow is never asked for.
ASKED = {
    ("ws", DENSE): {"op_os": 0, "op_drain": 0, "op_first": 1, "op_last": 1, "w_index": 0},
    ("ws", SPARSE): {"op_os": 0, "op_drain": 0},
    ("os", DENSE): {"op_os": 1, "op_slot": 0, "w_load": 0, "w_row": 0, "w_index": 0},
    ("os", SPARSE): {"op_os": 1, "op_slot": 0, "w_load": 0, "w_row": 0, "w_slot": 0},
}


def mismatches(dataflows, spec, asked):
    """Differences over the ports that carry something, and the words that left to the south."""
    simulation = AmaranthSimulation(Uspe(spec, dataflows))
    wrong = words = 0
    for case in range(8):
        made = stimulus(spec, 3, case)
        made = made._replace(
            **{name: np.full_like(getattr(made, name), value) for name, value in asked.items()}
        )
        clocks = len(made.en)
        expected = output_trace(run_reference(spec, made))
        # From reset: the clock before.
        inputs = {name: np.concatenate((column[:1], column)) for name, column in
                  input_trace(made).items()}  # fmt: skip
        inputs["rst"] = np.arange(clocks + 1) == 0
        rows = simulation.run(simulation.inputs.pack(inputs, clocks + 1))
        seen = simulation.outputs.unpack(rows, {"a_o": np.dtype(np.uint16)})
        for name in ("a_o", "op_o_mac", "w_o_value", "p_o_valid", "p_o_value"):
            found = seen[name][1:].reshape(expected[name].shape)
            wrong += int((found != expected[name]).sum())
        words += int(expected["p_o_valid"].sum())
    return wrong, words


@pytest.mark.parametrize(("dataflows", "spec"), list(ASKED))
def test_a_pe_with_one_dataflow_equals_the_reference_within_it(dataflows, spec):
    wrong, words = mismatches(dataflows, spec, ASKED[dataflows, spec])
    assert wrong == 0
    assert words > 50


@pytest.mark.parametrize("dataflows", ["ws", "os"])
def test_it_lacks_the_other(dataflows):
    other = "os" if dataflows == "ws" else "ws"
    assert mismatches(dataflows, SPARSE, ASKED[other, SPARSE])[0] > 0
