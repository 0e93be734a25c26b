"""The sorter lane as a unit: its manifest, its stimuli, and its models by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.sat.sore import Sore
from hw.sat.sore_reference import run_reference
from hw.sat.sore_stimuli import stimulus
from hw.units import Trace
from sparsesim.machines.sat.sorter_ports import SorterStimulus, sorter_spec
from sparsesim.machines.sat.spec import SatSpec


class SoreUnit:
    """The N:M sorter lane of a SAT machine."""

    def __init__(self, machine: SatSpec):
        self.spec = sorter_spec(machine)

    def component(self) -> Sore:
        return Sore(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.sat.stepped_sorter import run_sorter  # compiles with Numba

        return {
            "stepped": lambda inputs: run_sorter(self.spec, SorterStimulus(**inputs))._asdict(),
            "reference": lambda inputs: run_reference(
                self.spec, SorterStimulus(**inputs)
            )._asdict(),
        }

    def meanings(self) -> Mapping[str, str]:
        return {
            "i_valid": "a value stands on i_value",
            "i_ready": "the value is taken; depends on i_last and o_ready in the same clock",
            "i_value": "value, binary16",
            "i_last": "last value of its group; the m_max-th is the last in any case",
            "keep": "N: values kept of the group that ends in this clock; more than n_max is n_max",
            "o_valid": "a kept value stands on o_value",
            "o_ready": "the kept value is taken",
            "o_value": "kept value, binary16, bit for bit as it came; 0 where not valid",
            "o_index": "its position in the group; 0 where not valid",
            "o_last": "last kept value of its group",
        }

    def description(self) -> dict[str, Any]:
        return {
            "summary": "N:M sorter lane of the SAT machine (docs/rtl.md)",
            "parameters": self.spec.model_dump(),
            "initiation_interval_clocks": 1,
            "latencies_clocks": {"last_value_to_first_kept": 1},
            "number_formats": {"values": "IEEE 754 binary16, compared as sign and magnitude"},
            "order": {
                "ties": "the lower position is kept",
                "nan": "a NaN ranks above infinity, infinity above all numbers",
            },
            "models": {
                "stepped_core": "sparsesim.machines.sat.stepped_sorter:run_sorter",
                "golden_model": "hw.sat.sore_reference:run_reference",
            },
        }


UNIT = SoreUnit
