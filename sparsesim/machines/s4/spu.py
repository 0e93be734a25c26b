"""One SPU as its kernels see it: sizes and rates of the unit, and the columns of an outcome.

docs/s4.md section 1 gives the ports and the clock rules that both cores follow.
"""

from __future__ import annotations

from math import ceil, gcd
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sparsesim.machines.s4.spec import S4Spec

#: Columns of a run's outcome: clocks by cause, then what moved.
(
    BUSY,
    IMBALANCE,
    INPUT_ACTIVATIONS,
    INPUT_WEIGHTS,
    OUTPUT,
    FILL_DRAIN,
    STEPS,
    PAIRS,
    ROWS,
    RESULTS,
) = range(10)
OUTCOME_COLUMNS = 10
#: The columns that are clocks: they add up to the run's length.
CLOCKS = slice(BUSY, FILL_DRAIN + 1)

#: Clocks from the issue of a step to its product in the adder's register.
SELECT_MULTIPLY = 2

Numbers = npt.NDArray[np.int64]


class SpuShape(NamedTuple):
    """Constants of one SPU at one precision; plain integers."""

    rows: int  # activation rows, Mt
    cols: int  # filters, Nt
    group: int  # activations in a group, G
    act_rows: int  # group rows that enter the activation FIFO per clock
    act_capacity: int  # group rows the activation FIFO holds
    weight_clocks: int  # clocks in which one step of weights arrives
    weight_depth: int  # steps the weight FIFO holds
    step_clocks: int  # clocks from one step to the next: the adder's latency
    drain_width: int  # results that leave per clock (of one row)
    quant_latency: int  # clocks of requantisation


def spu_shape(spec: S4Spec, dense: bool, precision: str = "") -> SpuShape:
    """The SPU of `spec` at a precision (default: the machine's); dense steps carry no indices.

    Beside its whole groups, the activation FIFO has room for the rest of a word that straddles two.
    Without it a port of 12 rows per clock feeds groups of 16 rows slower than one of 8 does.
    """
    wide = (precision or spec.precision) == "bf16"
    element = 2 if wide else 1
    bits = spec.cols * (8 * element + (0 if dense else spec.index_bits))
    act_rows = max(1, min(spec.rows, spec.act_port_bytes // (spec.group * element)))
    return SpuShape(
        rows=spec.rows,
        cols=spec.cols,
        group=spec.group,
        act_rows=act_rows,
        act_capacity=spec.act_fifo_groups * spec.rows + act_rows - gcd(spec.rows, act_rows),
        weight_clocks=ceil(bits / 8 / spec.weight_port_bytes),
        weight_depth=spec.weight_fifo_steps,
        step_clocks=spec.bf16_step_clocks if wide else 1,
        drain_width=spec.drain_results,
        quant_latency=spec.quant_latency,
    )


class Run(NamedTuple):
    """What one SPU computes in one go: for each tile of rows, every tile of filters.

    Attributes:
        rows_used: (R,) live rows of each row tile.
        lap: row tiles after which `rows_used` repeats, up to row tile `regular`.
        cols_used: (C,) live filters of each filter tile.
        steps: (C, J) weight steps of each group; 0 = the group is skipped by all lanes.
        pairs: (C, J) pairs that do work in these steps.
    """

    rows_used: Numbers
    lap: int
    regular: int
    cols_used: Numbers
    steps: Numbers
    pairs: Numbers
