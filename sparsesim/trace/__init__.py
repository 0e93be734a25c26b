"""What is computed: operators, sparsity patterns, dependencies and the one-file format."""

from sparsesim.trace.file import load, save
from sparsesim.trace.masks import Generator, Mask, pack, unpack
from sparsesim.trace.matrices import CsrMatrix, StoredMatrix
from sparsesim.trace.operators import (
    DTYPE_BYTES,
    Convolution,
    Elementwise,
    Gemm,
    Operand,
    Operator,
    Phase,
    Reduction,
    SpGemm,
    Tensor,
)
from sparsesim.trace.patterns import (
    CSR,
    NM,
    Balanced,
    Block,
    Dense,
    Pattern,
    Unstructured,
)
from sparsesim.trace.trace import SCHEMA_VERSION, Manifest, Trace

__all__ = [
    "CSR",
    "DTYPE_BYTES",
    "NM",
    "SCHEMA_VERSION",
    "Balanced",
    "Block",
    "Convolution",
    "CsrMatrix",
    "Dense",
    "Elementwise",
    "Gemm",
    "Generator",
    "Manifest",
    "Mask",
    "Operand",
    "Operator",
    "Pattern",
    "Phase",
    "Reduction",
    "SpGemm",
    "StoredMatrix",
    "Tensor",
    "Trace",
    "Unstructured",
    "load",
    "pack",
    "save",
    "unpack",
]
