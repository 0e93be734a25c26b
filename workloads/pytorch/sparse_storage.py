"""The ways pruned weights lie in files, turned into plain tensors with zeros.

| on disk | written by | becomes |
|---|---|---|
| ``W_orig``, ``W_mask`` | ``torch.nn.utils.prune``, not removed | ``W = W_orig * W_mask`` |
| ``parametrizations.W.original``, ``.N.mask`` | torch.ao.pruning | ``W = original * mask`` |
| ``W``, ``W_mask`` or ``mask`` beside it | masks kept as buffers | ``W * mask`` |
| COO, CSR, CSC, BSR, BSC layouts | torch.sparse | dense |
| semi-structured tensor, or ``packed`` and ``meta`` | ``to_sparse_semi_structured`` | dense, 2:4 |
| ``compressed``, ``bitmask``, ``shape`` | compressed-tensors | dense |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparsesim.errors import InputError

_PARAMETRIZED = re.compile(r"^(?P<owner>.*?)parametrizations\.(?P<name>\w+)\.original$")


@dataclass(frozen=True)
class PlainWeights:
    """A state dict of plain tensors, and which rule gave each tensor that was not plain."""

    state: dict[str, Any]
    rules: dict[str, str]


def to_plain(state: Mapping[str, Any], wanted: Mapping[str, Tensor], path: Path) -> PlainWeights:
    """Undo every storage convention that the model itself does not have.

    Args:
        state: as read from the file.
        wanted: the model's own state dict; a key that the model has is left as it is.
        path: of the file, for messages.

    Raises:
        InputError: a mask is missing, or its shape is not that of its weight.
    """
    plain = dict(state)
    rules: dict[str, str] = {}
    for key in list(plain):
        if isinstance(plain[key], Tensor) and plain[key].layout is not torch.strided:
            layout = str(plain[key].layout).removeprefix("torch.")
            plain[key] = _dense(plain[key], key, path)
            rules[key] = f"{layout} tensor"
        elif type(plain[key]).__name__.startswith("SparseSemiStructuredTensor"):
            plain[key] = _semi_structured(plain[key].packed, plain[key].meta, key, path)
            rules[key] = "semi-structured 2:4 tensor"
    for key in list(plain):
        if key in wanted or key not in plain:
            continue
        if key.endswith("_orig"):
            weight = key.removesuffix("_orig")
            _mask_in(plain, rules, weight, key, f"{weight}_mask", "weight_orig x weight_mask", path)
        elif (found := _PARAMETRIZED.match(key)) is not None:
            stem = f"{found['owner']}parametrizations.{found['name']}."
            masks = [name for name in plain if name.startswith(stem) and name.endswith(".mask")]
            weight = f"{found['owner']}{found['name']}"
            mask = masks[0] if masks else f"{stem}0.mask"
            _mask_in(plain, rules, weight, key, mask, "parametrization x mask", path)
        elif key.endswith(".bitmask"):
            _unpack_bitmask(plain, rules, key.removesuffix(".bitmask"), path)
        elif key.endswith(".packed") and f"{key.removesuffix('.packed')}.meta" in plain:
            weight = key.removesuffix(".packed")
            plain[weight] = _semi_structured(
                plain.pop(key), plain.pop(f"{weight}.meta"), weight, path
            )
            rules[weight] = "semi-structured 2:4 tensor"
    for key in list(plain):
        if key in wanted or key not in plain:
            continue
        owner, _, last = key.rpartition(".")
        prefix = f"{owner}." if owner else ""
        weight = f"{prefix}weight" if last == "mask" else prefix + last.removesuffix("_mask")
        if (last == "mask" or last.endswith("_mask")) and weight in plain and weight in wanted:
            _mask_in(plain, rules, weight, weight, key, "mask buffer", path)
    return PlainWeights(plain, rules)


def densify(module: nn.Module, where: str) -> dict[str, str]:
    """Replace sparse and semi-structured parameters of `module` by dense ones with zeros.

    Returns:
        Which layout each of them had.
    """
    rules: dict[str, str] = {}
    for name, value in list(module.named_parameters()):
        semi = type(value.data).__name__.startswith("SparseSemiStructuredTensor")
        if semi:
            dense = _semi_structured(value.data.packed, value.data.meta, name, Path(where))
        elif value.layout is not torch.strided:
            dense = _dense(value.detach(), name, Path(where))
        else:
            continue
        rules[name] = "semi-structured 2:4 tensor" if semi else f"{value.layout} tensor"[6:]
        owner, _, last = name.rpartition(".")
        trained = value.requires_grad
        parent = module.get_submodule(owner) if owner else module
        setattr(parent, last, nn.Parameter(dense.clone(), requires_grad=trained))
    return rules


def _mask_in(
    plain: dict[str, Any],
    rules: dict[str, str],
    weight: str,
    original: str,
    mask: str,
    rule: str,
    path: Path,
) -> None:
    if mask not in plain:
        raise InputError(
            f"{path}: {original}: its mask ({mask}) is not in the file, only the dense weights: "
            "save after prune.remove() or squash_mask(), or save the mask too"
        )
    values, bits = plain.pop(original), plain.pop(mask)
    for name, value in ((original, values), (mask, bits)):
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: {name}: is a {type(value).__name__}, not a tensor")
    if values.shape != bits.shape:
        raise InputError(
            f"{path}: {mask}: shape {list(bits.shape)}, its weight has {list(values.shape)}"
        )
    if bits.is_floating_point() and not bool(torch.isfinite(bits).all()):
        raise InputError(f"{path}: {mask}: holds NaN or infinite values, a mask is of 0 and 1")
    plain[weight] = torch.where(bits != 0, values, torch.zeros((), dtype=values.dtype))
    rules[weight] = rule


def _dense(tensor: Tensor, key: str, path: Path) -> Tensor:
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce()
    elements, stored = tensor.numel(), tensor._nnz()
    # A sparse tensor of 10 values may claim any shape: what no model of that file could hold.
    if elements > 2**33:
        raise InputError(f"{path}: {key}: sparse tensor of {elements} elements ({stored} stored)")
    return tensor.to_dense()


def _semi_structured(packed: Tensor, meta: Tensor | None, key: str, path: Path) -> Tensor:
    """Values and metadata of the CUTLASS layout of torch as a dense tensor."""
    if meta is None:
        raise InputError(
            f"{path}: {key}: a cuSPARSELt tensor, whose layout is not public; save "
            "weight.to_dense() instead"
        )
    from torch.sparse._semi_structured_conversions import (
        sparse_semi_structured_to_dense_cutlass,
    )

    try:
        return sparse_semi_structured_to_dense_cutlass(packed, meta)
    except (RuntimeError, ValueError, IndexError, AttributeError, TypeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{path}: {key}: not a semi-structured tensor in the CUTLASS layout ({reason})"
        ) from None


def _unpack_bitmask(plain: dict[str, Any], rules: dict[str, str], weight: str, path: Path) -> None:
    """`compressed` values in row order where the little-endian `bitmask` has ones."""
    names = [f"{weight}.{part}" for part in ("compressed", "bitmask", "shape")]
    for name in names:
        if not isinstance(plain.get(name), Tensor):
            raise InputError(f"{path}: {name} is missing beside the other parts of {weight}")
    values, bits, extents = (plain.pop(name) for name in names)
    plain.pop(f"{weight}.row_offsets", None)
    shape = [int(extent) for extent in extents.tolist()]
    row_bytes = (shape[-1] + 7) // 8 if len(shape) == 2 else 0
    if len(shape) != 2 or list(bits.shape) != [shape[0], row_bytes]:
        raise InputError(
            f"{path}: {weight}.bitmask: shape {list(bits.shape)} does not fit the weight's {shape}"
        )
    kept = np.unpackbits(
        bits.to(torch.uint8).numpy(), axis=1, count=shape[1], bitorder="little"
    ).astype(bool)
    if int(kept.sum()) != values.numel():
        raise InputError(
            f"{path}: {weight}: {values.numel()} values for {int(kept.sum())} ones in its bitmask"
        )
    dense = torch.zeros(shape, dtype=values.dtype)
    dense[torch.from_numpy(kept)] = values.flatten()
    plain[weight] = dense
    rules[weight] = "bitmask"
