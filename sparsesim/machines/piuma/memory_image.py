"""The global address space of a launch: named regions in DRAM, then the scratchpads.

Addresses count 8-byte words. DRAM is interleaved over the cores in blocks; regions whose loads are
cached come first, so that one comparison tells them apart. Integers and floats share the words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparsesim.errors import InputError
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.machines.piuma.state import MAX_REGIONS

REGION_SHIFT = 9  # regions begin at multiples of 512 words
#: A launch that needs more simulated memory is refused (some of the kernels store all products).
MAX_BYTES = 16 * 2**30

Stream = Literal["a", "b", "metadata", "output"]


@dataclass(frozen=True)
class Region:
    """A named piece of DRAM.

    Attributes:
        name: in capitals; its first address is a constant of this name for the kernel.
        words: size.
        stream: under which its traffic is counted.
        cached: loads go through the data caches (nothing may write it after it is first read).
        content: initial content; zeros without.
    """

    name: str
    words: int
    stream: Stream
    cached: bool = False
    content: npt.NDArray[Any] | None = None


def region(name: str, content: npt.NDArray[Any], stream: Stream, cached: bool) -> Region:
    """A region that holds `content`."""
    return Region(name, content.size, stream, cached, content)


@dataclass(frozen=True)
class MemoryImage:
    """Memory of a launch.

    Attributes:
        words: (total,) int64, DRAM then all scratchpads.
        floats: the same memory as float64.
        address: first address of each region.
        regions: in the order of `region_of`'s numbers.
        region_of: region number by address >> REGION_SHIFT, DRAM only.
        cached_end: first address that is not cached.
        spad: first address of the scratchpads.
    """

    words: npt.NDArray[np.int64]
    address: Mapping[str, int]
    regions: Sequence[Region]
    region_of: npt.NDArray[np.int64]
    cached_end: int
    spad: int

    @property
    def floats(self) -> npt.NDArray[np.float64]:
        return self.words.view(np.float64)

    def integers_of(self, name: str) -> npt.NDArray[np.int64]:
        """The words of a region."""
        start = self.address[name]
        size = next(part.words for part in self.regions if part.name == name)
        return self.words[start : start + size]

    def floats_of(self, name: str) -> npt.NDArray[np.float64]:
        """The words of a region as float64."""
        return self.integers_of(name).view(np.float64)


def build_image(regions: Sequence[Region], spec: PiumaSpec) -> MemoryImage:
    """Lay out `regions` and the scratchpads.

    Raises:
        InputError: more memory than `MAX_BYTES` or than 32-bit offsets reach.
    """
    assert len(regions) <= MAX_REGIONS
    ordered = sorted(regions, key=lambda part: not part.cached)
    step = 1 << REGION_SHIFT
    address: dict[str, int] = {}
    at = cached_end = 0
    for part in ordered:
        address[part.name] = at
        at += max(step, (part.words + step - 1) // step * step)
        if part.cached:
            cached_end = at
    spad = at
    total = spad + spec.cores * spec.spad_words
    if total * 8 > MAX_BYTES:
        raise InputError(
            f"kernel {spec.kernel}: needs {total * 8 / 2**30:.1f} GiB of simulated memory, "
            f"the limit is {MAX_BYTES / 2**30:.0f} GiB (its largest array is "
            f"{max(ordered, key=lambda part: part.words).name})"
        )
    words = np.zeros(total, np.int64)
    region_of = np.zeros(max(1, spad >> REGION_SHIFT), np.int64)
    for number, part in enumerate(ordered):
        start = address[part.name]
        region_of[start >> REGION_SHIFT : (start + part.words + step - 1) >> REGION_SHIFT] = number
        if part.content is not None:
            content = part.content
            target = words[start : start + part.words]
            if content.dtype == np.float64:
                target.view(np.float64)[:] = content
            else:
                target[:] = content
    return MemoryImage(words, address, ordered, region_of, cached_end, spad)
