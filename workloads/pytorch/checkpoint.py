"""A user's weights: reading a checkpoint, and refusing weights that are not numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparsesim.errors import InputError
from sparsesim.validation import did_you_mean, shown

_WRAPPERS = ("state_dict", "model_state_dict", "model")


def load_checkpoint(module: nn.Module, path: Path) -> None:
    """Load a ``.pt``/``.pth`` state dict into `module`; every key and shape must match.

    A state dict inside ``{"state_dict": ...}`` and the ``module.`` prefix of data-parallel
    training are understood.

    Raises:
        InputError: names the file and the key.
    """
    state = _read(path)
    if state and all(str(key).startswith("module.") for key in state):
        state = {str(key).removeprefix("module."): value for key, value in state.items()}
    expected = module.state_dict()
    for key, value in expected.items():
        if key not in state and not key.endswith("num_batches_tracked"):
            hint = did_you_mean(key, [str(name) for name in state])
            missing = sum(name not in state for name in expected)
            raise InputError(f"{path}: key {key!r} is missing (of {missing} missing keys){hint}")
        found = state.get(key, value)
        if not isinstance(found, Tensor):
            raise InputError(f"{path}: {key}: is a {type(found).__name__}, not a tensor")
        if found.shape != value.shape:
            raise InputError(
                f"{path}: {key}: shape {list(found.shape)}, the model needs {list(value.shape)}"
            )
        if found.layout is not torch.strided:
            raise InputError(f"{path}: {key}: layout {found.layout}; only dense tensors are read")
    for key in state:
        if key not in expected:
            hint = did_you_mean(str(key), expected)
            raise InputError(f"{path}: key {shown(key)} is not in the model{hint}")
    _refuse_non_finite(state, str(path))
    module.load_state_dict({**expected, **state})


def refuse_non_finite(module: nn.Module, where: str) -> None:
    """Refuse parameters and buffers without values (meta device), with NaN or infinity.

    Raises:
        InputError: names the tensor.
    """
    _refuse_non_finite(module.state_dict(), where)


def _refuse_non_finite(state: Mapping[str, Any], where: str) -> None:
    for key, value in state.items():
        if value.is_meta:
            raise InputError(f"{where}: {key}: is on the meta device and holds no values")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            what = "NaN" if bool(torch.isnan(value).any()) else "infinite"
            raise InputError(f"{where}: {key}: holds {what} values")


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix.lower() == ".safetensors":
        raise InputError(f"{path}: .safetensors checkpoints are not read by this version; give .pt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # torch reports a foreign file in many ways
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{path}: not a checkpoint of tensors alone ({type(error).__name__}: {reason})"
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, a state dict is needed")
    return content
