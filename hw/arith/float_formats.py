"""IEEE 754 fields of the formats used by the generated units, as Amaranth layouts."""

from __future__ import annotations

from amaranth.lib import data

#: binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits
FP16 = data.StructLayout({"fraction": 10, "exponent": 5, "sign": 1})
#: binary32: 1 sign, 8 exponent (bias 127), 23 fraction bits
FP32 = data.StructLayout({"fraction": 23, "exponent": 8, "sign": 1})
FP32_EXPONENT_MAX = 0xFF
#: The one NaN that leaves an operator, whatever payloads went in.
FP32_QUIET_NAN = 0x7FC00000
FP32_INFINITY = 0x7F800000
FP16_QUIET_NAN = 0x7E00
FP16_INFINITY = 0x7C00
