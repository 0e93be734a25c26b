"""Sparsity patterns: what is known of where an operand's nonzeros may stand."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sparsesim.validation import Record

Axis = Literal["m", "k", "n"]
"""A GEMM dimension: rows of the result, reduction, columns of the result."""


class Dense(Record):
    """Every element is stored and computed."""

    kind: Literal["dense"] = "dense"

    @property
    def density(self) -> float:
        return 1.0

    def __str__(self) -> str:
        return "dense"


class NM(Record):
    """At most `n` of every `m` consecutive elements along `axis` are nonzero."""

    kind: Literal["nm"] = "nm"
    n: int = Field(ge=1)
    m: int = Field(ge=1)
    axis: Axis = "k"

    @model_validator(mode="after")
    def _n_within_m(self) -> NM:
        if self.n > self.m:
            raise ValueError(f"N:M pattern {self.n}:{self.m} keeps more than it has; needs N <= M")
        return self

    @property
    def density(self) -> float:
        return self.n / self.m

    @property
    def index_bits(self) -> int:
        """Bits of one position index inside a group of `m`."""
        return math.ceil(math.log2(self.m)) if self.m > 1 else 0

    def __str__(self) -> str:
        return f"{self.n}:{self.m}@{self.axis}"


class Balanced(Record):
    """Exactly `kept` of every `group` consecutive elements along `axis` are nonzero."""

    kind: Literal["balanced"] = "balanced"
    group: int = Field(ge=1)
    kept: int = Field(ge=1)
    axis: Axis = "k"

    @model_validator(mode="after")
    def _kept_within_group(self) -> Balanced:
        if self.kept > self.group:
            raise ValueError(
                f"balanced pattern keeps {self.kept} of {self.group}; needs kept <= group"
            )
        return self

    @property
    def density(self) -> float:
        return self.kept / self.group

    def __str__(self) -> str:
        return f"balanced {self.kept}/{self.group}@{self.axis}"


class Unstructured(Record):
    """Nonzeros anywhere; `density` is the fraction kept."""

    kind: Literal["unstructured"] = "unstructured"
    density: float = Field(gt=0.0, le=1.0)

    def __str__(self) -> str:
        return f"unstructured {self.density:.3g}"


class Block(Record):
    """Whole `rows` x `columns` blocks are kept or dropped; `density` is the fraction kept."""

    kind: Literal["block"] = "block"
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    density: float = Field(gt=0.0, le=1.0)

    def __str__(self) -> str:
        return f"block {self.rows}x{self.columns} {self.density:.3g}"


class CSR(Record):
    """Compressed sparse rows with `nnz` stored elements of `rows` x `columns`."""

    kind: Literal["csr"] = "csr"
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    nnz: int = Field(ge=0)

    @property
    def density(self) -> float:
        return self.nnz / (self.rows * self.columns)

    def __str__(self) -> str:
        return f"csr nnz={self.nnz}"


Pattern = Annotated[Dense | NM | Balanced | Unstructured | Block | CSR, Field(discriminator="kind")]
