"""The words of ``--prune``, ``--method`` and ``--phase``, and what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense, Unstructured
from sparsesim.validation import did_you_mean, shown
from workloads.pruning.allocation import ErdosRenyiKernel, GlobalMagnitude
from workloads.pruning.group_quantisation import GroupQuantised
from workloads.pruning.methods import TRAINING_METHODS
from workloads.pruning.monarch import Monarch
from workloads.pruning.pruning import Pruning
from workloads.pruning.structures import (
    AlongOutputs,
    Blocks,
    BothAxes,
    ConstantFanIn,
    DoublePruned,
    FlatButterfly,
    Structure,
)

TracePhase = Literal["inference", "training"]

#: `--prune` of weights that are taken as they are: their zeros are found, none are added.
DETECT = "detect"
METHODS: tuple[str, ...] = tuple(TRAINING_METHODS)
PHASES: tuple[str, ...] = get_args(TracePhase)
#: Length of the groups in which a balanced pattern keeps equally many.
BALANCED_GROUP = 32
BALANCED_SPARSITIES = (1, 2, 4, 8, 16, 32)
MAX_M = 1024
#: Widths of the codes of group-quantised weights.
MIN_BITS, MAX_BITS = 2, 8
_FORMS: dict[str, str] = {
    "detect": "detect",
    "none": "none",
    "nm": "nm:N:M or nm:N:M:outputs|both|double",
    "balanced": "balanced:S",
    "unstructured": "unstructured:P",
    "erk": "erk:P",
    "global": "global:P",
    "block": "block:RxC:P",
    "gqsa": "gqsa:G:P[:BITS]",
    "fanin": "fanin:P",
    "butterfly": "butterfly:B",
    "monarch": "monarch:B",
}
_NM_STRUCTURES: dict[str, Callable[[NM], Structure]] = {
    "outputs": AlongOutputs,
    "both": BothAxes,
    "double": DoublePruned,
}


def parse_recipe(text: str) -> Pruning | Monarch:
    """Read a recipe of ``--prune``, be it of masks or of modules.

    Raises:
        InputError: an unknown word or a recipe that cannot be carried out.
    """
    word, *arguments = text.strip().split(":")
    if word != "monarch":
        return parse_pruning(text)
    (blocks,) = _whole(text, word, arguments, "monarch:4")
    return Monarch(blocks)


def parse_pruning(text: str) -> Pruning:
    """Read a recipe of ``--prune`` that masks carry out; docs/pruning.md lists them.

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
        return Unstructured(density=_density(text, word, arguments))
    if word == "erk":
        return ErdosRenyiKernel(_density(text, word, arguments))
    if word == "global":
        return GlobalMagnitude(_density(text, word, arguments))
    if word == "fanin":
        return ConstantFanIn(_density(text, word, arguments))
    if word == "block":
        return _block(text, arguments)
    if word == "gqsa":
        return _group_quantised(text, arguments)
    if word == "butterfly":
        (block,) = _whole(text, word, arguments, "butterfly:8")
        return FlatButterfly(block)
    if word == "monarch":
        raise InputError(f"--prune {shown(text)}: has no masks; `extract` alone replaces modules")
    hint = did_you_mean(word, _FORMS)
    raise InputError(
        f"--prune {shown(text)}: unknown recipe{hint} (allowed: {', '.join(_FORMS.values())})"
    )


def _whole(text: str, word: str, parts: list[str], example: str, count: int = 1) -> list[int]:
    """`count` whole numbers from 1 to `MAX_M`."""
    if len(parts) != count or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(
            f"--prune {shown(text)}: must be {_FORMS[word]} with whole numbers, as in {example}"
        )
    numbers = [int(part) for part in parts]
    if not all(1 <= number <= MAX_M for number in numbers):
        raise InputError(f"--prune {shown(text)}: sizes must be from 1 to {MAX_M}")
    return numbers


def _nm(text: str, arguments: list[str]) -> NM | Structure:
    structure = None
    if len(arguments) == 3:
        structure = _NM_STRUCTURES.get(arguments[2])
        if structure is None:
            raise InputError(
                f"--prune {shown(text)}: {shown(arguments[2])} is none of "
                f"{', '.join(_NM_STRUCTURES)}"
            )
    parts = arguments[:2] if structure else arguments
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--prune {shown(text)}: must be nm:N:M with whole N and M, as in nm:2:8")
    n, m = (int(part) for part in parts)
    if not 1 <= n <= m:
        raise InputError(f"--prune {shown(text)}: keeps {n} of every {m}; needs 1 <= N <= M")
    if m > MAX_M:
        raise InputError(f"--prune {shown(text)}: M is {m}; at most {MAX_M} is allowed")
    pattern = NM(n=n, m=m)
    return pattern if structure is None else structure(pattern)


def _balanced(text: str, arguments: list[str]) -> Balanced:
    allowed = ", ".join(str(sparsity) for sparsity in BALANCED_SPARSITIES)
    if len(arguments) != 1 or arguments[0] not in allowed.split(", "):
        raise InputError(
            f"--prune {shown(text)}: must be balanced:S, which keeps 1/S of every "
            f"{BALANCED_GROUP} weights (S: {allowed})"
        )
    return Balanced(group=BALANCED_GROUP, kept=BALANCED_GROUP // int(arguments[0]))


def _block(text: str, arguments: list[str]) -> Blocks:
    sides = arguments[0].split("x") if arguments else []
    rows, columns = _whole(text, "block", sides, "block:8x8:0.9", 2)
    return Blocks(rows, columns, _density(text, "block", arguments[1:]))


def _group_quantised(text: str, arguments: list[str]) -> GroupQuantised:
    (group,) = _whole(text, "gqsa", arguments[:1], "gqsa:16:0.5:4")
    density = _density(text, "gqsa", arguments[1:2])
    if len(arguments) < 3:
        return GroupQuantised(group, density)
    (bits,) = _whole(text, "gqsa", arguments[2:], "gqsa:16:0.5:4")
    if not MIN_BITS <= bits <= MAX_BITS:
        raise InputError(
            f"--prune {shown(text)}: BITS is {bits}; must be from {MIN_BITS} to {MAX_BITS}"
        )
    return GroupQuantised(group, density, bits)


def _density(text: str, word: str, arguments: list[str]) -> float:
    """The fraction kept, from the one argument P, the fraction removed."""
    try:
        (removed,) = (float(part) for part in arguments)
    except ValueError:
        raise InputError(
            f"--prune {shown(text)}: must be {_FORMS[word]} with one number P, as in "
            f"{_example(word)}"
        ) from None
    if not 0.0 <= removed < 1.0:
        raise InputError(f"--prune {shown(text)}: P is the fraction removed; needs 0 <= P < 1")
    return round(1.0 - removed, 12)


def _example(word: str) -> str:
    """A recipe as one may write it, of its form."""
    form = _FORMS[word].replace("[:BITS]", "").replace("G:", "16:").replace("RxC", "8x8")
    return form.replace("P", "0.9")


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
