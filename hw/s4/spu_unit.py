"""The SPU tile as a unit: its manifest, its stimuli, and its models by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.cosim.trace_words import Trace
from hw.s4.requantiser import REGISTERED_STEPS
from hw.s4.spu_tile import SpuTile
from hw.s4.spu_tile_reference import run_reference
from hw.s4.spu_tile_stimuli import stimulus
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.machines.s4.spu_tile_ports import SpuTileSpec, SpuTileStimulus, spu_tile_spec

#: Largest size that `verify` compares: a larger tile has more of the same lanes.
_VERIFIED = {"rows": 3, "cols": 5, "group": 8, "drain_results": 2}


class SpuUnit:
    """The INT8 lanes, accumulators and drain of an S4 machine's SPU."""

    bench_cases = 2

    def __init__(self, machine: S4Spec | SpuTileSpec):
        self.spec = machine if isinstance(machine, SpuTileSpec) else spu_tile_spec(machine)

    def verified(self) -> SpuUnit:
        """The same tile with fewer lanes; a drain of several words per row where it is narrower."""
        small = {key: min(getattr(self.spec, key), most) for key, most in _VERIFIED.items()}
        return SpuUnit(self.spec.model_copy(update=small))

    def component(self) -> SpuTile:
        return SpuTile(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.s4.stepped_spu_tile import run_spu_tile  # compiles with Numba

        return {
            "stepped": lambda inputs: run_spu_tile(self.spec, SpuTileStimulus(**inputs))._asdict(),
            "reference": lambda inputs: run_reference(
                self.spec, SpuTileStimulus(**inputs)
            )._asdict(),
        }

    def meanings(self) -> Mapping[str, str]:
        return {
            "a_valid": "a group of activations stands on the input",
            "a_ready": "the group is taken, with its last step; depends on w and o_ready",
            "a_values": "INT8 activations, row after row, channel 0 in the low bits",
            "w_valid": "a step of weights stands on the input",
            "w_ready": "the step is taken; depends on a_valid and o_ready in the same clock",
            "w_values": "INT8 weights, one per filter; 0 in an idle lane",
            "w_indices": "position in the group, one per filter",
            "w_group_last": "last step of its group",
            "w_tile_last": "last step of its tile (and group)",
            "q_valid": "constants of a filter stand on the input",
            "q_ready": "they are taken; follows o_ready in the same clock",
            "q_column": "which filter",
            "q_bias": "added to the sum, INT32",
            "q_multiplier": "INT16",
            "q_shift": "right shift after the product, 0 to 63",
            "relu": "the smallest result is 0, not -128",
            "o_valid": "a word of results stands on the output",
            "o_ready": "the word is taken; everything stands still otherwise",
            "o_values": "INT8 results of one row, ascending filters; 0 where not valid",
            "o_last": "last word of its tile",
        }

    def description(self) -> dict[str, Any]:
        latency = self.spec.quant_latency
        return {
            "summary": "INT8 SPU tile of the S4 machine (docs/rtl.md)",
            "parameters": self.spec.model_dump(),
            "initiation_interval_clocks": 1,
            "latencies_clocks": {
                "select": 1,
                "multiply": 1,
                "accumulate": 1,
                "last_step_to_first_word": 4 + latency,
                "words_of_a_tile": self.spec.tile_words,
            },
            "requantiser_registers_after": list(REGISTERED_STEPS[min(4, latency)]),
            "number_formats": {
                "activations, weights, results": "INT8",
                "sums": "INT32, wrap",
                "multiplier": "INT16",
            },
            "rounding": {"requantisation": "to nearest, halves up, then saturation"},
            "models": {
                "stepped_core": "sparsesim.machines.s4.stepped_spu_tile:run_spu_tile",
                "golden_model": "hw.s4.spu_tile_reference:run_reference",
            },
        }


UNIT = SpuUnit
