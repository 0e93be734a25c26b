"""Emitted Verilog as a compiled library, called through ctypes on whole arrays."""

from __future__ import annotations

import ctypes
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from hw.component_ports import RESET, Port
from hw.cosim.trace_words import Words, inputs_and_outputs


class CompiledSimulation(ABC):
    """Compiles the Verilog text of module `top`; a context manager that removes the build.

    `ports` are those of the module without ``clk`` and ``rst``; ``rst`` is an input like any
    other here. A response is sampled before the clock edge that ends its clock.

    Raises:
        SparseSimError: a tool failed (with its first error).
    """

    #: Of the simulator, with its version.
    name: str

    def __init__(self, verilog: str, top: str, ports: Sequence[Port]):
        self.inputs, self.outputs = inputs_and_outputs([*ports, RESET])
        self._build = tempfile.TemporaryDirectory(prefix="cosim-")
        try:
            self._library = ctypes.CDLL(str(self._compile(Path(self._build.name), verilog, top)))
        except BaseException:
            self._build.cleanup()
            raise
        words = np.ctypeslib.ndpointer(dtype=np.uint32, ndim=2, flags="C_CONTIGUOUS")
        self._library.run.argtypes = [ctypes.c_uint64, words, words]
        self._library.run.restype = None

    @abstractmethod
    def _compile(self, folder: Path, verilog: str, top: str) -> Path:
        """Build a library in `folder` with ``run(uint64_t clocks, const uint32_t*, uint32_t*)``.

        It simulates from the initial state, a row of `inputs` and of `outputs` per clock.
        """

    def run(self, rows: Words) -> Words:
        """Simulate from the initial state: inputs (T, words) to outputs (T, words)."""
        response = np.zeros((len(rows), self.outputs.words), dtype=np.uint32)
        self._library.run(len(rows), np.ascontiguousarray(rows, dtype=np.uint32), response)
        return response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._build.cleanup()
