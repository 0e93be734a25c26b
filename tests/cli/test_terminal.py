"""Words of the user reach the terminal as they are."""

from __future__ import annotations

import io
import sys

import pytest

from sparsesim.commands import terminal


def test_names_of_the_user_are_not_read_as_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with terminal.spinner("extracting") as on_message:
        on_message("module:zero:function [bold]a[/x]")
    assert capsys.readouterr().err == "module:zero:function [bold]a[/x]\n"


def test_the_spinner_takes_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    assert terminal.console().is_terminal
    with terminal.spinner("extracting a[/b]:zero:") as on_message:
        on_message("done")
    assert "done" in screen.getvalue()
