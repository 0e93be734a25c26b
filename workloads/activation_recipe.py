"""The words of ``--activations`` and ``--kv-cache``: sparsity beyond the weights."""

from __future__ import annotations

from dataclasses import dataclass

from sparsesim.errors import InputError
from sparsesim.validation import did_you_mean, shown


@dataclass(frozen=True)
class Zeros:
    """Activations that are exactly zero, as after ReLU."""


@dataclass(frozen=True)
class Threshold:
    """The smallest `removed` fraction of every layer's input is set to zero before its product.

    One threshold per tensor (TEAL, arXiv 2408.14690), or one per channel (CHESS, arXiv
    2409.01366), each the quantile of the magnitudes seen in the run.
    """

    removed: float
    per_channel: bool = False


@dataclass(frozen=True)
class Delta:
    """Where the second frame differs from the first, both quantised to `bits` with one scale."""

    bits: int


@dataclass(frozen=True)
class Mustafar:
    """The smallest `removed` fraction of each token's key and value, except the last `window`
    tokens (Mustafar, arXiv 2505.22913): unstructured, stored as a bitmap."""

    removed: float
    window: int = 32


@dataclass(frozen=True)
class Alisa:
    """Each query attends to a `kept` fraction of the tokens before it: half of them the most
    recent, half those with the largest attention so far (ALISA, arXiv 2403.17312)."""

    kept: float


Activations = Zeros | Threshold | Delta
KvCache = Mustafar | Alisa

_ACTIVATIONS = "zeros, threshold:P, channels:P, delta:BITS"
_CACHES = "mustafar:P, mustafar:P:WINDOW, alisa:P"


def parse_activations(text: str) -> Activations:
    """Read ``zeros``, ``threshold:0.5``, ``channels:0.5`` (removes half) or ``delta:8``.

    Raises:
        InputError: an unknown word or a number out of range.
    """
    word, *numbers = text.strip().split(":")
    if word == "zeros" and not numbers:
        return Zeros()
    if word in ("threshold", "channels") and len(numbers) == 1:
        return Threshold(_fraction("--activations", text, numbers[0]), word == "channels")
    if word == "delta" and len(numbers) == 1:
        if not _is_whole(numbers[0]) or not 2 <= int(numbers[0]) <= 16:
            raise InputError(f"--activations {shown(text)}: BITS must be from 2 to 16")
        return Delta(int(numbers[0]))
    hint = did_you_mean(word, ("zeros", "threshold", "channels", "delta"))
    raise InputError(f"--activations {shown(text)}: unknown{hint} (allowed: {_ACTIVATIONS})")


def parse_kv_cache(text: str) -> KvCache:
    """Read ``mustafar:0.7`` (removes 70 %), ``mustafar:0.7:32`` or ``alisa:0.2`` (keeps 20 %).

    Raises:
        InputError: an unknown word or a number out of range.
    """
    word, *numbers = text.strip().split(":")
    if word == "mustafar" and len(numbers) in (1, 2):
        removed = _fraction("--kv-cache", text, numbers[0])
        if len(numbers) == 1:
            return Mustafar(removed)
        if not _is_whole(numbers[1]):
            raise InputError(f"--kv-cache {shown(text)}: WINDOW must be a whole number of tokens")
        return Mustafar(removed, int(numbers[1]))
    if word == "alisa" and len(numbers) == 1:
        return Alisa(_fraction("--kv-cache", text, numbers[0]))
    hint = did_you_mean(word, ("mustafar", "alisa"))
    raise InputError(f"--kv-cache {shown(text)}: unknown{hint} (allowed: {_CACHES})")


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _fraction(option: str, text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1.0:
        raise InputError(f"{option} {shown(text)}: P is a fraction; needs 0 < P < 1")
    return value
