"""Random Verilog in the style of the emitted: operators, registers and memories of any width."""

from __future__ import annotations

import random
from typing import NamedTuple

from hw.component_ports import Port

_INSTANCES = 18  # more than one vector, and not a whole number of vectors
_IN_BITS = 77


class RandomDesign(NamedTuple):
    verilog: str
    ports: list[Port]


class _Wires:
    """Statements of a module, and the wires that they may read."""

    def __init__(self, rng: random.Random, inputs: dict[str, int]):
        self.rng = rng
        self.known = dict(inputs)
        self.lines: list[str] = []

    def operand(self, widest: int) -> str:
        """A wire, a slice of it, a constant or a concatenation, of at most `widest` bits."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.1:
            width = rng.randint(1, min(widest, 40))
            return f"{width}'h{rng.getrandbits(width):x}"
        if kind < 0.25 and widest > 8:
            return "{ " + ", ".join(self.operand(widest // 3) for _ in range(3)) + " }"
        name, width = rng.choice(list(self.known.items()))
        if width == 1:
            return name
        if width > widest or kind < 0.6:
            size = rng.randint(1, min(width, widest))
            low = rng.randint(0, width - size)
            return f"{name}[{low + size - 1}:{low}]" if size > 1 else f"{name}[{low}]"
        return name

    def wire(self, width: int, text: str) -> str:
        name = f"w{len(self.known)}"
        self.lines.append(f"  wire [{width - 1}:0] {name};\n  assign {name} = {text};")
        self.known[name] = width
        return name

    def register(self, width: int, first: bool = False) -> None:
        rng = self.rng
        name = f"r{len(self.known)}"
        value = self.operand(min(width, 64) if first else width)
        reset = f"{width}'h{rng.getrandbits(width):x}"
        condition = rng.choice(["", "if (en) ", f"if ({self.operand(1)}) "])
        self.lines.append(
            f"  reg [{width - 1}:0] {name};\n  always @(posedge clk)\n"
            f"    if (rst) {name} <= {reset};\n    else {condition}{name} <= {value};"
        )
        self.known[name] = width

    def statement(self) -> None:
        rng = self.rng
        kind = rng.random()
        if kind < 0.3:
            operator = rng.choice(["&", "|", "^", "~^"])
            self.wire(rng.randint(1, 90), f"{self.operand(90)} {operator} {self.operand(90)}")
        elif kind < 0.5:
            operator = rng.choice(["+", "-", "*"])
            widths = [1, 5, 8, 16, 31, 32, 33, 48, 63, 64]
            width = rng.choice(widths if operator == "*" else [*widths, 65, 90])
            self.wire(width, f"{self.operand(width)} {operator} {self.operand(width)}")
        elif kind < 0.6:
            operator = rng.choice(["<", "<=", ">", ">=", "==", "!=", "&&", "||"])
            left, right = self.operand(90), self.operand(90)
            if operator[0] in "<>" and rng.random() < 0.3:
                left, right = f"$signed({left})", f"$signed({right})"
            self.wire(rng.choice([1, 1, 7]), f"{left} {operator} {right}")
        elif kind < 0.7:
            operator = rng.choice(["&", "|", "^", "!", "~", "-"])
            width = rng.randint(1, 90) if operator in "~-" else 1
            self.wire(width, f"{operator} {{ {self.operand(width if width > 1 else 90)} }}")
        elif kind < 0.8:
            if rng.random() < 0.5:
                width = rng.choice([8, 27, 32, 54, 64, 65, 90])
                operator = rng.choice(["<<", ">>", ">>>"])
                value = self.operand(width)
                value = f"$signed({value})" if operator == ">>>" else value
                self.wire(width, f"{value} {operator} {self.operand(8)}")
            else:  # a choice of one of many elements
                known = [name for name, width in self.known.items() if width > 64]
                size = rng.choice([1, 8, 16, 24])
                self.wire(size, f"{rng.choice(known)} >> {{ {self.operand(4)}, 3'h0 }}")
        elif kind < 0.9:
            width = rng.randint(1, 90)
            choice = f"{self.operand(1)} ? {self.operand(width)} : {self.operand(width)}"
            self.wire(width, choice)
        else:
            self.cases()
        if rng.random() < 0.35:
            self.register(rng.randint(1, 90))

    def cases(self) -> None:
        """A parallel case, as the converter writes selects of one in many."""
        rng = self.rng
        count, width = rng.randint(2, 5), rng.randint(1, 40)
        select = self.wire(count, self.operand(count))
        table = self.wire(count * width, self.operand(count * width))
        name = f"w{len(self.known)}"
        options = "".join(
            f"      {count}'b{'?' * (count - 1 - i)}1{'?' * i}: {name} = "
            f"{table}[{(i + 1) * width - 1}:{i * width}];\n"
            for i in range(count)
        )
        self.lines.append(
            f"  reg [{width - 1}:0] {name};\n  always @*\n    casez ({select})\n{options}"
            f"      default: {name} = {self.operand(width)};\n    endcase"
        )
        self.known[name] = width

    def memory(self, name: str) -> None:
        """Written and read in the same clock; a word that was not written since reset reads 0."""
        rng = self.rng
        width, address_bits = rng.choice([1, 19, 70]), rng.randint(1, 4)
        size = max(2, (1 << address_bits) - rng.randint(0, 1))
        read, write = (self.wire(address_bits, self.operand(address_bits)) for _ in range(2))
        data, enable = self.wire(width, self.operand(width)), self.wire(1, self.operand(1))
        there = self.wire(1, f"{name}_written >> {read}")
        one = f"{size}'h1"
        self.lines.append(
            f"  reg [{width - 1}:0] {name} [{size - 1}:0];\n  reg [{width - 1}:0] {name}_read;\n"
            f"  reg [{size - 1}:0] {name}_written;\n"
            f"  always @(posedge clk)\n    if (rst) {name}_read <= 0;\n"
            f"    else if (en) {name}_read <= {there} ? {name}[{read}] : 0;\n"
            f"  always @(posedge clk)\n    if (rst) {name}_written <= 0;\n"
            f"    else if ({enable}) {name}_written <= {name}_written | ({one} << {write});\n"
            f"  always @(posedge clk) if ({enable}) {name}[{write}] <= {data};"
        )
        self.known[f"{name}_read"] = width


def random_design(seed: int, statements: int = 24) -> RandomDesign:
    """Parts in a chain, fed by their neighbours, by all alike and each by itself; and a top."""
    rng = random.Random(seed)
    part = _Wires(rng, {"en": 1, "west": 70, "own": 40, "all": 66})
    part.register(70)  # so that there is state before the first operator
    held = list(part.known)[-1]
    for _ in range(statements):
        part.statement()
    part.memory("words")
    for _ in range(statements // 3):
        part.statement()
    seen = part.wire(64, " ^ ".join(_folded(name, width) for name, width in part.known.items()))
    top = _Wires(rng, {"en": 1, "data": _IN_BITS})
    for _ in range(statements // 2):
        top.statement()
    top.memory("store")
    everything = top.wire(64, " ^ ".join(_folded(n, w) for n, w in top.known.items()))
    east = rng.choice([held, f"{held} ^ {{ own, all[29:0] }}"])  # a register, or computed
    instances = []
    for i in range(_INSTANCES):
        west = f"east_{i - 1}" if i % 7 else top.operand(70)
        instances.append(
            f"  wire [69:0] east_{i};\n  wire [63:0] seen_{i};\n"
            f"  part p_{i} (.clk(clk), .rst(rst), .en(en), .west({west}), .own({top.operand(40)}), "
            f".all({everything}), .east(east_{i}), .seen(seen_{i}));"
        )
    outs = ", ".join(f"seen_{i}" for i in range(_INSTANCES))
    bits = 64 * (_INSTANCES + 1)
    newline = "\n"
    verilog = (
        "module part(clk, rst, en, west, own, all, east, seen);\n"
        "  input clk, rst, en;\n  input [69:0] west;\n  input [39:0] own;\n  input [65:0] all;\n"
        "  output [69:0] east;\n  output [63:0] seen;\n"
        f"{newline.join(part.lines)}\n  assign east = {east};\n  assign seen = {seen};\nendmodule\n"
        "module top(clk, rst, en, data, out);\n"
        f"  input clk, rst, en;\n  input [{_IN_BITS - 1}:0] data;\n  output [{bits - 1}:0] out;\n"
        f"{newline.join(top.lines)}\n{newline.join(instances)}\n"
        f"  assign out = {{ {everything}, {outs} }};\nendmodule\n"
    )
    ports = [Port("en", "input", 1), Port("data", "input", _IN_BITS), Port("out", "output", bits)]
    return RandomDesign(verilog, ports)


def _folded(name: str, width: int) -> str:
    return name if width <= 64 else f"{name}[63:0] ^ {name}[{width - 1}:64]"
