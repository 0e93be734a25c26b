"""Settings of the machine that the study compares with the shipped one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reports.labels import slug
from sparsesim.atomic_output import atomic_file
from sparsesim.machines.registry import load_machine

MACHINE = "sat"
GB = 1e9


@dataclass(frozen=True)
class Setting:
    """The machine with some parameters changed.

    Attributes:
        group: what the parameters are about.
        label: their values, in words.
        overrides: values by parameter.
    """

    group: str
    label: str
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Unique among the settings of a list; a file name without suffix."""
        return slug(f"{self.group} {self.label}")


SHIPPED = Setting("shipped", "machine")

#: Each of the paper's optimisations (and the fusion of element-wise work, which is ours) off.
ABLATIONS = (
    Setting("interleave mapping", "off", {"interleave": 1}),
    Setting("pre-generation", "off", {"weight_reduction": "online"}),
    Setting("offline schedule", "always WS", {"dataflow": "ws"}),
    Setting("offline schedule", "always OS", {"dataflow": "os"}),
    Setting("fusion", "none", {"fusion": "none"}),
    Setting("fusion", "drain", {"fusion": "drain"}),
)

BANDWIDTHS = (9.6, 19.2, 38.4, 76.8, 153.6)
FUSIONS = ("none", "elementwise", "drain")


def dram(gigabytes: float) -> dict[str, Any]:
    """A DRAM of channels of 19.2 GB/s each, at least one."""
    return {
        "dram_bandwidth": gigabytes * GB,
        "dram_channels": max(1, 2 ** round(_log2(gigabytes / 19.2))),
    }


def _log2(value: float) -> float:
    import math

    return math.log2(value)


def fusion_and_bandwidth(fusion: str, gigabytes: float) -> Setting:
    """The two parameters that the calibration fits."""
    return Setting(
        "DRAM and fusion",
        f"{gigabytes:g} GB/s, {fusion}",
        {**dram(gigabytes), "fusion": fusion},
    )


def fitted_grid() -> list[Setting]:
    """DRAM bandwidth x fusion."""
    return [fusion_and_bandwidth(fusion, rate) for fusion in FUSIONS for rate in BANDWIDTHS]


def one_at_a_time() -> list[Setting]:
    """Unpublished parameters, each varied alone; the shipped values are left out."""
    shipped = load_machine(MACHINE).spec
    settings = [
        Setting("DRAM bandwidth", f"{rate:g} GB/s", dram(rate))
        for rate in BANDWIDTHS
        if rate * GB != shipped.dram_bandwidth
    ]
    settings += [
        Setting("element-wise overlap", f"fusion {fusion}", {"fusion": fusion})
        for fusion in FUSIONS
        if fusion != shipped.fusion
    ]
    settings += _swept("vector lanes", "vector_lanes", (8, 16, 32, 64, 128), shipped)
    settings += [
        Setting(
            "adder latency",
            f"{clocks} (and interleave)",
            {"add_latency": clocks, "interleave": clocks},
        )
        for clocks in (1, 2, 4)
        if clocks != shipped.add_latency
    ]
    settings += _swept("interleave", "interleave", (1, 2, 4, 8), shipped)
    settings += [
        Setting(
            "on-chip buffers (refetch)",
            f"{factor:g} x",
            {
                key: int(getattr(shipped, key) * factor)
                for key in ("act_buffer_bytes", "weight_buffer_bytes", "out_buffer_bytes")
            },
        )
        for factor in (0.0625, 0.125, 0.25, 4.0)
    ]
    settings += [
        Setting("schedule slack (refetch)", f"{100 * slack:g} %", {"schedule_slack": slack})
        for slack in (0.0, 0.02, 0.05)
        if slack != shipped.schedule_slack
    ]
    settings += [
        Setting("array (fill)", f"{size} x {size}", {"rows": size, "cols": size})
        for size in (16, 32, 64)
        if size != shipped.rows
    ]
    settings += _swept("activation banks", "act_banks", (16, 32, 64), shipped)
    settings += _swept("DRAM latency", "dram_latency", (0, 20, 100), shipped)
    settings += _swept("update lanes", "update_lanes", (8, 32, 128), shipped)
    settings += _swept("sorter lanes", "sorter_lanes", (8, 32, 128), shipped)
    return settings


def _swept(group: str, key: str, values: Sequence[int], shipped: Any) -> list[Setting]:
    return [
        Setting(group, str(value), {key: value})
        for value in values
        if value != getattr(shipped, key)
    ]


def write_machine(setting: Setting, folder: Path) -> Path:
    """A machine file of `setting` in `folder`, with only the values that differ."""
    content = {
        "family": MACHINE,
        "name": setting.name,
        "description": f"{setting.group}: {setting.label}",
        "parameters": {
            key: {"value": value, "status": "assumed", "source": "varied by the SAT study"}
            for key, value in setting.overrides.items()
        },
    }
    path = folder / f"{setting.name}.yaml"
    with atomic_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
