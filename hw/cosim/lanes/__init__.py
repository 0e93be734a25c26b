"""A simulator of emitted Verilog for arrays: equal instances are stepped together in vectors."""
