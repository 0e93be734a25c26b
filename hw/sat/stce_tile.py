"""A pass of a simulated operator as a pass of the array's hardware: same operands, same waits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hw.sat.stce_program import ArrayPass
from sparsesim.machines.sat import stepped
from sparsesim.machines.sat.array_ports import ArraySpec
from sparsesim.machines.sat.im2col import Image, unit_end
from sparsesim.machines.sat.issue_sequence import Region, fetch_requests
from sparsesim.machines.sat.passes import OS, WS, PassShape

Float = npt.NDArray[np.float32]


def fetch_clocks(shape: PassShape, image: Image, region: Region) -> list[int]:
    """Clocks that the banks take for each fetch unit of a pass (docs/sat.md section 2)."""
    requests = fetch_requests(shape, image, region)
    clocks = []
    for first, last in zip(requests.unit_request, requests.unit_request[1:], strict=False):
        total = 0
        for request in range(first, last):
            pending = np.zeros(shape.banks, np.int64)
            stepped._start_request(shape, image, requests, request, pending)
            total += int(pending.max())
        clocks.append(total)
    return clocks


def unit_counts(shape: PassShape, image: Image, region: Region) -> list[int]:
    """Result rows (WS) or groups (OS) of each fetch unit of a pass."""
    if shape.dataflow == WS:
        at, last = region.m_first, region.m_last
        least = shape.word_elements if shape.transposed else 0
        size = shape.interleave if shape.kept > 1 else 1
    else:
        at, last = region.k_first, region.k_last
        least = 0 if shape.transposed else max(shape.group, shape.word_elements)
        size = shape.group
    counts = []
    while at < last:
        end = unit_end(image, at, last, least) if least else min(at + size, last)
        counts.append(end - at if shape.dataflow == WS else -(-(end - at) // shape.group))
        at = end
    return counts


def array_pass(
    spec: ArraySpec,
    shape: PassShape,
    image: Image,
    region: Region,
    a_tile: Float,
    weights: Float,
    indices: npt.NDArray[np.int32],
) -> ArrayPass:
    """The pass that `stepped.run_pass` simulates, for the hardware.

    The banks of the activation buffer are not in the hardware: a fetch unit is announced when the
    simulator's banks have granted its words. The first is fetched from the first clock of the
    pass on, each other from the clock in which the one before is taken.
    """
    m_max = spec.pe.m_max
    kept, group = shape.kept, shape.group
    if shape.dataflow == OS:
        used = -(-(region.m_last - region.m_first) // shape.rows)
        groups = weights.shape[0] // kept
        parts = a_tile[: used * shape.rows].reshape(used, shape.rows, groups, group)
        tile = parts.transpose(1, 2, 0, 3).reshape(shape.rows, groups * used, group)
    else:
        used = 1
        tile = a_tile.reshape(len(a_tile), shape.rows, group).transpose(1, 0, 2)
        # The deepest row's weights are loaded first.
        weights = weights.reshape(shape.rows, kept, -1)[::-1].reshape(weights.shape)
        indices = indices.reshape(shape.rows, kept, -1)[::-1].reshape(indices.shape)
    blocks = np.zeros((*tile.shape[:2], m_max), np.float16)
    blocks[:, :, :group] = tile
    first, *rest = fetch_clocks(shape, image, region)
    return ArrayPass(
        os=shape.dataflow == OS,
        kept=kept,
        used=used,
        blocks=blocks.view(np.uint16),
        values=weights.astype(np.float16).view(np.uint16),
        indices=indices.astype(np.uint8),
        units=unit_counts(shape, image, region),
        waits=[first, *(max(0, clocks - 1) for clocks in rest)],
    )
