"""Instruction set of the modelled cores: opcodes, encoding, and what each operation does.

The real instruction set is not public. This one is the least a compiler for a 64-bit RISC core
with remote atomics, a DMA engine and a queue engine would emit (docs/piuma.md).

An instruction is eight int32 words: opcode, rd, ra, rb, rc, immediate, target or re, spare.
Addresses count 8-byte words: R[ra] + R[rb] + immediate. Register 0 is zero.

*Private* instructions touch registers of their thread only. All others reach something shared.
"""

from __future__ import annotations

WORDS = 8
OP, RD, RA, RB, RC, IMM, TARGET = range(7)
REGISTERS = 32

# Private: rd = ra op (rb + immediate).
ADD, SUB, MUL, AND, OR, XOR, SHL, SHR, MIN, MAX = range(10)
LOG2 = 10  # rd = position of the highest one of ra (ra > 0)
FADD = 11  # rd = ra + rb, floats
FMUL = 12  # rd = ra * rb, floats
FMA = 13  # rd = ra * rb + rc, floats
# Branches: to target if ra op (rb + immediate).
BEQ, BNE, BLT, BGE = range(14, 18)
JMP = 18

FIRST_SHARED = 20
LD = 20  # rd = memory[address]
ST = 21  # memory[address] = rc
CAS = 22  # rd = memory[address]; if rd == re: memory[address] = rc
AADD = 23  # rd = memory[address]; memory[address] += rc, integers
AFADD = 24  # memory[address] += rc, floats
LAST_MEMORY = AFADD
POP = 25  # rd = next number of queue (ra + immediate), or -1 if it is empty
QSET = 26  # queue (ra + immediate) holds the numbers rb, rb + 1, ... rc - 1
BARRIER = 27  # immediate 0: threads of this core, 1: of all cores
DMA = 28  # copy rc words from ra to rb; immediate: mode; re: stride or index base
DMAWAIT = 29  # until every descriptor of this thread is done
MARK = 30  # record the clock under number immediate
TRAP = 31  # stop the simulation with fault number immediate
HALT = 32
OPCODES = 33

#: DMA modes. `fill` writes the value in ra; index arrays are read through re.
DMA_COPY, DMA_FILL, DMA_GATHER, DMA_SCATTER, DMA_SCATTER_FILL, DMA_STRIDE_IN, DMA_STRIDE_OUT = (
    range(7)
)
DMA_MODES = {
    "copy": DMA_COPY,  # to[i] = from[i]
    "fill": DMA_FILL,  # to[i] = value
    "gather": DMA_GATHER,  # to[i] = from[index[i]]
    "scatter": DMA_SCATTER,  # to[index[i]] = from[i]
    "scatter_fill": DMA_SCATTER_FILL,  # to[index[i]] = value
    "stride_in": DMA_STRIDE_IN,  # to[i] = from[i * stride]
    "stride_out": DMA_STRIDE_OUT,  # to[i * stride] = from[i]
}

MNEMONICS = {
    "add": ADD, "sub": SUB, "mul": MUL, "and": AND, "or": OR, "xor": XOR, "shl": SHL, "shr": SHR,
    "min": MIN, "max": MAX, "log2": LOG2, "fadd": FADD, "fmul": FMUL, "fma": FMA,
    "beq": BEQ, "bne": BNE, "blt": BLT, "bge": BGE, "jmp": JMP,
    "ld": LD, "st": ST, "cas": CAS, "aadd": AADD, "afadd": AFADD,
    "pop": POP, "qset": QSET, "barrier": BARRIER, "dma": DMA, "dmawait": DMAWAIT,
    "mark": MARK, "trap": TRAP, "halt": HALT,
}  # fmt: skip
NAMES = {code: name for name, code in MNEMONICS.items()}

#: Faults that stop a simulation.
FAULT_ADDRESS, FAULT_DEADLOCK, FAULT_RUNAWAY, FAULT_TRAP, FAULT_BUDGET, FAULT_FULL = range(1, 7)
