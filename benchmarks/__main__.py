"""Print every figure of the suite; ratios compare two things measured in this run."""

from __future__ import annotations

from benchmarks import dram_channel, piuma_cores, resnet18_step, rtl_cosimulation, sat_cores


def main() -> None:
    """Run all benchmarks on an otherwise idle machine."""
    for suite in (sat_cores, dram_channel, resnet18_step, piuma_cores, rtl_cosimulation):
        for name, value in suite.run().items():
            print(f"{name:70s} {value:12.4g}", flush=True)


if __name__ == "__main__":
    main()
