"""Does a transfer take as long as its fullest channel?"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparsesim.memory.channels import striped_bytes


@given(st.integers(0, 5000), st.integers(1, 8), st.integers(1, 600))
def test_equals_dealing_bytes_to_channels(size: int, channels: int, stripe: int) -> None:
    on_channel = np.bincount(np.arange(size) // stripe % channels, minlength=channels)
    (found,) = striped_bytes(np.array([size]), channels, stripe)
    assert found == channels * on_channel.max(initial=0)
