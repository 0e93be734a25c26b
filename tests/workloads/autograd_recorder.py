"""What PyTorch really multiplies: products seen below autograd, forward and backward."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
#: (m, n, k, groups); m and n in falling order, since a product may be run transposed.
Product = tuple[int, int, int, int]


def product(m: int, n: int, k: int, groups: int = 1) -> Product:
    """A product as it is compared: its two outer extents sorted."""
    return (max(m, n), min(m, n), k, groups)


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[Product] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kind = func.overloadpacket
        out = func(*args, **(kwargs or {}))
        if kind in (aten.mm, aten.addmm):
            left, right = args[-2:]
            self._add(left.shape[0], right.shape[1], left.shape[1])
        elif kind in (aten.bmm, aten.baddbmm):
            left, right = args[-2:]
            self._add(left.shape[1], right.shape[2], left.shape[2], left.shape[0])
        elif kind in (aten.mv, aten.dot):
            self._add(args[0].shape[0] if kind is aten.mv else 1, 1, args[0].shape[-1])
        elif kind is aten.convolution:
            self._convolution(args[0], args[1], out, args[6], args[8])
        elif kind is aten.convolution_backward:
            self._backward(args[0], args[1], args[2], args[7], args[9], args[10])
        return out

    def _add(self, m: int, n: int, k: int, groups: int = 1) -> None:
        if m * n * k * groups:  # an expert without tokens runs empty products
            self.products[product(m, n, k, groups)] += 1

    def _convolution(
        self, x: Tensor, weight: Tensor, out: Tensor, transposed: bool, groups: int
    ) -> None:
        taps = math.prod(weight.shape[2:])
        image = x if transposed else out
        rows = image.shape[0] * math.prod(image.shape[2:])
        if transposed:
            self._add(rows, weight.shape[1] * taps, weight.shape[0] // groups, groups)
        else:
            self._add(rows, weight.shape[0] // groups, weight.shape[1] * taps, groups)

    def _backward(
        self, gradient: Tensor, x: Tensor, weight: Tensor, transposed: bool, groups: int,
        mask: list[bool],
    ) -> None:  # fmt: skip
        taps = math.prod(weight.shape[2:])
        pixels = (x if transposed else gradient).shape
        rows = pixels[0] * math.prod(pixels[2:])
        outer, inner = weight.shape[0] // groups, weight.shape[1]
        if mask[0]:  # dX
            if transposed:
                self._add(rows, outer, inner * taps, groups)
            elif len(weight.shape) == 5:  # an explicit im2col matrix: dX is folded from it
                self._add(rows, inner * taps, outer, groups)
            else:  # without the zeros that a stride inserts: the MACs of the forward product
                self._add(rows, inner, outer * taps, groups)
        if mask[1]:  # dW
            self._add(inner * taps, outer, rows, groups)


@contextmanager
def recorded() -> Iterator[Counter[Product]]:
    """Products that run inside the block, with attention and recurrent layers unfused."""
    recorder = _Recorder()
    with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False), recorder:
        yield recorder.products


def forward_and_backward(
    run: Callable[[], Tensor],
) -> tuple[Counter[Product], Counter[Product]]:
    """Products of `run()` and of the back-propagation of its sum."""
    with recorded() as forward:
        loss = run().float().sum()
    with recorded() as backward:
        loss.backward()
    return forward, backward
