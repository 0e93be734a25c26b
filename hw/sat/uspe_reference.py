"""The rules of the USPE (docs/sat.md section 1) as plain NumPy, one clock after the other.

Written from the rules and not from the hardware: there are no pipeline registers here, only
lists of what happens at which clock.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparsesim.machines.sat.spec import UspeSpec
from sparsesim.machines.sat.uspe_ports import UspeResponse, UspeStimulus, quiet

_QUIET_NAN = 0x7FC00000


class _Issue(NamedTuple):
    """A product on its way to the adder."""

    product: int
    first: bool
    last: bool
    os: bool
    acc: int


class _Landing(NamedTuple):
    """A sum on its way to its accumulator."""

    total: int
    acc: int
    result: bool


def run_reference(spec: UspeSpec, stimulus: UspeStimulus) -> UspeResponse:
    """Respond to a stimulus from reset.

    A frozen clock (`en` low) changes nothing, so the PE sees only the enabled clocks, and each
    clock shows what stands after the enabled clocks before it.
    """
    enabled = stimulus.en
    moves = UspeStimulus._make(field[enabled] for field in stimulus)
    states = _respond(spec, moves)
    enabled_before = np.cumsum(enabled, dtype=np.int64) - enabled
    return UspeResponse._make(field[enabled_before] for field in states)


def product_bits(a: int, b: int) -> int:
    """FP16 bits times FP16 bits as FP32 bits (exact), NaN canonical."""
    pair = np.array([a, b], dtype=np.uint16).view(np.float16).astype(np.float32)
    return _bits(pair[0] * pair[1])


def sum_bits(x: int, y: int) -> int:
    """FP32 bits plus FP32 bits as FP32 bits, rounded once to nearest even, NaN canonical."""
    pair = np.array([x, y], dtype=np.uint32).view(np.float32)
    return _bits(pair[0] + pair[1])


def _bits(value: np.float32) -> int:
    return _QUIET_NAN if np.isnan(value) else int(value.view(np.uint32))


def _respond(spec: UspeSpec, moves: UspeStimulus) -> UspeResponse:
    """What stands on the outputs at clocks 0 to T, given the inputs of T enabled clocks."""
    clocks = len(moves.en)
    still = quiet(spec, clocks + 1)
    out = UspeResponse(**{name: getattr(still, name) for name in UspeResponse._fields})

    # Rules 1 and 2: what goes on to the neighbours.
    for name in UspeResponse._fields:
        if not name.startswith("p_"):
            getattr(out, name)[1:] = getattr(moves, name)
    goes_on = moves.w_load & (moves.w_row > 0)
    out.w_load[1:] = goes_on
    out.w_row[1:] = np.where(goes_on, moves.w_row - 1, moves.w_row)

    weights = [(0, 0)] * spec.n_max
    accumulators = [0] * spec.interleave
    at_adder: dict[int, _Issue] = {}
    landings: dict[int, _Landing] = {}
    passing: int | None = None
    with np.errstate(all="ignore"):
        for t in range(clocks + 1):
            # Rule 5, then rule 7: sums that are there from clock t on, and what p_o shows.
            landing = landings.pop(t, None)
            if landing:
                accumulators[landing.acc] = landing.total
            shown = landing.total if landing and landing.result else passing
            out.p_valid[t] = shown is not None
            out.p_value[t] = shown or 0
            if t == clocks:
                break

            # Rule 4: the product that is at the adder now.
            north = int(moves.p_value[t]) if moves.p_valid[t] else None
            issue = at_adder.pop(t, None)
            if issue:
                if not issue.first:
                    addend = accumulators[issue.acc]
                elif issue.os:
                    addend = 0
                else:
                    addend = north or 0
                    north = None
                landings[t + spec.add_latency] = _Landing(
                    sum_bits(addend, issue.product), issue.acc, issue.last and not issue.os
                )

            # Rule 6: a drain, else the word that was not taken.
            passing = accumulators[moves.op_acc[t]] if moves.op_drain[t] else north

            # Rule 3, then the load of rule 2, which the multiplier does not see yet.
            if moves.op_mac[t]:
                value, index = weights[moves.op_slot[t]]
                if moves.op_os[t]:
                    value, index = moves.w_value[t], moves.w_index[t]
                at_adder[t + spec.mul_latency] = _Issue(
                    product_bits(moves.a[t, index], value),
                    bool(moves.op_first[t]),
                    bool(moves.op_last[t]),
                    bool(moves.op_os[t]),
                    int(moves.op_acc[t]),
                )
            if moves.w_load[t] and moves.w_row[t] == 0:
                weights[moves.w_slot[t]] = (int(moves.w_value[t]), int(moves.w_index[t]))
    return out
