"""The two ways a command can fail: the input is wrong, or a check did not hold."""

from __future__ import annotations


class SparseSimError(Exception):
    """Base of the errors that are shown to a user as one line, without a traceback."""

    exit_code = 1


class InputError(SparseSimError):
    """The user's input is wrong: names the file, the field, the value and what is allowed."""

    exit_code = 2


class CheckError(SparseSimError):
    """A check failed: hardware, cycle cores, numerics or the accounting disagree."""

    exit_code = 1
