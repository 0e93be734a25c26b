"""A GEMM as the array sees it: which operand streams, which is indexed, in plain integers."""

from __future__ import annotations

from dataclasses import dataclass

from sparsesim.errors import InputError
from sparsesim.machines.sat.im2col import Image, matrix
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.trace import NM, Gemm, Operand


@dataclass(frozen=True)
class Problem:
    """C[m, n] = A[m, k] B[k, n], `groups` times; A streams from `image`, B may be N:M along k.

    Attributes:
        image: where A is read from; A is its im2col matrix, transposed if `transposed`.
        kept, group: N and M of the indexed operand B (1, 1 when dense).
        swapped: A and B of the trace's GEMM changed places (its A was the sparse one), so the
            result leaves transposed.
        indexed_image: where a swapped operand is read from, if it is an im2col matrix.
    """

    m: int
    n: int
    k: int
    groups: int
    image: Image
    transposed: bool
    kept: int
    group: int
    index_bits: int
    swapped: bool = False
    indexed_image: Image | None = None

    @property
    def sparse(self) -> bool:
        return self.group > 1

    @property
    def kept_k(self) -> int:
        """Length of the compressed reduction."""
        return self.k // self.group * self.kept

    @property
    def macs_effective(self) -> int:
        """Multiply-accumulates after skipping the pruned positions."""
        return self.groups * self.m * self.n * self.kept_k


def problem_of(gemm: Gemm, spec: SatSpec) -> Problem:
    """Choose the streamed and the indexed operand of `gemm`.

    The indexed operand is B, if need be after A and B change places; any pattern that saves no work
    is computed as dense.

    Raises:
        InputError: the N:M pattern is one this machine has no hardware for.
    """
    indexed = indexed_operand(gemm)
    swapped = indexed is not None and indexed[0] is gemm.a
    kept, group, index_bits = 1, 1, 0
    if indexed is not None:
        pattern = indexed[1]
        _supported(pattern, gemm, spec)
        kept, group, index_bits = pattern.n, pattern.m, pattern.index_bits
    if swapped:
        image = matrix(gemm.n, gemm.k)
        streamed = _convolution_image(gemm) if gemm.conv and not gemm.conv_transposed else None
        return Problem(
            gemm.n,
            gemm.m,
            gemm.k,
            gemm.groups,
            image,
            False,
            kept,
            group,
            index_bits,
            True,
            streamed,
        )
    transposed = gemm.conv_transposed or (gemm.conv is None and gemm.phase == "WU")
    if gemm.conv is not None:
        image = _convolution_image(gemm)
    elif transposed:
        image = matrix(gemm.k, gemm.m)
    else:
        image = matrix(gemm.m, gemm.k)
    return Problem(gemm.m, gemm.n, gemm.k, gemm.groups, image, transposed, kept, group, index_bits)


def _convolution_image(gemm: Gemm) -> Image:
    conv = gemm.conv
    assert conv is not None
    return Image(
        conv.batch,
        conv.height,
        conv.width,
        conv.channels,
        conv.channels * gemm.groups,
        conv.out_height,
        conv.out_width,
        *conv.kernel,
        *conv.stride,
        *conv.padding,
        *conv.dilation,
    )


def indexed_operand(gemm: Gemm) -> tuple[Operand, NM] | None:
    """The operand whose N:M groups save work, with its pattern; None if no groups do.

    Groups save work only along the reduction. Of two operands with such groups the sparser one is
    indexed, `b` if they are equal.
    """
    a, b = _reduction_pattern(gemm.a.pattern), _reduction_pattern(gemm.b.pattern)
    if a is not None and (b is None or a.density < b.density):
        return gemm.a, a
    return None if b is None else (gemm.b, b)


def _reduction_pattern(pattern: object) -> NM | None:
    """N:M along the reduction that prunes something; N = M is dense."""
    if isinstance(pattern, NM) and pattern.axis == "k" and pattern.n < pattern.m:
        return pattern
    return None


def _supported(pattern: NM, gemm: Gemm, spec: SatSpec) -> None:
    if pattern.m > spec.m_max:
        raise InputError(
            f"operator {gemm.name!r}: pattern {pattern.n}:{pattern.m} needs M <= m_max = "
            f"{spec.m_max} of this machine"
        )
    if pattern.m & (pattern.m - 1):
        raise InputError(
            f"operator {gemm.name!r}: pattern {pattern.n}:{pattern.m}: the array selects from "
            f"blocks of a power of two, M may be 2, 4, ... {spec.m_max}"
        )
