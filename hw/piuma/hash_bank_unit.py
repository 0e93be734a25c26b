"""The hash-scratchpad bank as a unit: its manifest, its stimuli, and its models by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.arith.float_adder import REGISTERED_STEPS as REGISTERS
from hw.cosim.trace_words import Trace
from hw.piuma.hash_bank import HashBank, adder_latency
from hw.piuma.hash_bank_reference import run_reference
from hw.piuma.hash_bank_stimuli import stimulus
from sparsesim.machines.piuma.hash_bank_ports import (
    OPERATIONS,
    HashBankSpec,
    HashBankStimulus,
    hash_bank_spec,
)
from sparsesim.machines.piuma.spec import PiumaSpec

#: Slots of the bank that `verify` compares; a full bank only has more of the same address bits.
_VERIFIED_SLOTS = 32


class HashBankUnit:
    """A scratchpad bank of a PIUMA machine."""

    bench_cases = 20

    def __init__(self, machine: PiumaSpec | HashBankSpec):
        self.spec = machine if isinstance(machine, HashBankSpec) else hash_bank_spec(machine)

    def verified(self) -> HashBankUnit:
        """The same bank with a table small enough for its regions to cover it."""
        slots = min(self.spec.slots, _VERIFIED_SLOTS)
        return HashBankUnit(self.spec.model_copy(update={"slots": slots}))

    def component(self) -> HashBank:
        return HashBank(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.piuma.stepped_hash_bank import run_hash_bank  # compiles with Numba

        return {
            "stepped": lambda inputs: run_hash_bank(
                self.spec, HashBankStimulus(**inputs)
            )._asdict(),
            "reference": lambda inputs: run_reference(
                self.spec, HashBankStimulus(**inputs)
            )._asdict(),
        }

    def meanings(self) -> Mapping[str, str]:
        operations = ", ".join(f"{code} {name}" for code, name in enumerate(OPERATIONS))
        return {
            "i_valid": "a request stands on the input",
            "i_ready": "the request is taken; depends on o_ready in the same clock",
            "i_op": f"operation: {operations}",
            "i_address": "word (tags, then values); of hash operations the region's first slot",
            "i_slot": "home slot in the region",
            "i_mask": "slots of the region - 1; of fill: words - 1",
            "i_tag": "tag; of cas: what is compared",
            "i_value": "addend (binary64 or integer); of st, cas, fill: what is written",
            "o_valid": "a response stands on the output",
            "o_ready": "the response is taken",
            "o_status": "0 done, 1 done and a slot was claimed, 2 the region is full",
            "o_slot": "slot in the region that holds the tag; 0 of other operations",
            "o_value": "the word before the operation; 0 after st, fill and when full",
        }

    def description(self) -> dict[str, Any]:
        atomic = self.spec.atomic_cycles
        return {
            "summary": "Hash-scratchpad bank of the PIUMA machine (docs/rtl.md)",
            "parameters": self.spec.model_dump(),
            "latencies_clocks": {
                "ld, st": 1,
                "cas, aadd, afadd": atomic,
                "fill, per word": 1,
                "hash operation, per probe": atomic,
                "hash operation, sum": atomic,
            },
            "adder_registers_after": [*REGISTERS[adder_latency(self.spec)], "write"],
            "number_formats": {"afadd": "IEEE 754 binary64", "aadd": "64 bits, wraps"},
            "rounding": {
                "every sum": "once, to nearest, ties to even",
                "subnormals": "kept",
                "nan": "canonical 0x7ff8000000000000",
            },
            "memory": "not reset: fill the tags of a region with all ones before it is used",
            "models": {
                "stepped_core": "sparsesim.machines.piuma.stepped_hash_bank:run_hash_bank",
                "golden_model": "hw.piuma.hash_bank_reference:run_reference",
            },
        }


UNIT = HashBankUnit
