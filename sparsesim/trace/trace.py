"""A trace: operators in a directed acyclic graph, their tensors and masks. No machine in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from sparsesim.errors import InputError
from sparsesim.trace import masks as mask_bits
from sparsesim.trace.masks import Mask, PackedBits
from sparsesim.trace.matrices import CsrMatrix, StoredMatrix
from sparsesim.trace.operators import Gemm, Operator, SpGemm, Tensor
from sparsesim.trace.patterns import CSR, NM, Balanced, Pattern
from sparsesim.validation import Record

if TYPE_CHECKING:
    import networkx as nx

SCHEMA = "sparsesim.trace"
SCHEMA_VERSION = 1


class Manifest(Record):
    """`manifest.json` of a trace file: everything but mask bits and matrices."""

    schema_name: str = Field(default=SCHEMA, alias="schema")
    schema_version: int = SCHEMA_VERSION
    name: str = Field(min_length=1)
    provenance: dict[str, Any] = Field(default_factory=dict)
    tensors: tuple[Tensor, ...]
    masks: tuple[Mask, ...] = ()
    matrices: tuple[StoredMatrix, ...] = ()
    operators: tuple[Operator, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _references_resolve(self) -> Manifest:
        if self.schema_name != SCHEMA:
            raise ValueError(f"schema is {self.schema_name!r}, must be {SCHEMA!r}")
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(
                f"schema_version {self.schema_version} is not supported; "
                f"this version reads {SCHEMA_VERSION}"
            )
        tensors = _unique("tensor", (tensor.name for tensor in self.tensors))
        masks = {mask.id: mask for mask in self.masks}
        _unique("mask", (mask.id for mask in self.masks))
        for mask in self.masks:
            if mask.tensor not in tensors:
                raise ValueError(f"mask {mask.id!r} is of an unknown tensor {mask.tensor!r}")
        matrices = {matrix.tensor: matrix for matrix in self.matrices}
        _unique("matrix of tensor", (matrix.tensor for matrix in self.matrices))
        for matrix in self.matrices:
            if matrix.tensor not in tensors:
                raise ValueError(f"matrix {matrix.tensor!r} is of no tensor of that name")
        seen: set[str] = set()
        names = _unique("operator", (operator.name for operator in self.operators))
        for operator in self.operators:
            for dep in operator.deps:
                if dep not in names:
                    raise ValueError(f"operator {operator.name!r} depends on unknown {dep!r}")
                if dep not in seen:
                    raise ValueError(
                        f"operator {operator.name!r} depends on {dep!r}, which does not come "
                        "before it (operators are listed in a topological order)"
                    )
            seen.add(operator.name)
            for name in operator_tensors(operator):
                if name not in tensors:
                    raise ValueError(f"operator {operator.name!r} names unknown tensor {name!r}")
            if isinstance(operator, Gemm):
                _check_operand_masks(operator, masks)
            if isinstance(operator, SpGemm):
                _check_operand_matrices(operator, matrices)
        return self


def operator_tensors(operator: Operator) -> tuple[str, ...]:
    """Names of all tensors an operator reads or writes."""
    if isinstance(operator, Gemm | SpGemm):
        return operator.a.tensor, operator.b.tensor, operator.output
    return (*operator.inputs, *operator.outputs)


def _unique(what: str, names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name!r} is defined twice")
        seen.add(name)
    return seen


def _check_operand_masks(gemm: Gemm, masks: Mapping[str, Mask]) -> None:
    for side, operand, rows in (("a", gemm.a, gemm.m), ("b", gemm.b, gemm.n)):
        if operand.mask is None:
            continue
        mask = masks.get(operand.mask)
        if mask is None:
            raise ValueError(f"operator {gemm.name!r} names unknown mask {operand.mask!r}")
        needed = (rows * gemm.groups, gemm.k)
        if (mask.rows, mask.columns) != needed:
            raise ValueError(
                f"mask {mask.id!r} has shape {mask.rows} x {mask.columns}, operand {side} of "
                f"{gemm.name!r} needs {needed[0]} x {needed[1]}"
            )


def _check_operand_matrices(product: SpGemm, matrices: Mapping[str, StoredMatrix]) -> None:
    for side, operand, needed in (
        ("a", product.a, (product.m, product.k)),
        ("b", product.b, (product.k, product.n)),
    ):
        what = f"operand {side} of {product.name!r}"
        pattern = operand.pattern
        if isinstance(pattern, CSR) and (pattern.rows, pattern.columns) != needed:
            raise ValueError(
                f"pattern csr of {pattern.rows} x {pattern.columns}, {what} needs "
                f"{needed[0]} x {needed[1]}"
            )
        matrix = matrices.get(operand.tensor)
        if matrix is None:
            continue
        if not isinstance(pattern, CSR):
            raise ValueError(f"{what} is a stored matrix, its pattern must be csr")
        if (matrix.rows, matrix.columns, matrix.nnz) != (*needed, pattern.nnz):
            raise ValueError(
                f"matrix {matrix.tensor!r} is {matrix.rows} x {matrix.columns} with {matrix.nnz} "
                f"nonzeros, {what} needs {needed[0]} x {needed[1]} with {pattern.nnz}"
            )


@dataclass(frozen=True)
class Trace:
    """A validated manifest, the packed bits of its stored masks, and its matrices.

    Attributes:
        manifest: names, shapes, patterns and dependencies.
        bits: packed (rows, bytes) arrays of the stored masks, by mask id.
        matrices: sparse matrices with their values, by tensor name.
    """

    manifest: Manifest
    bits: Mapping[str, PackedBits] = field(default_factory=dict)
    matrices: Mapping[str, CsrMatrix] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def operators(self) -> tuple[Operator, ...]:
        return self.manifest.operators

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """Tensors by name."""
        return {tensor.name: tensor for tensor in self.manifest.tensors}

    def mask(self, mask_id: str) -> PackedBits:
        """Packed bits of a mask, stored or generated."""
        if mask_id in self.bits:
            return self.bits[mask_id]
        for mask in self.manifest.masks:
            if mask.id == mask_id:
                return mask_bits.generate(mask)
        raise KeyError(mask_id)

    def matrix(self, tensor: str) -> CsrMatrix:
        """The sparse matrix stored as `tensor`.

        Raises:
            InputError: the trace stores no matrix of that name.
        """
        if tensor not in self.matrices:
            stored = ", ".join(sorted(self.matrices)) or "none"
            raise InputError(f"{self.name}: no matrix stored as {tensor!r} (stored: {stored})")
        return self.matrices[tensor]

    def graph(self) -> nx.DiGraph[str]:
        """Dependencies as a networkx graph: nodes are operator names with an `operator` value."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph(name=self.name)
        for operator in self.operators:
            graph.add_node(operator.name, operator=operator)
            graph.add_edges_from((dep, operator.name) for dep in operator.deps)
        return graph

    def manifest_json(self) -> str:
        """The manifest as stable, readable JSON."""
        data = self.manifest.model_dump(mode="json", by_alias=True, exclude_defaults=False)
        return json.dumps(data, indent=1, sort_keys=False) + "\n"

    def sha256(self) -> str:
        """Hash of the manifest and all stored mask bits and matrices."""
        digest = hashlib.sha256(self.manifest_json().encode())
        for mask_id in sorted(self.bits):
            digest.update(mask_id.encode())
            digest.update(self.bits[mask_id].tobytes())
        for tensor in sorted(self.matrices):
            digest.update(tensor.encode())
            for _, array in self.matrices[tensor].arrays():
                digest.update(array.view(np.uint8).data)
        return digest.hexdigest()

    def check_masks(self, where: str) -> None:
        """Check that every stored mask has its shape and keeps the pattern claimed of it.

        Raises:
            InputError: names `where`, the mask, and the first offending row and group.
        """
        by_id = {mask.id: mask for mask in self.manifest.masks}
        for mask in self.manifest.masks:
            stored, generated = mask.id in self.bits, mask.generator is not None
            if stored == generated:
                found = "both stored bits and a" if stored else "neither stored bits nor"
                raise InputError(f"{where}: mask {mask.id!r} has {found} generator")
        for mask_id, bits in self.bits.items():
            mask = by_id[mask_id]
            if bits.shape != mask.packed_shape:
                raise InputError(
                    f"{where}: mask {mask_id!r}: packed shape {bits.shape}, "
                    f"must be {mask.packed_shape}"
                )
            tail = mask.columns % 8
            if tail and (bits[:, -1] >> tail).any():
                raise InputError(f"{where}: mask {mask_id!r}: padding bits are not zero")
        checked: set[tuple[str, Pattern]] = set()
        for operator in self.operators:
            if not isinstance(operator, Gemm):
                continue
            for operand in (operator.a, operator.b):
                key = (operand.mask or "", operand.pattern)
                if operand.mask is not None and key not in checked:
                    checked.add(key)
                    self._check_pattern(by_id[operand.mask], operand.pattern, operator.name, where)

    def _check_pattern(self, mask: Mask, pattern: Pattern, operator: str, where: str) -> None:
        claim = f"the pattern {str(pattern)!r} of {operator!r}"
        if mask.generator is not None:
            if isinstance(pattern, NM | Balanced) and mask.generator.pattern != pattern:
                raise InputError(
                    f"{where}: mask {mask.id!r} is generated as "
                    f"{str(mask.generator.pattern)!r}, {claim} differs"
                )
            return
        found = mask_bits.first_violation(self.bits[mask.id], mask.columns, pattern)
        if found is not None:
            row, group, ones = found
            raise InputError(
                f"{where}: mask {mask.id!r}: row {row}, group {group} keeps {ones} elements, "
                f"{claim} does not allow it"
            )
