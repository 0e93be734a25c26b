"""The FP32 adder under the name of its first users."""

from hw.arith.float_adder import REGISTERED_STEPS, Fp32Adder

__all__ = ["REGISTERED_STEPS", "Fp32Adder"]
