"""The floating point formats of the generated units, and what their bits mean."""

from __future__ import annotations

from amaranth.hdl import Cat, Value
from amaranth.lib import data


class FloatFormat(data.StructLayout):
    """A binary format with hidden one, subnormals, infinities and NaNs, as an Amaranth layout.

    A signal of this shape is a `FloatNumber`: its fields are ``fraction``, ``exponent`` and
    ``sign``.
    """

    def __init__(self, *, exponent: int, fraction: int):
        super().__init__({"fraction": fraction, "exponent": exponent, "sign": 1})
        self.exponent_bits = exponent
        self.fraction_bits = fraction
        #: Exponent field of infinities and NaNs
        self.exponent_max = 2**exponent - 1
        self.bias = 2 ** (exponent - 1) - 1
        #: Bits of positive infinity
        self.infinity = self.exponent_max << fraction
        #: Bits of the one NaN that leaves an operator, whatever payloads went in
        self.quiet_nan = self.infinity | 1 << (fraction - 1)

    def __call__(self, value):
        return FloatNumber(self, value)


class FloatNumber(data.View):
    """The fields of a number, and what an operator wants to know of them."""

    @property
    def magnitude(self) -> Value:
        """All bits but the sign: their order as whole numbers is that of the absolute values."""
        return self.as_value()[:-1]

    @property
    def significand(self) -> Value:
        """The fraction with the hidden one, which a subnormal has not."""
        return Cat(self.fraction, self.exponent.any())

    @property
    def scale(self) -> Value:
        """The exponent field; a subnormal has that of the smallest normal."""
        return self.exponent | ~self.exponent.any()

    @property
    def zero(self) -> Value:
        return ~self.magnitude.any()

    @property
    def special(self) -> Value:
        """Infinity or NaN"""
        return self.exponent.all()

    @property
    def nan(self) -> Value:
        return self.exponent.all() & self.fraction.any()


FP16 = FloatFormat(exponent=5, fraction=10)
BF16 = FloatFormat(exponent=8, fraction=7)
FP32 = FloatFormat(exponent=8, fraction=23)
FP64 = FloatFormat(exponent=11, fraction=52)

__all__ = ["BF16", "FP16", "FP32", "FP64", "FloatFormat", "FloatNumber"]
