"""Help costs nothing and shows every verb."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sparsesim import __version__
from tests.cli.command_line import call, done, refused

VERBS = [
    "compare", "emit", "export", "extract", "inspect", "machines", "report", "run", "sweep",
    "synth", "verify",
]  # fmt: skip
HEAVY = ["numba", "numpy", "pandas", "matplotlib", "torch", "amaranth", "pydantic", "rich"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        f"sys.argv = ['sparsesim', *{arguments!r}]\n"
        "from sparsesim.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stderr == ""
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_verbs(option: str) -> None:
    text = done(option).stdout
    assert [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines()] == VERBS
    assert "..." not in text.partition("Commands:\n")[2]


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(verb: str) -> None:
    assert done(verb, "-h").stdout.startswith(f"Usage: main {verb}")


def test_version() -> None:
    assert done("--version").stdout == f"sparsesim, version {__version__}\n"


def test_without_a_verb_help_goes_to_stderr() -> None:
    result = call()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


def test_usage_errors_are_one_line_too() -> None:
    refused("No such command 'simulate' .see: main --help.", "simulate")
    refused("No such option '--machin'.*'--machine'.*see: main run --help", "run", "--machin", "x")
    refused("Missing option '--machine'", "run", "x.trace", "-o", "out")
    refused("'medium' is not one of 'fast', 'stepped'", "run", "x", "--fidelity", "medium")
    refused("'many' is not a valid integer", "verify", "sat", "--cases", "many")
    refused("Missing argument 'DIR...'", "compare")
