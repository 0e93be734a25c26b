"""The numbers of the study, each table computed from result folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reports.runs import Pair, Run
from reports.sat_study.cases import DENSE, HEADLINE, Case
from reports.sat_study.settings import SHIPPED, Setting

if TYPE_CHECKING:
    import pandas as pd

Runs = Mapping[tuple[Case, Setting], Run]

#: Parts of a training step, in the order of the figures.
PARTS = ("FF", "BP", "WU", "update", "selection", "element-wise")
#: Engines whose part is not the phase of the operator.
_PART_OF_ENGINE = {"vector": "element-wise", "update": "update", "sorter": "selection"}
STEP = "step"
MEAN = "mean"


def pair_of(runs: Runs, case: Case, setting: Setting = SHIPPED) -> Pair:
    """`case` and the dense run of its network, both on the machine of `setting`."""
    dense = Case(case.network, *DENSE, case.batch)
    return Pair(runs[dense, setting], runs[case, setting])


def headline_pairs(
    runs: Runs, networks: Sequence[str], batch: int, setting: Setting = SHIPPED
) -> dict[str, Pair]:
    """By network, the headline variant beside dense."""
    return {
        network: pair_of(runs, Case(network, *HEADLINE, batch), setting) for network in networks
    }


def variant_table(runs: Runs, batch: int) -> pd.DataFrame:
    """One row per network and variant on the shipped machine.

    Returns:
        Columns network, variant, seconds, speedup and energy_saving (dense over this run),
        operation_bound (effective MACs, dense over this run), operation_reduction (share of the
        dense MACs not done), utilisation, energy_j, dram_bytes.
    """
    import pandas as pd

    rows = []
    for (case, setting), run in runs.items():
        if setting != SHIPPED or case.batch != batch:
            continue
        pair = pair_of(runs, case)
        total = run.summary
        rows.append(
            {
                "network": case.network,
                "variant": run.variant,
                "seconds": total.seconds,
                "speedup": pair.speedup,
                "operation_bound": pair.operation_bound,
                "operation_reduction": 1.0 - 1.0 / pair.operation_bound,
                "utilisation": run.utilisation,
                "energy_j": total.energy_j,
                "energy_saving": pair.dense.summary.energy_j / total.energy_j,
                "dram_bytes": total.dram_bytes,
            }
        )
    return pd.DataFrame(rows)


def part_cycles(run: Run) -> pd.Series:
    """Cycles of the operators by part of the step; an engine held beside another is not counted."""
    table = run.operators[~run.operators["operator"].str.contains("@", regex=False)]
    parts = table["engine"].map(_PART_OF_ENGINE).fillna(table["phase"])
    return table.groupby(parts)["cycles"].sum().reindex(list(PARTS), fill_value=0)


def part_table(pairs: Mapping[str, Pair]) -> pd.DataFrame:
    """Cycles and speedup of every part of the step, and of the step: network, part, ..."""
    import pandas as pd

    rows = []
    for network, pair in pairs.items():
        dense, sparse = part_cycles(pair.dense), part_cycles(pair.sparse)
        for part in (*PARTS, STEP):
            whole = part == STEP
            before = pair.dense.summary.total_cycles if whole else int(dense[part])
            after = pair.sparse.summary.total_cycles if whole else int(sparse[part])
            rows.append(
                {
                    "network": network,
                    "part": part,
                    "dense_cycles": before,
                    "sparse_cycles": after,
                    "speedup": before / after if after else float("nan"),
                }
            )
    return pd.DataFrame(rows)


def ablation_table(
    runs: Runs, networks: Sequence[str], batch: int, settings: Sequence[Setting]
) -> pd.DataFrame:
    """What each setting costs against the shipped machine.

    Returns:
        One row per setting and network: group, label, network, dense_loss and sparse_loss (share
        by which the step of the dense and of the headline run takes longer), dense_energy_loss
        and sparse_energy_loss, speedup (headline over dense, both on the setting).
    """
    import pandas as pd

    rows = []
    for setting in settings:
        for network in networks:
            case = Case(network, *HEADLINE, batch)
            if (case, setting) not in runs:
                continue
            shipped, changed = pair_of(runs, case), pair_of(runs, case, setting)
            rows.append(
                {
                    "group": setting.group,
                    "label": setting.label,
                    "network": network,
                    "dense_loss": _loss(shipped.dense, changed.dense, "seconds"),
                    "sparse_loss": _loss(shipped.sparse, changed.sparse, "seconds"),
                    "dense_energy_loss": _loss(shipped.dense, changed.dense, "energy_j"),
                    "sparse_energy_loss": _loss(shipped.sparse, changed.sparse, "energy_j"),
                    "speedup": changed.speedup,
                }
            )
    return pd.DataFrame(rows)


def _loss(shipped: Run, changed: Run, what: str) -> float:
    return float(getattr(changed.summary, what) / getattr(shipped.summary, what) - 1.0)


def schedule_table(
    runs: Runs, networks: Sequence[str], batch: int, fixed: Sequence[Setting]
) -> pd.DataFrame:
    """Every GEMM of the headline runs: offline choice beside each fixed dataflow, all simulated.

    Returns:
        One row per operator: network, operator, phase, chosen (ws or os), predicted_cycles,
        cycles, one column of cycles per fixed dataflow, best_cycles (the least of all) and regret
        (cycles over best_cycles - 1).
    """
    import pandas as pd

    parts = []
    for network in networks:
        case = Case(network, *HEADLINE, batch)
        table = runs[case, SHIPPED].macs.set_index("operator")
        found = pd.DataFrame(
            {
                "network": network,
                "phase": table["phase"],
                "chosen": table["mapping"].str.split().str[0],
                "predicted_cycles": table["predicted_cycles"],
                "cycles": table["cycles"],
            }
        )
        columns = ["cycles"]
        for setting in fixed:
            column = f"{setting.overrides['dataflow']}_cycles"
            found[column] = runs[case, setting].macs.set_index("operator")["cycles"]
            columns.append(column)
        found["best_cycles"] = found[columns].min(axis=1)
        found["regret"] = found["cycles"] / found["best_cycles"] - 1.0
        parts.append(found.reset_index())
    return pd.concat(parts, ignore_index=True)
