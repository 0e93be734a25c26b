"""The assembler: encoding, register scopes, and mistakes in a kernel's text."""

from __future__ import annotations

import importlib

import pytest

from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma.assembler import AssemblyError, assemble
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import prepare
from tests.machines.piuma.small_products import SPARSE_KERNELS, machine, matrix


def test_encoding() -> None:
    program = assemble(
        "start: ld x, TABLE + tid + 2 ; a comment\n  add y, x, 5\n blt y, x, start",
        ["tid"],
        {"TABLE": 1000},
    )
    tid, x, y = 1, 2, 3
    assert program.registers == {"tid": tid}
    assert program.labels == {"start": 0}
    assert program.code[0].tolist() == [isa.LD, x, tid, 0, 0, 1002, 0, 0]
    assert program.code[1].tolist() == [isa.ADD, y, x, 0, 0, 5, 0, 0]
    assert program.code[2].tolist() == [isa.BLT, 0, y, x, 0, 0, 0, 0]


def test_a_scope_gives_registers_back() -> None:
    many = "\n".join(f"add r{number}, zero, {number}" for number in range(29))
    with pytest.raises(AssemblyError, match="no register is left"):
        assemble(f"{many}\nadd a, zero, 1\nadd b, zero, 1", ["tid"], {})
    program = assemble(f"{many}\n.scope r3\nadd a, r3, 1\nadd b, tid, 1", ["tid"], {})
    assert program.code[-2][isa.RA] == program.code[3][isa.RD]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frobnicate x, y", "unknown mnemonic"),
        ("add x, y, 1", "'y' is read before"),
        ("add x, zero, UNKNOWN", "'UNKNOWN' is read before"),
        ("add x, zero", "wrong operands"),
        ("jmp nowhere", "unknown label"),
        ("a: halt\na: halt", "stands twice"),
        ("ld x, tid + tid + tid", "at most two registers"),
        ("add x, zero, 1 - tid", "cannot be subtracted"),
        (f"add x, zero, {2**31}", "does not fit"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(AssemblyError, match=message):
        assemble(text, ["tid"], {})


@pytest.mark.parametrize("kernel", SPARSE_KERNELS)
def test_kernels_assemble_within_the_register_file(kernel: str) -> None:
    small = Product(matrix(4, 4, 0.5, 1), matrix(4, 4, 0.5, 2))
    spec = machine(kernel)
    module = importlib.import_module(f"sparsesim.machines.piuma.kernels.{kernel}")
    code = prepare(module.build(small, spec), spec).program.code
    assert code[:, [isa.RD, isa.RA, isa.RB, isa.RC]].max() < isa.REGISTERS
    assert (code[:, isa.RD] != 0).sum() > 10
