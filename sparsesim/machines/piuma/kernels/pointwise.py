"""ReLU, and the sum of two arrays: each thread takes every so-manieth element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparsesim.machines.piuma.kernels.rowwise import FINISHED
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.memory_image import Region, region
from sparsesim.machines.piuma.spec import PiumaSpec

Floats = npt.NDArray[np.float64]

TEXT = """
multi:
    bne   gtid, zero, started
    mark  1
started:
    add   k, gtid, 0
element:
    bge   k, ELEMENTS, finished
    ld    x, X + k
{function}
    st    x, C_VAL + k
    add   k, k, THREADS
    jmp   element
"""
#: By function; the sign of a float is the sign of its word.
FUNCTIONS = {
    "relu": """
    bge   x, zero, positive
    add   x, zero, 0
positive:
""",
    "add": """
    ld    y, Y + k
    fadd  x, x, y
""",
}
INPUTS = {"relu": 1, "add": 2}
PHASES = {1: "pointwise", 3: "finishing"}


@dataclass(frozen=True, eq=False)
class Pointwise:
    """`function`, a key of `FUNCTIONS`, applied to each element of its inputs (equal sizes)."""

    function: str
    inputs: tuple[Floats, ...]

    @property
    def elements(self) -> int:
        return self.inputs[0].size

    @property
    def expected(self) -> Floats:
        """What the kernel computes; exact, since no sum is longer than two."""
        if self.function == "relu":
            return np.maximum(self.inputs[0], 0.0)
        return self.inputs[0] + self.inputs[1]


def build(work: Pointwise, spec: PiumaSpec) -> Kernel:
    """The kernel for `work`; the result is in C_VAL."""
    threads = spec.threads_per_core
    return Kernel(
        text=TEXT.format(function=FUNCTIONS[work.function]) + FINISHED,
        constants={"ELEMENTS": work.elements, "THREADS": spec.cores * threads},
        regions=[
            *(
                region(name, values, "a", spec.cache_inputs)
                for name, values in zip(("X", "Y"), work.inputs, strict=False)
            ),
            Region("C_VAL", work.elements, "output"),
        ],
        core_barrier=threads,
        global_barrier=spec.cores * threads,
        phases=PHASES,
    )
