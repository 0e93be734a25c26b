"""Hardware: units generated from the machines' parameter records, as Amaranth and as Verilog."""
