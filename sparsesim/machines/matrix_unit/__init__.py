"""Comparison engines: tensor cores (T4, A100 with 2:4 sparsity) and a plain systolic array."""

from sparsesim.machines.matrix_unit.spec import MatrixUnitSpec

SPEC = MatrixUnitSpec

__all__ = ["SPEC", "MatrixUnitSpec"]
