"""The update lane as a unit: its manifest, its stimuli, and its models by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.arith import float_adder, float_multiplier
from hw.sat.wuve import Wuve
from hw.sat.wuve_reference import run_reference
from hw.sat.wuve_stimuli import stimulus
from hw.units import Trace
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.update_lane_ports import UpdateStimulus, update_lane_spec


class WuveUnit:
    """A lane of a SAT machine's weight update engine."""

    def __init__(self, machine: SatSpec):
        self.spec = update_lane_spec(machine)

    def component(self) -> Wuve:
        return Wuve(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.sat.stepped_update_engine import run_update_lane  # compiles

        return {
            "stepped": lambda inputs: run_update_lane(
                self.spec, UpdateStimulus(**inputs)
            )._asdict(),
            "reference": lambda inputs: run_reference(
                self.spec, UpdateStimulus(**inputs)
            )._asdict(),
        }

    def meanings(self) -> Mapping[str, str]:
        still = "binary32; stands still while elements are inside"
        return {
            "i_valid": "an element stands on the input",
            "i_ready": "the element is taken; follows o_ready in the same clock",
            "i_gradient": "gradient of the weight, binary16",
            "i_weight": "master weight, binary32",
            "i_velocity": "momentum buffer, binary32",
            "i_pruned": "the weight is masked: it decays by decay_pruned",
            "learning_rate": still,
            "momentum": still,
            "decay": f"weight decay of a kept weight, {still}",
            "decay_pruned": f"of a masked weight (SR-STE: weight decay + lambda), {still}",
            "o_valid": "a result stands on the output",
            "o_ready": "the result is taken",
            "o_weight": "new master weight, binary32; 0 where not valid",
            "o_velocity": "new momentum buffer, binary32; 0 where not valid",
            "o_half": "new weight, binary16; 0 where not valid",
        }

    def description(self) -> dict[str, Any]:
        mul, add = self.spec.mul_latency, self.spec.add_latency
        return {
            "summary": "Lane of the weight update engine of the SAT machine (docs/rtl.md)",
            "parameters": self.spec.model_dump(),
            "initiation_interval_clocks": 1,
            "latencies_clocks": {
                "element_to_result": 2 * mul + 3 * add + 1,
                "product": mul,
                "sum": add,
            },
            "multiplier_registers_after": [*float_multiplier.REGISTERED_STEPS[mul], "round"],
            "adder_registers_after": [*float_adder.REGISTERED_STEPS[add], "round"],
            "number_formats": {
                "gradient, half": "IEEE 754 binary16",
                "all else": "IEEE 754 binary32",
            },
            "rounding": {
                "every operation": "once, to nearest, ties to even",
                "subnormals": "kept",
                "nan": "canonical 0x7fc00000 from every operator, 0x7e00 in half",
            },
            "models": {
                "stepped_core": "sparsesim.machines.sat.stepped_update_engine:run_update_lane",
                "golden_model": "hw.sat.wuve_reference:run_reference",
            },
        }


UNIT = WuveUnit
