from __future__ import annotations

import io

import pytest
from rich.console import Console

from sparsesim.sweep import Tally, progress_bar


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def output(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_bar_shows_done_total_failed() -> None:
    console = terminal()
    with progress_bar(console) as show:
        show(Tally("extracting traces", 1, 2))
        show(Tally("simulating", 3, 64))
        show(Tally("simulating", 12, 64, failed=5))
    text = output(console)
    for words in ("simulating", "12/64", "5 failed"):
        assert words in text


def test_interrupt_is_announced() -> None:
    console = terminal()
    with pytest.raises(KeyboardInterrupt), progress_bar(console):
        raise KeyboardInterrupt("interrupted: 3 of 9 points are stored in out")
    assert "interrupted: 3 of 9 points are stored in out\n" in output(console)
