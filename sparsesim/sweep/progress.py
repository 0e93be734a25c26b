"""How far a sweep is: a tally handed to a callback, and a bar that draws it on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Tally:
    """`done` of `total` steps of an activity have ended, `failed` of them with an error."""

    activity: str
    done: int
    total: int
    failed: int = 0


OnProgress = Callable[[Tally], None]


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[OnProgress]:
    """A live bar (done/total, failed, elapsed, remaining) on `console`, by default stderr.

    A KeyboardInterrupt that passes through is announced with its message and raised again.
    """
    from rich import progress as rich_progress
    from rich.console import Console

    console = console or Console(stderr=True)
    bar = rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[failed]} failed"),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=console,
    )

    def show(tally: Tally) -> None:
        shown = bar.tasks[-1] if bar.tasks else None
        if shown is None or shown.description != tally.activity:
            # A fresh task: steps that an earlier run did are no measure of this run's speed.
            if shown is not None:
                bar.remove_task(shown.id)
            bar.add_task(
                tally.activity, completed=tally.done, total=tally.total, failed=tally.failed
            )
        else:
            bar.update(shown.id, completed=tally.done, total=tally.total, failed=tally.failed)

    try:
        with bar:
            yield show
    except KeyboardInterrupt as interrupt:
        message = str(interrupt) or "interrupted"
        console.print(message, markup=False, highlight=False, soft_wrap=True)
        raise
