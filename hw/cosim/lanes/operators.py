"""C++ for the operators and registers of a netlist module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce

from hw.cosim.lanes.netlist import Bit, Bits, Cell
from hw.cosim.lanes.wiring import STORED_BITS, Register, word_slice
from hw.cosim.lanes.words import WIDEST_WORD, Word, WordReader


class WordCode(WordReader):
    """Writes the statements that compute values of a module, each operator once."""

    # Registers --------------------------------------------------------------------------------

    def next_word(self, register: Register) -> Word:
        """What a register holds after the clock edge."""
        cell, chunk = register
        pins, numbers = cell.pins, cell.parameters
        value = self.word(word_slice(pins["D"], chunk))
        held = self.word(word_slice(pins["Q"], chunk))
        if cell.type == "$dff":
            return value
        enable = self._active(cell, "EN") if "EN" in pins else self._constant(1, 1)
        if "SRST" not in pins:
            return self._select(enable, value, held)
        number = numbers.get("SRST_VALUE", 0) >> STORED_BITS * chunk & ((1 << value.width) - 1)
        reset, reset_value = self._active(cell, "SRST"), self._constant(number, value.width)
        if cell.type == "$sdffce":
            return self._select(enable, self._select(reset, reset_value, value), held)
        return self._select(reset, reset_value, self._select(enable, value, held))

    def _active(self, cell: Cell, pin: str) -> Word:
        truth = self.word(cell.pins[pin])
        return truth if cell.parameters[f"{pin}_POLARITY"] else self._not(truth)

    # Operators --------------------------------------------------------------------------------

    def _operator(self, owner: str, pin: str, chunk: int) -> Word:
        cell = self._wiring.cells[owner]
        width = len(cell.pins[pin])
        if width > WIDEST_WORD:
            first, last = chunk * STORED_BITS, min((chunk + 1) * STORED_BITS, width)
        else:
            first, last = 0, width
        write = _OPERATORS.get(cell.type)
        if write is None:
            raise self._unsupported(f"a cell {cell.type}")
        word = write(self, cell, first, last)
        return Word(f"({word.text})", last - first, word.constant)

    def _operand(self, cell: Cell, pin: str, width: int) -> Bits:
        """The pin's bits, cut or extended to `width`."""
        bits = cell.pins[pin]
        fill: Bit = bits[-1] if cell.parameters.get(f"{pin}_SIGNED") else "0"
        return (bits + (fill,) * width)[:width]

    def _not(self, word: Word) -> Word:
        ones = (1 << word.width) - 1
        if word.constant is not None:
            return self._constant(word.constant ^ ones, word.width)
        if word.width in (1, STORED_BITS, WIDEST_WORD):
            return Word(f"~{word.text}", word.width)
        kind = self._narrow if word.width <= STORED_BITS else self._wide
        return Word(f"({word.text} ^ {self._splat(ones, kind)})", word.width)

    def _select(self, truth: Word, yes: Word, no: Word) -> Word:
        if truth.constant is not None:
            return yes if truth.constant else no
        if yes.text == no.text:
            return yes
        if yes.constant == 0:
            return self._and(self._not(self._spread(truth, yes.width)), no)
        if no.constant == 0:
            return self._and(self._spread(truth, yes.width), yes)
        return Word(f"select({truth.text}, {yes.text}, {no.text})", yes.width)

    def _spread(self, truth: Word, width: int) -> Word:
        """A truth value as a mask of a word of `width` bits."""
        if width <= STORED_BITS:
            return Word(truth.text, STORED_BITS if width > 1 else 1)
        return Word(f"widen_truth({truth.text})", WIDEST_WORD)

    def _and(self, a: Word, b: Word) -> Word:
        """Bits of both; `a` may be a mask that is wider than `b`."""
        for one, other in ((a, b), (b, a)):
            if one.constant == 0:
                return self._constant(0, b.width)
            if one.constant == (1 << other.width) - 1:
                return other
        return Word(f"({a.text} & {b.text})", b.width)

    def _or(self, a: Word, b: Word) -> Word:
        for one, other in ((a, b), (b, a)):
            if one.constant == 0:
                return other
            if one.constant == (1 << one.width) - 1:
                return one
        return Word(f"({a.text} | {b.text})", b.width)

    def _xor(self, a: Word, b: Word) -> Word:
        for one, other in ((a, b), (b, a)):
            if one.constant == 0:
                return other
        return Word(f"({a.text} ^ {b.text})", b.width)

    def _masks(self, bits: Bits) -> Iterable[tuple[Word, int]]:
        """The words that hold the bits that are not constant, and which of their bits are asked."""
        asked: dict[Word, int] = {}
        for bit in bits:
            if not isinstance(self._assumed.get(bit, bit), str):
                word, offset = self._atom(bit)
                asked[word] = asked.get(word, 0) | 1 << offset
        return asked.items()

    def _any_bit(self, bits: Bits) -> Word:
        """Whether one of the bits is 1."""
        if any(self._assumed.get(bit, bit) == "1" for bit in bits):
            return self._constant(1, 1)
        truths: list[str] = []
        masked: dict[bool, list[str]] = {False: [], True: []}
        for word, mask in self._masks(bits):
            if word.width == 1:
                truths.append(word.text)
                continue
            wide = word.width > STORED_BITS
            kind = self._wide if wide else self._narrow
            whole = mask == (1 << word.width) - 1
            masked[wide].append(
                word.text if whole else f"({word.text} & {self._splat(mask, kind)})"
            )
        for wide, texts in masked.items():
            if texts:
                zero = self._splat(0, self._wide if wide else self._narrow)
                truths.append(f"unequal({' | '.join(texts)}, {zero})")
        return Word(f"({' | '.join(truths)})", 1) if truths else self._constant(0, 1)

    def _all_bits(self, bits: Bits) -> Word:
        """Whether all of the bits are 1."""
        if any(self._assumed.get(bit, bit) in ("0", "x", "z") for bit in bits):
            return self._constant(0, 1)
        truths = []
        for word, mask in self._masks(bits):
            if word.width == 1:
                truths.append(word.text)
                continue
            kind = self._wide if word.width > STORED_BITS else self._narrow
            ones = self._splat(mask, kind)
            truths.append(f"equal({word.text} & {ones}, {ones})")
        return Word(f"({' & '.join(truths)})", 1) if truths else self._constant(1, 1)

    def _write_bitwise(self, cell: Cell, first: int, last: int) -> Word:
        width = len(cell.pins["Y"])
        a = self.word(self._operand(cell, "A", width)[first:last])
        if cell.type in ("$pos", "$buf"):
            return a
        if cell.type == "$not":
            return self._not(a)
        b = self.word(self._operand(cell, "B", width)[first:last])
        if cell.type == "$xnor":
            return self._not(self._xor(a, b))
        return {"$and": self._and, "$or": self._or, "$xor": self._xor}[cell.type](a, b)

    def _write_reduce(self, cell: Cell, _first: int, last: int) -> Word:
        bits = cell.pins["A"]
        if cell.type == "$reduce_and":
            truth = self._all_bits(bits)
        elif cell.type in ("$reduce_xor", "$reduce_xnor"):
            truth = reduce(self._xor, (self.word((bit,)) for bit in bits))
            truth = self._not(truth) if cell.type == "$reduce_xnor" else truth
        else:
            truth = self._any_bit(bits)
            if cell.type == "$logic_not":
                truth = self._not(truth)
            elif cell.type in ("$logic_and", "$logic_or"):
                join = self._and if cell.type == "$logic_and" else self._or
                truth = join(truth, self._any_bit(cell.pins["B"]))
        return self._alone(truth, last)

    def _alone(self, truth: Word, width: int) -> Word:
        """A result of one bit; Yosys has cut the zeros above it."""
        if width > 1:
            raise self._unsupported(f"a truth value of {width} bits")
        return truth

    def _write_compare(self, cell: Cell, _first: int, last: int) -> Word:
        width = max(len(cell.pins["A"]), len(cell.pins["B"]))
        a, b = self._operand(cell, "A", width), self._operand(cell, "B", width)
        if cell.type in ("$eq", "$ne", "$eqx", "$nex"):
            truth = self._same(a, b)
            return self._alone(self._not(truth) if cell.type in ("$ne", "$nex") else truth, last)
        if cell.type in ("$gt", "$ge"):
            a, b = b, a
        signed = bool(cell.parameters["A_SIGNED"] and cell.parameters["B_SIGNED"])
        return self._alone(self._below(a, b, signed, cell.type in ("$lt", "$gt")), last)

    def _below(self, a: Bits, b: Bits, signed: bool, strict: bool) -> Word:
        """Whether a < b (a <= b if not `strict`), of one length."""
        if len(a) > WIDEST_WORD:
            high = a[WIDEST_WORD:], b[WIDEST_WORD:]
            low = self._below(a[:WIDEST_WORD], b[:WIDEST_WORD], False, strict)
            return self._or(self._below(*high, signed, True), self._and(self._same(*high), low))
        left, right = self.word(a), self.word(b)
        if signed:
            top = self._constant(1 << (len(a) - 1), len(a))
            left, right = self._xor(left, top), self._xor(right, top)
        if len(a) == 1:
            join = self._and if strict else self._or
            return join(self._not(left), right)
        return Word(f"{'below' if strict else 'at_most'}({left.text}, {right.text})", 1)

    def _same(self, a: Bits, b: Bits) -> Word:
        """Whether a == b, of one length."""
        if len(a) > WIDEST_WORD:
            low = self._same(a[:WIDEST_WORD], b[:WIDEST_WORD])
            return self._and(low, self._same(a[WIDEST_WORD:], b[WIDEST_WORD:]))
        if len(a) == 1:
            return self._not(self._xor(self.word(a), self.word(b)))
        for one, other in ((a, b), (b, a)):
            if all(self._assumed.get(bit, bit) == "0" for bit in one):
                return self._not(self._any_bit(other))
        return Word(f"equal({self.word(a).text}, {self.word(b).text})", 1)

    def _write_arithmetic(self, cell: Cell, first: int, last: int) -> Word:
        width = len(cell.pins["Y"])
        if width > WIDEST_WORD:
            if cell.type == "$mul":
                raise self._unsupported(f"a product of {width} bits")
            return self._cut(f"narrow({self._partial_sum(cell, first)})", last - first)
        a = self.word(self._operand(cell, "A", last))
        if cell.type == "$neg":
            a, b, sign = self._constant(0, last), a, "-"
        else:
            b = self.word(self._operand(cell, "B", last))
            sign = {"$add": "+", "$sub": "-", "$mul": "*"}[cell.type]
        if last == 1:
            return self._and(a, b) if sign == "*" else self._xor(a, b)
        return self._cut(f"{a.text} {sign} {b.text}", last)

    def _partial_sum(self, cell: Cell, first: int) -> str:
        """32 bits of a long sum from bit `first` on, and the carry above them."""
        key = (cell.name, "sum", first)
        if key in self._known:
            return self._known[key].text

        def part(pin: str) -> str:
            bits = self._operand(cell, pin, len(cell.pins["Y"]))[first : first + STORED_BITS]
            zeros: Bits = ("0",) * (STORED_BITS + 1 - len(bits))
            return self.word(bits + zeros).text

        if cell.type == "$add":
            terms, carry = [part("A"), part("B")], 0
        else:  # a - b = a + ~b + 1
            ones = self._splat(0xFFFFFFFF, self._wide)
            minus = f"({part('A' if cell.type == '$neg' else 'B')} ^ {ones})"
            terms, carry = [minus, *([part("A")] if cell.type == "$sub" else [])], 1
        if first:
            terms.append(f"({self._partial_sum(cell, first - STORED_BITS)} >> {STORED_BITS})")
        else:
            terms.append(self._splat(carry, self._wide))
        self._known[key] = self._named(Word(" + ".join(terms), WIDEST_WORD))
        return self._known[key].text

    def _cut(self, text: str, width: int) -> Word:
        """A result whose bits above `width` may not be zero."""
        if width == 1:
            return Word(f"unequal(({text}) & {self._splat(1)}, {self._splat(0)})", 1)
        if width in (STORED_BITS, WIDEST_WORD):
            return Word(text, width)
        kind = self._narrow if width <= STORED_BITS else self._wide
        return Word(f"({text}) & {self._splat((1 << width) - 1, kind)}", width)

    def _write_shift(self, cell: Cell, first: int, last: int) -> Word:
        left = cell.type in ("$shl", "$sshl")
        if cell.parameters["B_SIGNED"]:
            raise self._unsupported("a shift by a signed amount")
        width = last - first
        inner = max(len(cell.pins["A"]), len(cell.pins["Y"]), 2)
        bits, by = self._operand(cell, "A", inner), cell.pins["B"]
        fill: Bit = bits[-1] if cell.type == "$sshr" and cell.parameters["A_SIGNED"] else "0"
        if inner > WIDEST_WORD and left:
            # To the left by n is to the right by ~n, from as far as ~0 to the left.
            reach = inner.bit_length()
            zeros: Bits = ("0",) * ((1 << len(by[:reach])) - 1)
            shifted = self._shift_long(zeros + bits, by[:reach], first, last, "0", True)
            return self._select(self._any_bit(by[reach:]), self._constant(0, width), shifted)
        if inner > WIDEST_WORD:
            return self._shift_long(bits, by, first, last, fill)
        near = 5 if inner <= STORED_BITS else 6
        move = "shift_left" if left else "shift_right"
        signs = self.word((fill,) * inner)  # with a sign all bits are inverted, and back
        flipped = self._xor(self.word(bits), signs)
        moved = Word(f"{move}({flipped.text}, {self._number(by[:near])})", inner)
        far = self._any_bit(by[near:])
        text = self._xor(self._select(far, self._constant(0, inner), moved), signs).text
        if inner > STORED_BITS >= width:
            text = f"narrow({text})"
        return self._cut(text, width) if left or width < inner else Word(text, width)

    def _shift_long(
        self, bits: Bits, by: Bits, first: int, last: int, fill: Bit, inverted: bool = False
    ) -> Word:
        """Bits `first` to `last` (at most 64) of a long word shifted right, then `fill`."""
        width = last - first
        if width <= STORED_BITS:
            return self._shift_far(bits[first:], by, width, fill, inverted)
        low, high = (
            self._shift_far(bits[start:], by, STORED_BITS, fill, inverted).text
            for start in (first, first + STORED_BITS)
        )
        return self._cut(f"widen({low}) | (widen({high}) << {STORED_BITS})", width)

    def _shift_far(self, bits: Bits, by: Bits, width: int, fill: Bit, inverted: bool) -> Word:
        """The low `width` (at most 32) bits of a long word shifted right, by ~`by` if inverted."""
        padded = bits + (fill,) * (STORED_BITS + -len(bits) % STORED_BITS)
        words = [self.word(padded[i : i + STORED_BITS]) for i in range(0, len(padded), STORED_BITS)]
        low, high = by[:5], by[5:]
        zeros_below = (i for i, bit in enumerate(low) if bit != "0" or inverted)
        aligned = next(zeros_below, len(low))
        crosses = width > 1 << aligned

        def chosen(first: int) -> Word:
            table = words[first:]
            for bit in high:
                truth = self.word((bit,))
                none = self.word((fill,) * STORED_BITS)
                truth = self._not(truth) if inverted else truth
                table = [
                    self._select(truth, odd, even)
                    for even, odd in zip(
                        table[::2], [*table[1::2], *[none] * (len(table) % 2)], strict=True
                    )
                ]
            return table[0]  # the others are out of reach of `by`

        amount = self._number(low)
        if inverted:
            amount = f"({amount} ^ {self._splat((1 << len(low)) - 1)})"
        if crosses:
            pair = f"(widen({chosen(0).text}) | (widen({chosen(1).text}) << {STORED_BITS}))"
            return self._cut(f"narrow(shift_right({pair}, {amount}))", width)
        return self._cut(f"shift_right({chosen(0).text}, {amount})", width)

    def _number(self, bits: Bits) -> str:
        """The value of a few bits as a number; one alone would be a truth value."""
        return self.word((*bits, "0")).text

    def _write_mux(self, cell: Cell, first: int, last: int) -> Word:
        pins = cell.pins
        width = len(pins["A"])
        result = self.word(pins["A"][first:last])
        # Of several selects that are high, the lowest wins, as in the emitted `casez`.
        for option in reversed(range(len(pins["S"]))):
            value = pins["B"][option * width : (option + 1) * width]
            truth = self.word((pins["S"][option],))
            result = self._select(truth, self.word(value[first:last]), result)
        return result


_OPERATORS: dict[str, Callable[[WordCode, Cell, int, int], Word]] = {
    **dict.fromkeys(
        ("$and", "$or", "$xor", "$xnor", "$not", "$pos", "$buf"), WordCode._write_bitwise
    ),
    **dict.fromkeys(
        ("$reduce_and", "$reduce_or", "$reduce_bool", "$reduce_xor", "$reduce_xnor"),
        WordCode._write_reduce,
    ),
    **dict.fromkeys(("$logic_not", "$logic_and", "$logic_or"), WordCode._write_reduce),
    **dict.fromkeys(
        ("$eq", "$ne", "$eqx", "$nex", "$lt", "$le", "$gt", "$ge"), WordCode._write_compare
    ),
    **dict.fromkeys(("$add", "$sub", "$mul", "$neg"), WordCode._write_arithmetic),
    **dict.fromkeys(("$shl", "$sshl", "$shr", "$sshr", "$shift", "$shiftx"), WordCode._write_shift),
    **dict.fromkeys(("$mux", "$pmux"), WordCode._write_mux),
}


__all__ = ["WordCode"]
