"""What the verbs print: one JSON document on stdout, everything for people on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_A_FILE = 160


def print_json(document: Any) -> None:
    """Print `document` on stdout.

    Raises:
        ValueError: it holds NaN or infinity, which JSON has no words for.
    """
    click.echo(json.dumps(document, indent=1, allow_nan=False))


def say(message: str) -> None:
    """Print a line for people on stderr."""
    click.echo(message, err=True)


def console() -> Console:
    """A rich console on stderr; wide enough for a table where stderr is not a terminal."""
    from rich.console import Console

    # Words of the user are printed as they are: rich would read `:zero:` as the name of an emoji.
    found = Console(stderr=True, highlight=False, emoji=False)
    if found.is_terminal:
        return found
    return Console(stderr=True, highlight=False, emoji=False, width=_WIDTH_OF_A_FILE)


def print_table(
    title: str, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]
) -> None:
    """Print a table on stderr; its first column, which names the rows, is never wrapped.

    Args:
        columns: name, and whether its cells are numbers (set to the right).
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for number, (name, is_number) in enumerate(columns):
        table.add_column(
            Text(name),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=number == 0,
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


@contextmanager
def progress_bar(activity: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where it is a terminal, moved by calling it with (steps done, steps)."""
    from rich import progress

    shown = console()
    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=shown,
        transient=True,
        disable=not shown.is_terminal,
    )
    with bar:
        task = bar.add_task(activity, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def spinner(activity: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr, where it is a terminal; called with a line, it prints it above."""
    from rich.text import Text

    shown = console()
    with shown.status(Text(activity)) if shown.is_terminal else _nothing():
        yield lambda line: shown.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
