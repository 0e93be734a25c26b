"""The command line: `sparsesim VERB ...`, one verb per file in `sparsesim/commands/`.

Exit codes: 0 done, 1 a check failed, 2 the input is wrong, 130 interrupted, 141 nobody reads the
output. A failure is one line on stderr.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, NoReturn

import click

from sparsesim import __version__
from sparsesim.commands.compare import compare
from sparsesim.commands.emit import emit
from sparsesim.commands.export import export
from sparsesim.commands.extract import extract
from sparsesim.commands.inspect import inspect
from sparsesim.commands.machines import machines
from sparsesim.commands.report import report
from sparsesim.commands.run import run
from sparsesim.commands.sweep import INTERRUPTED, sweep
from sparsesim.commands.synth import synth
from sparsesim.commands.verify import verify
from sparsesim.errors import InputError, SparseSimError

_PIPE_CLOSED = 141


class _Program(click.Group):
    """A group that ends every failure with one line on stderr and the exit code of its kind."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
        except SparseSimError as error:
            _fail(str(error), error.exit_code)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            help_line = f" (see: {context.command_path} --help)" if context else ""
            _fail(error.format_message().rstrip(".") + help_line, error.exit_code)
        except click.Abort:  # interrupted before a verb was running
            sys.exit(INTERRUPTED)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _fail(f"{where}{error.strerror or error}", InputError.exit_code)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            _fail(str(interrupt) or "interrupted", INTERRUPTED)
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            # What is still buffered would raise again when the interpreter flushes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_PIPE_CLOSED)


def _fail(message: str, code: int) -> NoReturn:
    click.echo("sparsesim: error: " + " ".join(message.split("\n")), err=True)
    sys.exit(code)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sparsesim")
def main() -> None:
    """Simulate sparse accelerators at cycle level: network -> trace -> machine -> result.

    Results go to files and, with --json, to stdout; everything else is said on stderr.
    """


for _verb in (extract, inspect, export, machines, run, compare, sweep, emit, synth, verify, report):
    main.add_command(_verb)
