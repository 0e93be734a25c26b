"""Workers of the study, and what a user's Ctrl-C does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner

from reports import training_study
from reports.sat_study import __main__ as sat_study
from reports.sat_study import study
from reports.sat_study.simulation import Workers
from sparsesim.errors import SparseSimError


def killed() -> NoReturn:
    os._exit(9)


def test_a_killed_worker_is_one_line() -> None:
    with pytest.raises(SparseSimError, match="a worker process died") as caught, Workers(1) as some:
        some._stage("dying", killed, [()], lambda *_: None)
    assert "\n" not in str(caught.value)


def test_an_interrupt_ends_as_that_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "study", interrupted)
    monkeypatch.setattr(training_study, "study", interrupted)
    for command in (sat_study.main, training_study.main):
        outcome = CliRunner().invoke(command, ["-o", str(tmp_path / "study")])
        assert outcome.exit_code == 130
        assert "the same call continues" in outcome.output
