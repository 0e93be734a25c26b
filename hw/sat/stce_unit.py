"""The array as a unit: its manifest, its stimuli, and its stepped core by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.sat.stce import Stce
from hw.sat.stce_stimuli import stimulus
from hw.units import Trace
from sparsesim.machines.sat.array_ports import ArraySpec, ArrayStimulus, array_spec
from sparsesim.machines.sat.spec import SatSpec

#: Largest array that `verify` compares; every kind of place in an array occurs in it.
_VERIFIED_ROWS = 4
_VERIFIED_COLS = 3
_VERIFIED_DEPTH = 64


class StceUnit:
    """The array of a SAT machine with its edge buffers and control."""

    bench_cases = 1

    def __init__(self, machine: SatSpec):
        self.spec = array_spec(machine)

    def verified(self) -> StceUnit:
        """The array with the same PEs, but few of them, and shallow buffers."""
        pe = self.spec.pe.model_copy(update={"rows": min(self.spec.rows, _VERIFIED_ROWS)})
        return StceUnit.of(
            ArraySpec(
                pe=pe,
                cols=min(self.spec.cols, _VERIFIED_COLS),
                west_blocks=_VERIFIED_DEPTH,
                north_entries=_VERIFIED_DEPTH,
                south_words=_VERIFIED_DEPTH,
            )
        )

    @classmethod
    def of(cls, spec: ArraySpec) -> StceUnit:
        """The unit of an array of any size."""
        unit = cls.__new__(cls)
        unit.spec = spec
        return unit

    def component(self, *, instances: bool = True) -> Stce:
        return Stce(self.spec, instances=instances)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.sat.stepped_array import run_array  # compiles with Numba

        return {"stepped": lambda inputs: run_array(self.spec, ArrayStimulus(**inputs))._asdict()}

    def meanings(self) -> Mapping[str, str]:
        spec = self.spec
        return {
            "a_valid": "write one block of activations into a west buffer",
            "a_ready": "always high",
            "a_row": "array row of the buffer",
            "a_address": f"of the block; below {spec.west_blocks}",
            "a_block": f"{spec.pe.m_max} activations, binary16, element 0 in the low bits",
            "w_valid": "write one weight into each north buffer",
            "w_ready": "always high",
            "w_address": f"of the weights; below {spec.north_entries}",
            "w_value": f"{spec.cols} weights, binary16, column 0 in the low bits",
            "w_index": f"{spec.cols} positions in the block, 8 bits each, column 0 in the low bits",
            "start_valid": "begin a pass",
            "start_ready": "no pass runs",
            "start_os": "output-stationary, else weight-stationary",
            "start_kept": "N: kept values per group; 1 to n_max",
            "start_used": "accumulators used (output-stationary); 1 to interleave",
            "start_accumulate": "add the results to what the south buffers hold",
            "start_a_base": "first block of the pass in the west buffers",
            "start_w_base": "first weight of the pass in the north buffers",
            "start_o_base": "first result of the pass in the south buffers",
            "unit_valid": "the west buffers hold one more fetch unit",
            "unit_ready": "the unit is taken",
            "unit_count": "its result rows (weight-stationary) or groups (output-stationary)",
            "unit_last": "it is the last of the pass",
            "busy": "a clock of the pass, as the simulator counts them",
            "frozen": "the array stands still: the next unit is not there",
            "p_valid": "words leave the last row, one bit per column",
            "p_value": f"{spec.cols} partial sums, binary32, column 0 in the low bits",
            "o_read": "read the south buffers; only while no pass runs",
            "o_address": f"of the results; below {spec.south_words}",
            "o_valid": "the results read one clock before stand on o_data",
            "o_data": f"{spec.cols} results, binary32, column 0 in the low bits; 0 if not valid",
        }

    def description(self) -> dict[str, Any]:
        spec = self.spec
        return {
            "summary": f"Array of {spec.rows} x {spec.cols} PEs of the SAT machine (docs/rtl.md)",
            "parameters": {
                **spec.pe.model_dump(),
                **spec.model_dump(exclude={"pe"}),
            },
            "latencies_clocks": {
                "start_to_first_clock_of_the_pass": 2,
                "read": 1,
                "product": spec.pe.mul_latency,
                "sum": spec.pe.add_latency,
            },
            "number_formats": {"operands": "IEEE 754 binary16", "sums": "IEEE 754 binary32"},
            "rounding": {
                "product": "exact",
                "sum": "to nearest, ties to even",
                "subnormals": "kept",
                "nan": "canonical 0x7fc00000",
            },
            "memories": "written before they are read; not reset; a read beside a write of the "
            "same address gives the old word",
            "models": {"stepped_core": "sparsesim.machines.sat.stepped_array:run_array"},
        }


UNIT = StceUnit
