"""Graph neural networks on a matrix: GCN and GraphSAGE layers as SpMM, GEMM and pointwise steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsesim.errors import InputError
from sparsesim.trace import (
    CsrMatrix,
    Elementwise,
    Gemm,
    Manifest,
    Operand,
    Operator,
    SpGemm,
    Tensor,
    Trace,
)
from sparsesim.trace.operators import DType, Role
from sparsesim.validation import shown
from workloads.matrices.product_trace import sparse_operand

KINDS = ("gcn", "sage")
MAX_WIDTH = 2**20
_FORM = "KIND:FEATURES,HIDDEN,...,OUTPUTS with KIND gcn or sage, as gcn:1433,16,7"
DTYPE: DType = "float32"


@dataclass(frozen=True)
class GnnShape:
    """Kind of layer, and the feature widths from the input to the output of the last layer."""

    kind: str
    widths: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(str, self.widths))}"


def parse_gnn(text: str) -> GnnShape:
    """Read ``gcn:1433,16,7``: 1433 features, one hidden layer of 16, 7 outputs.

    Raises:
        InputError: another kind, or widths that are none.
    """
    kind, _, rest = text.partition(":")
    words = rest.split(",")
    whole = all(word.isascii() and word.isdigit() and len(word) < 9 for word in words)
    if kind not in KINDS or len(words) < 2 or not whole:
        raise InputError(f"--times {shown(text)}: must be {_FORM}")
    widths = tuple(int(word) for word in words)
    if not all(1 <= width <= MAX_WIDTH for width in widths):
        raise InputError(f"--times {shown(text)}: widths must be 1 to {MAX_WIDTH}")
    return GnnShape(kind, widths)


def normalised(adjacency: CsrMatrix, kind: str) -> CsrMatrix:
    """The matrix that a layer multiplies with.

    GCN (Kipf and Welling 2017): D^-1/2 (A + I) D^-1/2 with D the row sums of A + I. GraphSAGE with
    mean aggregation (Hamilton et al. 2017): D^-1 A. Edges count as 1, whatever their weight; a node
    without neighbours takes the mean of none, which is 0.

    Raises:
        InputError: the matrix is not square.
    """
    import scipy.sparse

    if adjacency.rows != adjacency.columns:
        raise InputError(
            f"a graph is a square matrix, this one is {adjacency.rows} x {adjacency.columns}"
        )
    edges = adjacency.to_scipy().copy()
    edges.data = np.ones(adjacency.nnz)
    if kind == "gcn":
        edges = scipy.sparse.csr_array(edges + scipy.sparse.eye_array(adjacency.rows))
        edges.data = np.ones(edges.nnz)  # a self loop of the graph is not counted twice
    degree = np.diff(edges.indptr).astype(np.float64)
    if kind == "gcn":
        scale = scipy.sparse.diags_array(1.0 / np.sqrt(degree))
        return CsrMatrix.from_scipy(scale @ edges @ scale)
    mean = np.divide(1.0, degree, out=np.zeros_like(degree), where=degree > 0)
    return CsrMatrix.from_scipy(scipy.sparse.diags_array(mean) @ edges)


def gnn_trace(
    name: str,
    adjacency: CsrMatrix,
    shape: GnnShape,
    *,
    provenance: dict[str, Any] | None = None,
) -> Trace:
    """The forward pass of a graph network, full batch, features dense.

    GCN, per layer: whichever order needs fewer multiplications, X W then SpMM, or SpMM then X W.
    SAGE: SpMM, then one GEMM for the node itself and one for the mean of its neighbours, added up.
    ReLU between layers. The normalised adjacency is stored as the tensor ``A``.

    Raises:
        InputError: the matrix is not square.
    """
    a = normalised(adjacency, shape.kind)
    network = _Network(a)
    x = network.tensor("x", (a.rows, shape.widths[0]), "activation")
    for number, (width, outputs) in enumerate(zip(shape.widths, shape.widths[1:], strict=False), 1):
        layer = f"layer{number}"
        if shape.kind == "gcn":
            if outputs <= width:
                x = network.spmm(layer, network.gemm(layer, "weight", x, outputs))
            else:
                x = network.gemm(layer, "weight", network.spmm(layer, x), outputs)
        else:
            own = network.gemm(layer, "self", x, outputs)
            mean = network.gemm(layer, "neighbours", network.spmm(layer, x), outputs)
            x = network.pointwise(layer, "add", own, mean)
        if number < len(shape.widths) - 1:
            x = network.pointwise(layer, "relu", x)
    about = {**(provenance or {}), "gnn": str(shape), "edges": adjacency.nnz, "nonzeros": a.nnz}
    manifest = Manifest(
        name=name,
        provenance=about,
        tensors=tuple(network.tensors.values()),
        matrices=(a.record("A"),),
        operators=tuple(network.operators),
    )
    return Trace(manifest, {}, {"A": a})


class _Network:
    """Operators so far; each method adds one and gives the tensor that it writes."""

    def __init__(self, adjacency: CsrMatrix) -> None:
        self.adjacency = adjacency
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self._writer: dict[str, str] = {}
        self.tensor("A", adjacency.shape, "state")

    def tensor(self, name: str, shape: tuple[int, ...], role: Role) -> Tensor:
        self.tensors[name] = Tensor(name=name, shape=shape, dtype=DTYPE, role=role)
        return self.tensors[name]

    def gemm(self, layer: str, weight: str, x: Tensor, outputs: int) -> Tensor:
        nodes, width = x.shape
        w = self.tensor(f"{layer}.{weight}", (outputs, width), "weight")
        y = self.tensor(f"{w.name}.out", (nodes, outputs), "activation")
        operator = Gemm(
            name=w.name,
            layer=layer,
            phase="inference",
            deps=self._deps(x),
            m=nodes,
            n=outputs,
            k=width,
            a=Operand(tensor=x.name),
            b=Operand(tensor=w.name),
            output=y.name,
        )
        return self._add(operator, y)

    def spmm(self, layer: str, x: Tensor) -> Tensor:
        a = self.adjacency
        y = self.tensor(f"{layer}.aggregate.out", (a.rows, x.shape[1]), "activation")
        operator = SpGemm(
            name=f"{layer}.aggregate",
            layer=layer,
            phase="inference",
            deps=self._deps(x),
            m=a.rows,
            n=x.shape[1],
            k=a.columns,
            a=sparse_operand("A", a),
            b=Operand(tensor=x.name),
            output=y.name,
        )
        return self._add(operator, y)

    def pointwise(self, layer: str, function: str, *inputs: Tensor) -> Tensor:
        y = self.tensor(f"{layer}.{function}.out", inputs[0].shape, "activation")
        operator = Elementwise(
            name=f"{layer}.{function}",
            layer=layer,
            phase="inference",
            deps=self._deps(*inputs),
            function=function,
            elements=y.elements,
            inputs=tuple(tensor.name for tensor in inputs),
            outputs=(y.name,),
        )
        return self._add(operator, y)

    def _deps(self, *inputs: Tensor) -> tuple[str, ...]:
        return tuple(self._writer[x.name] for x in inputs if x.name in self._writer)

    def _add(self, operator: Operator, output: Tensor) -> Tensor:
        self.operators.append(operator)
        self._writer[output.name] = operator.name
        return output
