"""The BF16 lanes as a unit: their manifest, their stimuli, and their models by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.arith.float_adder import REGISTERED_STEPS
from hw.cosim.trace_words import Trace
from hw.s4.bf16_tile import Bf16Tile
from hw.s4.bf16_tile_reference import run_reference
from hw.s4.bf16_tile_stimuli import stimulus
from sparsesim.machines.s4.bf16_tile_ports import Bf16TileSpec, Bf16TileStimulus, bf16_tile_spec
from sparsesim.machines.s4.spec import S4Spec

#: Largest size that `verify` compares: a larger tile has more of the same lanes.
_VERIFIED = {"rows": 2, "cols": 3, "group": 8, "drain_results": 2}


class Bf16Unit:
    """The BF16 lanes, accumulators and drain of an S4 machine's SPU."""

    bench_cases = 2

    def __init__(self, machine: S4Spec | Bf16TileSpec):
        self.spec = machine if isinstance(machine, Bf16TileSpec) else bf16_tile_spec(machine)

    def verified(self) -> Bf16Unit:
        """The same tile with fewer lanes; a drain of several words per row where it is narrower."""
        small = {key: min(getattr(self.spec, key), most) for key, most in _VERIFIED.items()}
        return Bf16Unit(self.spec.model_copy(update=small))

    def component(self) -> Bf16Tile:
        return Bf16Tile(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.s4.stepped_bf16_tile import run_bf16_tile  # compiles with Numba

        return {
            "stepped": lambda inputs: run_bf16_tile(
                self.spec, Bf16TileStimulus(**inputs)
            )._asdict(),
            "reference": lambda inputs: run_reference(
                self.spec, Bf16TileStimulus(**inputs)
            )._asdict(),
        }

    def meanings(self) -> Mapping[str, str]:
        return {
            "a_valid": "a group of activations stands on the input",
            "a_ready": "the group is taken, with its last step; depends on w and o_ready",
            "a_values": "bfloat16 activations, row after row, channel 0 in the low bits",
            "w_valid": "a step of weights stands on the input",
            "w_ready": "the step is taken; depends on a_valid and o_ready in the same clock",
            "w_values": "bfloat16 weights, one per filter",
            "w_live": "one bit per filter: an idle lane adds +0",
            "w_indices": "position in the group, one per filter",
            "w_group_last": "last step of its group",
            "w_tile_last": "last step of its tile (and group)",
            "o_valid": "a word of results stands on the output",
            "o_ready": "the word is taken; everything stands still otherwise",
            "o_values": "bfloat16 results of one row, ascending filters; 0 where not valid",
            "o_last": "last word of its tile",
        }

    def description(self) -> dict[str, Any]:
        latency, step = self.spec.quant_latency, self.spec.step_clocks
        return {
            "summary": "BF16 lanes of the SPU of the S4 machine (docs/rtl.md)",
            "parameters": self.spec.model_dump(),
            "initiation_interval_clocks": step,
            "latencies_clocks": {
                "select": 1,
                "multiply": 1,
                "accumulate": step,
                "last_step_to_first_word": 3 + step + latency,
                "words_of_a_tile": self.spec.tile_words,
            },
            "adder_registers_after": [*REGISTERED_STEPS[step], "round"],
            "number_formats": {"activations, weights, results": "bfloat16", "sums": "binary32"},
            "rounding": {
                "product": "exact; subnormal operands and results below 2^-126 are zeros",
                "sum": "to nearest, ties to even, step after step",
                "result": "to nearest, ties to even",
                "nan": "canonical 0x7fc0",
            },
            "models": {
                "stepped_core": "sparsesim.machines.s4.stepped_bf16_tile:run_bf16_tile",
                "golden_model": "hw.s4.bf16_tile_reference:run_reference",
            },
        }


UNIT = Bf16Unit
