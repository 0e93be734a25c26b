"""Does the recurrence give the clocks of the clock-by-clock model?"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.memory.double_buffer import TOTAL, WAIT_MEMORY, WAIT_OUTPUT, fast, stepped

steps = st.lists(
    st.tuples(
        st.integers(0, 60) | st.just(0),
        st.integers(0, 40),
        st.integers(1, 60) | st.just(0),
    ),
    min_size=1,
    max_size=12,
)


@given(steps, st.sampled_from([0.3, 1.0, 3.3, 17.0]), st.integers(0, 9))
@settings(max_examples=400, deadline=None)
def test_fast_equals_stepped(
    rows: list[tuple[int, int, int]], bytes_per_clock: float, latency: int
) -> None:
    load, compute, store = np.array(rows, dtype=np.int64).T.copy()
    outcome = fast(load, compute, store, bytes_per_clock, latency)
    np.testing.assert_array_equal(outcome, stepped(load, compute, store, bytes_per_clock, latency))
    assert outcome[TOTAL] == outcome[WAIT_OUTPUT] + outcome[WAIT_MEMORY] + compute.sum()


def test_infinite_bandwidth_leaves_only_compute_and_latency() -> None:
    load, compute, store = (np.array(values) for values in ([8, 8], [10, 20], [0, 4]))
    outcome = fast(load, compute, store, 1e9, 0)
    # One clock to fetch the first block, one to write the last one back.
    assert outcome[TOTAL] == 1 + 10 + 20 + 1


def test_slow_dram_bounds_the_time() -> None:
    load, compute, store = (np.array(values) for values in ([100, 100, 100], [1, 1, 1], [0, 0, 50]))
    outcome = fast(load, compute, store, 1.0, 5)
    assert outcome[TOTAL] == 300 + 5 + 1 + 50 + 5
