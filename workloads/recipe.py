"""The words of ``--prune``, ``--method`` and ``--phase``, and what they mean."""

from __future__ import annotations

from typing import Literal, get_args

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense, Unstructured
from sparsesim.validation import did_you_mean, shown
from workloads.pruning.methods import TRAINING_METHODS

Pruning = Dense | NM | Balanced | Unstructured
TracePhase = Literal["inference", "training"]

#: `--prune` of weights that are taken as they are: their zeros are found, none are added.
DETECT = "detect"
METHODS: tuple[str, ...] = tuple(TRAINING_METHODS)
PHASES: tuple[str, ...] = get_args(TracePhase)
#: Length of the groups in which a balanced pattern keeps equally many.
BALANCED_GROUP = 32
BALANCED_SPARSITIES = (1, 2, 4, 8, 16, 32)
MAX_M = 1024
_FORMS = (
    "detect, none, nm:N:M (nm:2:8), balanced:S (balanced:16), unstructured:P (unstructured:0.9)"
)


def parse_pruning(text: str) -> Pruning:
    """Read ``none``, ``nm:2:8``, ``balanced:16`` (keeps 1/16) or ``unstructured:0.9`` (drops 90 %).

    Raises:
        InputError: an unknown word or a recipe that cannot be carried out.
    """
    word, *arguments = text.strip().split(":")
    if word == "none" and not arguments:
        return Dense()
    if word == "nm":
        return _nm(text, arguments)
    if word == "balanced":
        return _balanced(text, arguments)
    if word == "unstructured":
        return _unstructured(text, arguments)
    hint = did_you_mean(word, ("none", "nm", "balanced", "unstructured"))
    raise InputError(f"--prune {shown(text)}: unknown recipe{hint} (allowed: {_FORMS})")


def _nm(text: str, arguments: list[str]) -> NM:
    if len(arguments) != 2 or not all(part.isascii() and part.isdigit() for part in arguments):
        raise InputError(f"--prune {shown(text)}: must be nm:N:M with whole N and M, as in nm:2:8")
    n, m = (int(part) for part in arguments)
    if not 1 <= n <= m:
        raise InputError(f"--prune {shown(text)}: keeps {n} of every {m}; needs 1 <= N <= M")
    if m > MAX_M:
        raise InputError(f"--prune {shown(text)}: M is {m}; at most {MAX_M} is allowed")
    return NM(n=n, m=m)


def _balanced(text: str, arguments: list[str]) -> Balanced:
    allowed = ", ".join(str(sparsity) for sparsity in BALANCED_SPARSITIES)
    if len(arguments) != 1 or arguments[0] not in allowed.split(", "):
        raise InputError(
            f"--prune {shown(text)}: must be balanced:S, which keeps 1/S of every "
            f"{BALANCED_GROUP} weights (S: {allowed})"
        )
    return Balanced(group=BALANCED_GROUP, kept=BALANCED_GROUP // int(arguments[0]))


def _unstructured(text: str, arguments: list[str]) -> Unstructured:
    try:
        (removed,) = (float(part) for part in arguments)
    except ValueError:
        raise InputError(
            f"--prune {shown(text)}: must be unstructured:P with one number P, as in "
            "unstructured:0.9"
        ) from None
    if not 0.0 <= removed < 1.0:
        raise InputError(f"--prune {shown(text)}: P is the fraction removed; needs 0 <= P < 1")
    return Unstructured(density=round(1.0 - removed, 12))


def check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a `value` of a command-line `option` that is not one of `allowed`.

    Raises:
        InputError: names the option, the value and the allowed ones.
    """
    if value not in allowed:
        raise InputError(
            f"{option} {shown(value)}: unknown{did_you_mean(value, allowed)} "
            f"(allowed: {', '.join(allowed)})"
        )
