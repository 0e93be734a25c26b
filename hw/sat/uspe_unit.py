"""The USPE as a unit: its manifest, its stimuli, and its ports as the models name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.arith.float_adder import REGISTERED_STEPS
from hw.sat.uspe import Uspe
from hw.sat.uspe_reference import run_reference
from hw.sat.uspe_stimuli import stimulus
from hw.units import Trace
from sparsesim.machines.sat.spec import SatSpec, UspeSpec
from sparsesim.machines.sat.uspe_ports import UspeResponse, UspeStimulus

_OPERATION = {
    "mac": "multiply and accumulate",
    "drain": "send the accumulator south",
    "first": "first product of a sum: the addend is 0 (os) or the word from the north",
    "last": "last product of a sum: unless os, the sum leaves to the south",
    "os": "output-stationary: the weight is the one on w_i, the sum stays in the PE",
    "slot": "weight register; below n_max",
    "acc": "accumulator; below interleave",
}
_WEIGHT = {
    "load": "write a weight register of the row named",
    "row": "rows still to go south; 0 is this PE",
    "slot": "weight register; below n_max",
    "value": "weight, binary16",
    "index": "position of the weight in the block of activations",
}
_PARTIAL_SUM = {"valid": "a word stands on value", "value": "partial sum, binary32"}


class UspeUnit:
    """The unified sparse PE of a SAT machine."""

    def __init__(self, machine: SatSpec):
        self.spec = machine.uspe

    def component(self) -> Uspe:
        return Uspe(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return input_trace(stimulus(self.spec, seed, case))

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.sat.stepped_uspe import run_uspe  # compiles with Numba

        return {
            "stepped": lambda inputs: output_trace(run_uspe(self.spec, _stimulus_of(inputs))),
            "reference": lambda inputs: output_trace(
                run_reference(self.spec, _stimulus_of(inputs))
            ),
        }

    def meanings(self) -> Mapping[str, str]:
        meanings = {"en": "clock enable: low freezes every register"}
        for side, place in (("i", "from the west"), ("o", "to the east, one clock later")):
            meanings[f"a_{side}"] = (
                f"{self.spec.m_max} activations, binary16, element 0 in the low bits, {place}"
            )
            for field, text in _OPERATION.items():
                meanings[f"op_{side}_{field}"] = f"{text}; {place}"
        for side, place in (("i", "from the north"), ("o", "to the south, one clock later")):
            for field, text in _WEIGHT.items():
                meanings[f"w_{side}_{field}"] = f"{text}; {place}"
        for side, place in (("i", "from the north"), ("o", "to the south")):
            for field, text in _PARTIAL_SUM.items():
                meanings[f"p_{side}_{field}"] = f"{text}; {place}"
        return meanings

    def description(self) -> dict[str, Any]:
        return describe(self.spec)


def describe(spec: UspeSpec) -> dict[str, Any]:
    """Manifest of a USPE: parameters, latencies in clocks, formats and models."""
    return {
        "summary": "Unified sparse processing element of the SAT machine (docs/sat.md section 1)",
        "parameters": spec.model_dump(),
        "initiation_interval_clocks": 1,
        "latencies_clocks": {
            "forward": 1,
            "pass": 1,
            "drain": 1,
            "operands_to_product": spec.mul_latency,
            "addend_to_sum": spec.add_latency,
            "operands_to_result": spec.mul_latency + spec.add_latency,
        },
        "adder_registers_after": [*REGISTERED_STEPS[spec.add_latency], "round"],
        "number_formats": {"operands": "IEEE 754 binary16", "sums": "IEEE 754 binary32"},
        "rounding": {
            "product": "exact",
            "sum": "to nearest, ties to even",
            "subnormals": "kept",
            "nan": "canonical 0x7fc00000 from every operator; words that pass are not changed",
        },
        "models": {
            "stepped_core": "sparsesim.machines.sat.stepped_uspe:run_uspe",
            "golden_model": "hw.sat.uspe_reference:run_reference",
        },
    }


def input_trace(stimulus: UspeStimulus) -> Trace:
    """A stimulus by port name."""
    return {_port(name, "i"): field for name, field in stimulus._asdict().items()}


def output_trace(response: UspeResponse) -> Trace:
    """A response by port name."""
    return {_port(name, "o"): field for name, field in response._asdict().items()}


def _stimulus_of(inputs: Trace) -> UspeStimulus:
    return UspeStimulus(*(inputs[_port(name, "i")] for name in UspeStimulus._fields))


def _port(field: str, side: str) -> str:
    """`op_mac` of the inputs is the port `op_i_mac`; the enable has no side."""
    if field == "en":
        return field
    group, *rest = field.split("_")
    return "_".join([group, side, *rest])


UNIT = UspeUnit
