"""What instructions do and what they cost, on programs of a few lines."""

from __future__ import annotations

import numpy as np
import pytest

from sparsesim.errors import CheckError
from sparsesim.machines.piuma import state
from sparsesim.machines.piuma.counters import chip_cycles, total_cycles
from sparsesim.machines.piuma.memory_image import Region, region
from tests.machines.piuma.hand_written import run_text

ONE = {"pipelines": 1, "threads": 1}
IDLE_DRAM = {"dram_trefi": 0, "cache_inputs": False}


@pytest.mark.parametrize("interval", [1, 8])
def test_private_instructions_keep_the_issue_interval(interval: int) -> None:
    text = "multi: add x, tid, 1\n" + "add x, x, 1\n" * 9 + "halt"
    launch = run_text(text, issue_cycles=interval, **ONE)
    assert total_cycles(launch) == 1 + 10 * interval
    chip = chip_cycles(launch)
    assert chip.busy == 11
    assert chip.stalls["dependency"] == 10 * (interval - 1)


def test_threads_share_a_pipeline_in_turn() -> None:
    text = "multi: add x, tid, 1\n" + "add x, x, 1\n" * 7 + "halt"
    full = run_text(text, pipelines=1, threads=8, issue_cycles=8)
    assert total_cycles(full) == 8 * 9  # one instruction in every clock
    half = run_text(text, pipelines=2, threads=4, issue_cycles=8)
    assert total_cycles(half) == 8 * 8 + 4


def test_scratchpad_load_to_use() -> None:
    text = "multi: ld x, spad + 5\nadd x, x, 1\nhalt"
    launch = run_text(text, spad_cycles=16, issue_cycles=8, **ONE)
    assert total_cycles(launch) == 1 + 16 + 8


def test_bank_conflicts_queue() -> None:
    text = "multi: ld x, spad\nhalt"
    launch = run_text(text, pipelines=4, threads=1, spad_cycles=16)
    assert total_cycles(launch) == 1 + 16 + 3  # four loads of one bank, one after the other
    apart = run_text("multi: ld x, spad + tid\nhalt", pipelines=4, threads=1, spad_cycles=16)
    assert total_cycles(apart) == 1 + 16
    assert launch.arrays["cnt"][state.N_BANK_WAIT] == 1 + 2 + 3


@pytest.mark.parametrize("cycles", [1, 4, 9])
def test_atomics_on_one_address_are_serialised_and_lose_nothing(cycles: int) -> None:
    text = """
    multi: add one, zero, 1
        add n, zero, 0
    again: aadd old, SPAD + 7, one
        add n, n, 1
        blt n, 5, again
        halt
    """
    launch = run_text(text, pipelines=4, threads=16, cores=2, atomic_cycles=cycles)
    assert launch.image.words[launch.image.spad + 7] == 2 * 64 * 5
    assert total_cycles(launch) >= 2 * 64 * 5 * cycles


def test_float_atomics_and_compare_exchange() -> None:
    text = """
    multi: ld v, VALUES + tid
        afadd v, SUM
        add me, tid, 1
        cas old, CLAIM, zero, me
        st old, SEEN + tid
        halt
    """
    values = np.arange(8) / 4
    regions = [
        region("VALUES", values, "a", False),
        Region("SUM", 1, "output"),
        Region("CLAIM", 1, "output"),
        Region("SEEN", 8, "output"),
    ]
    launch = run_text(text, regions, pipelines=2, threads=4)
    assert launch.image.floats_of("SUM")[0] == values.sum()
    seen = launch.image.integers_of("SEEN").tolist()
    winner = int(launch.image.integers_of("CLAIM")[0])
    assert seen.count(0) == 1
    assert seen.count(winner) == 7


def test_idle_dram_access_costs_its_parts() -> None:
    text = "multi: ld x, X\nld x, X + 16\nld x, X + 1024\nhalt"
    launch = run_text(
        text,
        [Region("X", 2048, "a")],
        dram_path_cycles=60,
        dram_trcd=15,
        dram_tcl=14,
        dram_trp=13,
        dram_tras=20,
        dram_burst=4,
        dram_channels=16,
        dram_banks=1,
        dram_row_bytes=512,
        interleave_bytes=4096,
        **ONE,
        **IDLE_DRAM,
    )
    closed, hit, conflict = 60 + 15 + 14 + 4, 60 + 14 + 4, 60 + 13 + 15 + 14 + 4
    assert total_cycles(launch) == 1 + closed + hit + conflict


def test_remote_access_adds_the_way_there_and_back() -> None:
    text = "multi: bne core, zero, stop\nld x, SPAD + WORDS\nstop: halt"
    common = {"cores": 4, "spad_cycles": 16, "network_cycles": 10, "hop_cycles": 3}
    words = {"WORDS": 16384 // 8}
    launch = run_text(text, constants=words, **common, **ONE, issue_cycles=1)
    # The branch issues at clock 1, the load at 2; core 1 is one hop away.
    assert total_cycles(launch) == 2 + 16 + 2 * (10 + 3)


DMA = {
    "copy": ("dma copy, from, to, n", lambda x, _: x[:40]),
    "gather": ("dma gather, from, to, n, index", lambda x, i: x[i]),
    "stride_in": ("dma stride_in, from, to, n, three", lambda x, _: x[: 3 * 40 : 3]),
}


@pytest.mark.parametrize("mode", list(DMA))
@pytest.mark.parametrize("cores", [1, 3])
def test_dma_from_dram_to_scratchpad(mode: str, cores: int) -> None:
    instruction, expected = DMA[mode]
    rng = np.random.default_rng(1)
    data, index = rng.integers(0, 1000, 200), rng.integers(0, 200, 40)
    text = f"""
    multi: bne gtid, zero, stop
        add n, zero, 40
        add index, spad, 100
        add k, zero, 0
        add from, zero, INDEX
    put: ld x, from + k
        st x, index + k
        add k, k, 1
        blt k, n, put
        add from, zero, DATA
        add to, spad, 500
        add three, zero, 3
        {instruction}
        dmawait
    stop: halt
    """
    regions = [region("DATA", data, "a", False), region("INDEX", index, "metadata", False)]
    launch = run_text(text, regions, cores=cores, interleave_bytes=128)
    found = launch.image.words[launch.image.spad + 500 :][:40]
    assert found.tolist() == expected(data, index).tolist()


def test_dma_scatter_and_fill() -> None:
    text = """
    multi: bne gtid, zero, stop
        add n, zero, 3
        add index, spad, 8
        add x, zero, 30
        st x, index
        add x, zero, 20
        st x, index + 1
        add x, zero, 25
        st x, index + 2
        add x, zero, 77
        add to, spad, 100
        dma scatter_fill, x, to, n, index
        add from, spad, 8
        add to, spad, 200
        dma scatter, from, to, n, index
        add to, spad, 300
        add two, zero, 2
        dma stride_out, from, to, n, two
        add to, spad, 400
        dma fill, x, to, n
        dmawait
    stop: halt
    """
    launch = run_text(text, dma_queue=1)
    spad = launch.image.words[launch.image.spad :]
    assert spad[[130, 120, 125]].tolist() == [77, 77, 77]
    assert spad[[230, 220, 225]].tolist() == [30, 20, 25]
    assert spad[300:305].tolist() == [30, 0, 20, 0, 25]
    assert spad[400:404].tolist() == [77, 77, 77, 0]


def test_queue_hands_out_every_number_once() -> None:
    text = """
    multi: bne gtid, zero, begin
        add last, zero, 50
        qset zero, zero, last
    begin: barrier 1
        add one, zero, 1
    take: pop x, zero
        blt x, zero, done
        aadd old, SPAD + x + 100, one
        jmp take
    done: halt
    """
    launch = run_text(text, cores=3)
    counts = launch.image.words[launch.image.spad + 100 :][:51]
    assert counts.tolist() == [1] * 50 + [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("multi: bne tid, zero, stop\nbarrier 0\nstop: halt", "deadlock"),
        ("multi: sub x, zero, 1\nld y, x\nhalt", "address outside memory .*'multi'"),
        ("multi: barrier 0\nbad: trap 7\nhalt", "trap 7 .*'bad'"),
    ],
)
def test_faults_end_the_simulation_in_words(text: str, message: str) -> None:
    with pytest.raises(CheckError, match=message):
        run_text(text)
