"""PyTorch's fast path of attention, which hides products from a capture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def unfused() -> Iterator[None]:
    """Switch off the fast path of nn.MultiheadAttention and of encoder layers.

    It hides products, and it looks at the weights of layers that may have been replaced.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
