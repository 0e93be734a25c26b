"""Print what the demo found: accuracy, speedup, where the report is."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(out: Path) -> None:
    """Read the result folders under `out` and print a few lines."""
    print()
    for network in ("digits", "resnet18"):
        dense, sparse = (
            json.loads((out / "results" / f"{network}-{kind}" / "summary.json").read_text())
            for kind in ("dense", "bdwp")
        )
        accuracy = sparse["trace"]["provenance"].get("accuracy")
        if accuracy:
            shown = ", ".join(f"{name} {100 * value:.1f} %" for name, value in accuracy.items())
            print(f"{network:9s} held-out accuracy: {shown}")
        else:
            print(f"{network:9s} weights: {sparse['trace']['provenance']['weights']}")
        print(
            f"{'':9s} training step: dense {1e3 * dense['seconds']:.3f} ms, "
            f"BDWP 2:8 {1e3 * sparse['seconds']:.3f} ms: "
            f"speedup {dense['seconds'] / sparse['seconds']:.2f}x (predicted, uncalibrated), "
            f"energy {dense['energy_j'] / sparse['energy_j']:.2f}x less"
        )
    print(f"report    {out / 'report' / 'index.html'}")
    print(f"Verilog   {out / 'rtl' / 'stce.v'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
