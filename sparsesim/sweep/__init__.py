"""Design-space sweeps: the space, the runners, the result store and the table.

`sparsesim.sweep(...)` is the verb and `sparsesim.sweep` the package, in either order of import.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from sparsesim.sweep.progress import OnProgress, Tally, progress_bar
from sparsesim.sweep.run import SweepOutcome, sweep

__all__ = ["OnProgress", "SweepOutcome", "Tally", "progress_bar", "sweep"]


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> SweepOutcome:
        return sweep(*arguments, **options)


# Importing a subpackage binds its name in `sparsesim`, over the verb: so the package is the verb.
sys.modules[__name__].__class__ = _CallablePackage
