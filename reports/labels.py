"""Names of networks and of what was done to them, as figures and tables show them."""

from __future__ import annotations

import re
from pathlib import PurePath

_METHODS = {
    "srste": "SR-STE",
    "sdgp": "SDGP",
    "sdwp": "SDWP",
    "bdwp": "BDWP",
    "transposable": "transposable",
    "bimask": "Bi-Mask",
    "slope": "SLoPe",
}
_FILE_SUFFIXES = (".pt2", ".safetensors", ".onnx", ".mtx", ".trace")


def network_label(source: str) -> str:
    """The file name of a file, the function of ``module:function``, else the name itself."""
    if PurePath(source).suffix in _FILE_SUFFIXES:
        return PurePath(source).stem
    return source.rpartition(":")[2] or source


def prune_label(prune: str) -> str:
    """``nm:2:8`` as ``2:8``, ``balanced:16`` as ``1/16``, ``unstructured:0.9`` as ``90 %``."""
    kind, _, value = prune.partition(":")
    if kind == "nm":
        return value
    if kind == "balanced":
        return f"1/{value}"
    if kind == "unstructured":
        try:
            return f"{100 * float(value):g} % pruned"
        except ValueError:
            return prune
    return prune


def method_label(method: str) -> str:
    """A training method as papers write it."""
    return _METHODS.get(method, method)


def is_dense(prune: str, method: str) -> bool:
    """Whether nothing was pruned: no pattern, or the method that prunes nothing."""
    return prune == "none" or method == "dense"


def variant_label(prune: str, method: str, phase: str = "training") -> str:
    """What was pruned and how it was trained, such as ``BDWP 2:8``; ``dense`` without pruning.

    Training methods differ in the backward pass only, so inference is named by the pattern.
    """
    if is_dense(prune, method):
        return "dense"
    if not prune:
        return "pruning not stated"
    name = "" if phase == "inference" else _METHODS.get(method, method)
    return f"{name} {prune_label(prune)}".strip()


def slug(text: str) -> str:
    """`text` as part of a file name: lower case letters, digits and single hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
