"""Calls the command line in this process and checks how it fails."""

from __future__ import annotations

import re

from click.testing import CliRunner, Result

from sparsesim.cli import main

PREFIX = "sparsesim: error: "


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def done(*arguments: object) -> Result:
    """Call and expect success."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(match: str, *arguments: object, code: int = 2) -> str:
    """Call and expect exit `code`, exactly one line on stderr that matches, no traceback."""
    result = call(*arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith(PREFIX)
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("\n")
    assert "Traceback" not in result.stderr
    assert re.search(match, result.stderr), result.stderr
    return result.stderr
