"""One pass of the array without stepping it: the same clocks, causes and words as `stepped.py`.

The array freezes as a whole and its issue order is fixed, so a pass is a sum over fetch units of
max(steps the unit lasts, clocks its fullest bank needs). What a fetch costs depends only on where
the row starts among the banks and which kernel taps fall into the padding; both repeat, so each
combination is looked at once (`_slice_services`, `_pixel_services`).
"""

from __future__ import annotations

from math import gcd, lcm

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.im2col import Image, slice_requests, unit_end
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.passes import (
    BANK_CONFLICT,
    BUSY,
    DEPENDENCY,
    FILL_DRAIN,
    IMBALANCE,
    INPUT,
    OUTCOME_COLUMNS,
    WORDS,
    WS,
    PassShape,
)

Numbers = npt.NDArray[np.int64]


@njit(cache=True)
def pass_outcome(shape: PassShape, image: Image, region: Region) -> Numbers:
    """Outcome (OUTCOME_COLUMNS,) of one pass, equal to that of `stepped.run_pass`."""
    if shape.dataflow == WS:
        if shape.transposed:
            return _ws_transposed(shape, image, region)
        return _ws_rows(shape, image, region)
    if shape.transposed:
        return _os_transposed(shape, image, region)
    return _os_rows(shape, image, region)


@njit(cache=True)
def block_outcome(shape: PassShape, image: Image, region: Region) -> Numbers:
    """Summed outcome of all passes that cover `region` for one tile of columns."""
    total = np.zeros(OUTCOME_COLUMNS, np.int64)
    m_first, m_last, k_first, k_last = region
    if shape.dataflow == WS:
        for k in range(k_first, k_last, shape.tile_k):
            end = min(k + shape.tile_k, k_last)
            total += pass_outcome(shape, image, Region(m_first, m_last, k, end))
    else:
        for m in range(m_first, m_last, shape.tile_m):
            end = min(m + shape.tile_m, m_last)
            total += pass_outcome(shape, image, Region(m, end, k_first, k_last))
    return total


def row_period(shape: PassShape, image: Image) -> int:
    """im2col rows after which fetches repeat: whole images that begin at the same bank again."""
    pixels = image.height * image.width
    words = shape.banks // gcd(shape.banks, pixels)
    span = shape.banks * shape.word_elements
    elements = span // gcd(span, pixels * image.pixel_stride)
    return image.out_height * image.out_width * lcm(words, elements)


@njit(cache=True)
def flush_clocks(shape: PassShape, accumulators: int) -> int:
    """Clocks from the last issue at row 0 until the last word is accumulated."""
    common = shape.cols - 1 + shape.mul_latency + 2 * shape.add_latency
    if shape.dataflow == WS:
        return (shape.rows - 1) * shape.row_skew + common
    return accumulators * shape.rows + shape.rows - 1 + common


@njit(cache=True)
def _add_rounds(shape: PassShape, outcome: Numbers, rounds: int, used: int) -> None:
    """`rounds` rounds of `used` issues, each padded to the interleave and the adder."""
    outcome[BUSY] += rounds * used
    outcome[IMBALANCE] += rounds * (shape.interleave - used)
    outcome[DEPENDENCY] += rounds * (shape.round_clocks - shape.interleave)


@njit(cache=True)
def _finish(shape: PassShape, outcome: Numbers, first_service: int, accumulators: int) -> None:
    outcome[INPUT] += max(0, first_service - shape.load)
    outcome[FILL_DRAIN] += shape.load + flush_clocks(shape, accumulators)


@njit(cache=True)
def _drop_trailing_bubbles(shape: PassShape, outcome: Numbers, used: int) -> None:
    """The bubbles after the last issue are part of the drain, not of the stream."""
    outcome[IMBALANCE] -= shape.interleave - used
    outcome[DEPENDENCY] -= shape.round_clocks - shape.interleave


@njit(cache=True)
def _ws_rows(shape: PassShape, image: Image, region: Region) -> Numbers:
    outcome = np.zeros(OUTCOME_COLUMNS, np.int64)
    m_first, m_last, k_first, k_last = region
    service = np.zeros(m_last - m_first, np.int64)
    outcome[WORDS] = _slice_services(shape, image, m_first, m_last, k_first, k_last, service)
    if shape.kept == 1:
        outcome[BUSY] = m_last - m_first
        for row in range(1, service.size):
            outcome[BANK_CONFLICT] += max(0, service[row] - 1)
        _finish(shape, outcome, service[0], 0)
        return outcome
    size = shape.interleave
    full, rest = divmod(m_last - m_first, size)
    lasts = shape.kept * shape.round_clocks
    for row in range(size, service.size, size):
        needs = service[row : row + size].sum()
        outcome[BANK_CONFLICT] += max(0, needs - lasts)
    _add_rounds(shape, outcome, full * shape.kept, size)
    if rest:
        _add_rounds(shape, outcome, shape.kept, rest)
    _drop_trailing_bubbles(shape, outcome, rest if rest else size)
    _finish(shape, outcome, service[:size].sum(), 0)
    return outcome


@njit(cache=True)
def _ws_transposed(shape: PassShape, image: Image, region: Region) -> Numbers:
    outcome = np.zeros(OUTCOME_COLUMNS, np.int64)
    m_first, m_last, k_first, k_last = region
    first_tap = m_first // image.channels
    taps = (m_last - 1) // image.channels + 1 - first_tap
    fullest, pixels = _pixel_services(
        shape, image, k_first, k_last, k_last - k_first, first_tap, taps
    )
    first_service = 0
    lasts = 0
    m = m_first
    while m < m_last:
        end = unit_end(image, m, m_last, shape.word_elements)
        tap = m // image.channels - first_tap
        outcome[WORDS] += pixels[tap]
        if m == m_first:
            first_service = fullest[tap]
        else:
            outcome[BANK_CONFLICT] += max(0, fullest[tap] - lasts)
        lasts = end - m
        if shape.kept == 1:
            outcome[BUSY] += lasts
        else:
            full, rest = divmod(end - m, shape.interleave)
            _add_rounds(shape, outcome, full * shape.kept, shape.interleave)
            if rest:
                _add_rounds(shape, outcome, shape.kept, rest)
            lasts = (full + (rest > 0)) * shape.kept * shape.round_clocks
            if end == m_last:
                _drop_trailing_bubbles(shape, outcome, rest if rest else shape.interleave)
        m = end
    _finish(shape, outcome, first_service, 0)
    return outcome


@njit(cache=True)
def _os_rows(shape: PassShape, image: Image, region: Region) -> Numbers:
    outcome = np.zeros(OUTCOME_COLUMNS, np.int64)
    m_first, m_last, k_first, k_last = region
    used = -(-(m_last - m_first) // shape.rows)
    first_tap = k_first // image.channels
    taps = (k_last - 1) // image.channels + 1 - first_tap
    fullest, pixels = _pixel_services(shape, image, m_first, m_last, shape.rows, first_tap, taps)
    unit = max(shape.group, shape.word_elements)
    first_service = 0
    lasts = 0
    rounds = 0
    k = k_first
    while k < k_last:
        end = unit_end(image, k, k_last, unit)
        tap = k // image.channels - first_tap
        words = -(-(end - k) // shape.word_elements)
        outcome[WORDS] += pixels[tap] * words
        if k == k_first:
            first_service = fullest[tap] * words
        else:
            outcome[BANK_CONFLICT] += max(0, fullest[tap] * words - lasts)
        groups = -(-(end - k) // shape.group)
        rounds += groups * shape.kept
        lasts = groups * shape.kept * shape.round_clocks
        k = end
    _add_rounds(shape, outcome, rounds, used)
    _drop_trailing_bubbles(shape, outcome, used)
    _finish(shape, outcome, first_service, used)
    return outcome


@njit(cache=True)
def _os_transposed(shape: PassShape, image: Image, region: Region) -> Numbers:
    outcome = np.zeros(OUTCOME_COLUMNS, np.int64)
    m_first, m_last, k_first, k_last = region
    used = -(-(m_last - m_first) // shape.rows)
    service = np.zeros(k_last - k_first, np.int64)
    outcome[WORDS] = _slice_services(shape, image, k_first, k_last, m_first, m_last, service)
    lasts = shape.kept * shape.round_clocks
    size = shape.group
    if size == 1:
        for row in range(1, service.size):
            outcome[BANK_CONFLICT] += max(0, service[row] - lasts)
    else:
        for row in range(size, service.size, size):
            needs = service[row : row + size].sum()
            outcome[BANK_CONFLICT] += max(0, needs - lasts)
    units = -(-service.size // size)
    _add_rounds(shape, outcome, units * shape.kept, used)
    _drop_trailing_bubbles(shape, outcome, used)
    _finish(shape, outcome, service[:size].sum(), used)
    return outcome


@njit(cache=True)
def _padding_kinds(
    extent: int, outputs: int, stride: int, pad: int, kernel: int, dilation: int
) -> tuple[Numbers, int]:
    """Number the ways in which taps fall outside the image in one dimension.

    Returns (outputs,) the kind of each output position, and how many kinds there are.
    """
    number = np.full((kernel + 1) * (kernel + 1), -1, np.int64)
    kind = np.empty(outputs, np.int64)
    kinds = 0
    for position in range(outputs):
        start = position * stride - pad
        first = 0
        while first < kernel and start + first * dilation < 0:
            first += 1
        last = kernel
        while last > first and start + (last - 1) * dilation >= extent:
            last -= 1
        key = first * (kernel + 1) + last
        if number[key] < 0:
            number[key] = kinds
            kinds += 1
        kind[position] = number[key]
    return kind, kinds


@njit(cache=True)
def _slice_services(
    shape: PassShape,
    image: Image,
    row_first: int,
    row_last: int,
    column_first: int,
    column_last: int,
    service: Numbers,
) -> int:
    """Clocks to fetch columns [column_first, column_last) of each im2col row; returns all words.

    Channel-interleaved banks: the address of the row's first tap modulo the banks' span, and the
    taps in the padding, decide everything.
    """
    span = shape.banks * shape.word_elements
    granule = gcd(span, image.pixel_stride)
    alignments = span // granule
    kind_h, kinds_h = _padding_kinds(
        image.height,
        image.out_height,
        image.stride_h,
        image.pad_h,
        image.kernel_h,
        image.dilation_h,
    )
    kind_w, kinds_w = _padding_kinds(
        image.width,
        image.out_width,
        image.stride_w,
        image.pad_w,
        image.kernel_w,
        image.dilation_w,
    )
    known = np.full(kinds_h * kinds_w * alignments, -1, np.int64)
    known_words = np.zeros(known.size, np.int64)
    pending = np.zeros(shape.banks, np.int64)
    words = 0
    area = image.out_height * image.out_width
    row = row_first
    while row < row_last:
        b, rest = divmod(row, area)
        oh, ow = divmod(rest, image.out_width)
        line_end = min(row_last, row - ow + image.out_width)
        start_h = oh * image.stride_h - image.pad_h
        line_pixel = (b * image.height + start_h) * image.width - image.pad_w
        while row < line_end:
            address = (line_pixel + ow * image.stride_w) * image.pixel_stride
            at = (kind_h[oh] * kinds_w + kind_w[ow]) * alignments + (address % span) // granule
            if known[at] < 0:
                pending[:] = 0
                known_words[at] = slice_requests(
                    image, row, column_first, column_last, shape.word_elements, pending
                )
                known[at] = pending.max()
            service[row - row_first] = known[at]
            words += known_words[at]
            row += 1
            ow += 1
    return words


@njit(cache=True)
def _pixel_services(
    shape: PassShape,
    image: Image,
    row_first: int,
    row_last: int,
    rows_each: int,
    first_tap: int,
    taps: int,
) -> tuple[Numbers, Numbers]:
    """Clocks and pixels to fetch one word from each of the rows, by kernel tap.

    Pixel-interleaved banks; rows are fetched `rows_each` at a time, one such request after the
    other. Returns (taps,) summed clocks and (taps,) pixels.
    """
    fullest = np.zeros(taps, np.int64)
    pixels = np.zeros(taps, np.int64)
    pending = np.zeros(shape.banks, np.int64)
    size = min(rows_each, row_last - row_first)
    corner_h = np.empty(size, np.int64)
    corner_w = np.empty(size, np.int64)
    image_line = np.empty(size, np.int64)
    bank = np.empty(size, np.int64)
    area = image.out_height * image.out_width
    mask = shape.banks - 1  # a power of two
    for first in range(row_first, row_last, rows_each):
        count = min(rows_each, row_last - first)
        for i in range(count):
            b, rest = divmod(first + i, area)
            oh, ow = divmod(rest, image.out_width)
            corner_h[i] = oh * image.stride_h - image.pad_h
            corner_w[i] = ow * image.stride_w - image.pad_w
            image_line[i] = b * image.height
        for tap in range(taps):
            down = (first_tap + tap) // image.kernel_w * image.dilation_h
            across = (first_tap + tap) % image.kernel_w * image.dilation_w
            found = 0
            for i in range(count):
                h, w = corner_h[i] + down, corner_w[i] + across
                if 0 <= h < image.height and 0 <= w < image.width:
                    bank[found] = ((image_line[i] + h) * image.width + w) & mask
                    found += 1
            most = 0
            for i in range(found):
                pending[bank[i]] += 1
                most = max(most, pending[bank[i]])
            for i in range(found):
                pending[bank[i]] = 0
            fullest[tap] += most
            pixels[tap] += found
    return fullest, pixels
