"""DRAM timing against a plain model with objects, and against the rules themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.machines.piuma import state
from sparsesim.machines.piuma.dram_timing import dram_access
from sparsesim.machines.piuma.kernels import rowwise
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import prepare
from sparsesim.machines.piuma.spec import PiumaSpec
from tests.machines.piuma.small_products import machine, matrix


@dataclass
class Bank:
    row: int | None = None
    free: int = 0
    activated: int = 0


@dataclass
class Channel:
    """One channel: banks and a data bus that remembers every burst."""

    banks: list[Bank]
    bursts: list[tuple[int, int]] = field(default_factory=list)

    def access(self, spec: PiumaSpec, time: int, bank: int, row: int, bursts: int) -> int:
        one = self.banks[bank]
        command = max(time, one.free)
        if spec.dram_trefi and command % spec.dram_trefi < spec.dram_trfc:
            command += spec.dram_trfc - command % spec.dram_trefi
        if one.row != row:
            if one.row is not None:
                command = max(command, one.activated + spec.dram_tras) + spec.dram_trp
            one.row, one.activated = row, command
            command += spec.dram_trcd
        begin = max([command + spec.dram_tcl, *(end for _, end in self.bursts[-1:])])
        self.bursts.append((begin, begin + bursts * spec.dram_burst))
        one.free = self.bursts[-1][1] - spec.dram_tcl
        return self.bursts[-1][1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2**12), st.booleans()), max_size=80),
    st.sampled_from([1, 2, 8]),
    st.sampled_from([1, 4]),
    st.sampled_from([64, 256]),
    st.sampled_from([0, 500]),
)
def test_equal_to_a_plain_model(
    accesses: list[tuple[int, int, bool]], channels: int, banks: int, row_bytes: int, trefi: int
) -> None:
    spec = machine(
        "rowwise",
        dram_channels=channels,
        dram_banks=banks,
        dram_row_bytes=row_bytes,
        dram_trefi=trefi,
        dram_trfc=100,
        cores=2,
    )
    product = Product(matrix(2, 2, 1.0, 1), matrix(2, 2, 1.0, 2))
    arrays = prepare(rowwise.build(product, spec), spec).arrays
    plain = [[Channel([Bank() for _ in range(banks)]) for _ in range(channels)] for _ in range(2)]
    time = 0
    request = spec.dram_path_cycles // 2
    for step, word, atomic in accesses:
        time += step
        core, bursts = word % 2, 1 + atomic
        row, channel = divmod(word // channels, row_bytes // 8)[0], word % channels
        expected = plain[core][channel].access(spec, time + request, row % banks, row, bursts)
        found = dram_access(arrays["dram"], arrays["p"], time, core, word, bursts)
        assert found == expected + spec.dram_path_cycles - request
    for core in plain:
        for one in core:
            for (_, end), (begin, _) in zip(one.bursts, one.bursts[1:], strict=False):
                assert begin >= end  # the bus carries one burst at a time
    count = int(arrays["p"][state.P_DRAM_COUNT_BASE])
    counted = arrays["dram"][count : count + 2 * state.DRAM_COUNTS].reshape(2, -1)
    assert counted[:, [state.DC_HIT, state.DC_MISS]].sum() == len(accesses)
    assert counted[:, state.DC_WORDS].sum() == sum(1 + atomic for _, _, atomic in accesses)


def test_streams_reach_the_peak() -> None:
    """A sequential stream without refresh is bound by the buses alone."""
    spec = machine("rowwise", dram_trefi=0)
    product = Product(matrix(2, 2, 1.0, 1), matrix(2, 2, 1.0, 2))
    arrays = prepare(rowwise.build(product, spec), spec).arrays
    words = 50_000
    last = max(dram_access(arrays["dram"], arrays["p"], 0, 0, word, 1) for word in range(words))
    bound = words * spec.dram_burst / spec.dram_channels
    assert bound <= last < 1.2 * bound
    assert np.isclose(spec.dram_bytes_per_cycle, 32.0)
