"""Addresses of the streamed operand: which pixels and which buffer words an im2col row needs.

The streamed operand lies in the activation buffer as an NHWC image; the west edge reads im2col
rows from it without ever building the im2col matrix. Two bank layouts (docs/sat.md section 2):
channel-interleaved (bank = word address mod banks) for slices of one im2col row, and
pixel-interleaved (bank = pixel mod banks) for one word from each of many rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

ELEMENT_BYTES = 2  # FP16 operands


class Image(NamedTuple):
    """The image that im2col rows are read from; all plain integers, so kernels take it whole."""

    batch: int
    height: int
    width: int
    channels: int  # of one group
    pixel_stride: int  # elements from one pixel to the next: channels of all groups
    out_height: int
    out_width: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dilation_h: int
    dilation_w: int

    @property
    def rows(self) -> int:
        """Rows of the im2col matrix (output pixels)."""
        return self.batch * self.out_height * self.out_width

    @property
    def columns(self) -> int:
        """Columns of the im2col matrix: taps x channels, channels fastest."""
        return self.kernel_h * self.kernel_w * self.channels


def matrix(rows: int, columns: int) -> Image:
    """A plain row-major matrix as an image of `rows` pixels with `columns` channels."""
    return Image(rows, 1, 1, columns, columns, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1)


@njit(cache=True)
def source_pixel(image: Image, row: int, tap: int) -> int:
    """Pixel index that im2col `row` reads for kernel `tap`, or -1 in the padding."""
    area = image.out_height * image.out_width
    b = row // area
    rest = row - b * area
    oh = rest // image.out_width
    ow = rest - oh * image.out_width
    ih = oh * image.stride_h - image.pad_h + (tap // image.kernel_w) * image.dilation_h
    iw = ow * image.stride_w - image.pad_w + (tap % image.kernel_w) * image.dilation_w
    if ih < 0 or ih >= image.height or iw < 0 or iw >= image.width:
        return -1
    return (b * image.height + ih) * image.width + iw


@njit(cache=True)
def slice_requests(
    image: Image,
    row: int,
    first: int,
    last: int,
    word_elements: int,
    pending: npt.NDArray[np.int64],
) -> int:
    """Add to `pending` (banks,) the words of columns [first, last) of one im2col row.

    Channel-interleaved layout. A word shared by neighbouring taps is read once.

    Returns:
        The number of words.
    """
    banks = pending.shape[0]
    words = 0
    previous = -1
    column = first
    while column < last:
        tap = column // image.channels
        end = min(last, (tap + 1) * image.channels)
        pixel = source_pixel(image, row, tap)
        if pixel >= 0:
            base = pixel * image.pixel_stride - tap * image.channels
            word = (base + column) // word_elements
            stop = (base + end - 1) // word_elements
            if word == previous:
                word += 1
            while word <= stop:
                pending[word % banks] += 1
                words += 1
                word += 1
            previous = stop
        column = end
    return words


@njit(cache=True)
def pixel_requests(
    image: Image,
    first_row: int,
    last_row: int,
    tap: int,
    words_each: int,
    pending: npt.NDArray[np.int64],
) -> int:
    """Add to `pending` (banks,) `words_each` words from the pixel of each row in [first, last).

    Pixel-interleaved layout: all words of a pixel are in one bank.

    Returns:
        The number of words.
    """
    banks = pending.shape[0]
    words = 0
    for row in range(first_row, last_row):
        pixel = source_pixel(image, row, tap)
        if pixel >= 0:
            pending[pixel % banks] += words_each
            words += words_each
    return words


@njit(cache=True)
def unit_end(image: Image, column: int, last: int, unit: int) -> int:
    """End of the fetch unit that starts at `column`: at most `unit` columns, within one tap."""
    tap = column // image.channels
    within = column - tap * image.channels
    return min(last, tap * image.channels + min(image.channels, (within // unit + 1) * unit))


def source_lines(
    image: Image, first_row: npt.NDArray[np.int64], last_row: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Image lines that im2col rows [first_row, last_row) touch, element by element.

    Each line is fetched once, and with it the lines skipped between two that are needed.
    """
    area = image.out_height * image.out_width
    first_image, first_line = first_row // area, first_row % area // image.out_width
    last_image, last_line = (last_row - 1) // area, (last_row - 1) % area // image.out_width
    top, bottom = np.zeros_like(first_line), np.full_like(last_line, image.out_height - 1)
    across = (
        _lines(image, first_line, bottom)
        + (last_image - first_image - 1) * _lines(image, top, bottom)
        + _lines(image, top, last_line)
    )
    return np.where(first_image == last_image, _lines(image, first_line, last_line), across)


def _lines(
    image: Image, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Lines of one image that output lines first..last read (with any skipped between them)."""
    if image.kernel_h == 1 and image.pad_h == 0:
        return last - first + 1
    reach = (image.kernel_h - 1) * image.dilation_h
    top = np.maximum(0, first * image.stride_h - image.pad_h)
    bottom = np.minimum(image.height - 1, last * image.stride_h - image.pad_h + reach)
    return np.maximum(0, bottom - top + 1)
