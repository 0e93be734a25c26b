"""Reading tensors from ``.pt``/``.pth`` and ``.safetensors`` files without executing their code."""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sparsesim.errors import InputError

WEIGHT_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
#: Tensor subclasses without code of their own in a pickle.
_PACKED_TENSORS: list[Any] = [
    torch.sparse.SparseSemiStructuredTensorCUTLASS,
    torch.sparse.SparseSemiStructuredTensorCUSPARSELT,
]
_REFUSED_GLOBAL = re.compile(r"unsupported global:?(?: global)? (\S+)", re.IGNORECASE)
#: Bytes that small members (TorchScript's code) may gain when they are unpacked.
_COMPRESSED = 2**20
#: What zipfile raises on an archive with wrong bytes in it, besides OSError.
DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_WRAPPERS = ("state_dict", "model_state_dict", "model")


def read_weights(path: Path) -> dict[str, Any]:
    """The state dict in a file; ``{"state_dict": ...}`` and the prefix ``module.`` are removed.

    A pickle is read by torch's restricted loader, which builds tensors and containers and calls
    nothing else. Archives whose members are larger than the file are refused before any is read.

    Raises:
        InputError: unreadable, truncated, another format, or a pickle that wants to execute code.
    """
    content = _safetensors(path) if path.suffix.lower() == ".safetensors" else read_pickle(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds a {type(content).__name__}, a state dict is needed")
    if not content:
        raise InputError(f"{path}: holds no tensors")
    state = {str(key): value for key, value in content.items()}
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def read_pickle(path: Path) -> Any:
    """What `torch.save` wrote to `path`: tensors and containers alone.

    Raises:
        InputError: see `read_weights`.
    """
    refuse_inflating_archive(path)
    try:
        # Without the check, a sparse tensor may point outside of its own shape.
        checked = torch.sparse.check_sparse_tensor_invariants(True)
        allowed = torch.serialization.safe_globals(_PACKED_TENSORS)
        with allowed, checked, warnings.catch_warnings():
            # Of pickle protocols other than torch's: what cannot be read is refused below.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # torch reports a foreign file in many ways
        raise InputError(f"{path}: not a checkpoint of tensors alone ({_reason(error)})") from None


def refuse_inflating_archive(path: Path) -> None:
    """Refuse a zip whose members would take more room than the file has: torch stores them as is.

    Raises:
        InputError: names the sizes; also where the file cannot be opened.
    """
    try:
        size = path.stat().st_size
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            inflated = sum(member.file_size for member in archive.infolist())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DAMAGE as error:
        raise InputError(f"{path}: damaged archive ({error})") from None
    if inflated > size + _COMPRESSED:
        raise InputError(
            f"{path}: an archive of {size} bytes that unpacks to {inflated}; torch stores tensors "
            "uncompressed, this is refused"
        )


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise InputError(
            f"{path}: reading .safetensors needs the package safetensors "
            "(pip install 'sparsesim[torch]')"
        ) from None
    try:
        return dict(load_file(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path}: not a safetensors file, or a truncated one ({_reason(error)})"
        ) from None


def _reason(error: Exception) -> str:
    """First line of torch's reason; for a refused pickle, the global that it wanted."""
    wanted = _REFUSED_GLOBAL.search(str(error))
    if wanted is not None:
        return (
            f"its pickle wants to run {wanted[1]}; nothing in a file is executed: save the "
            "state_dict alone"
        )
    # torch goes on to advise reading the file unrestricted.
    first = str(error).strip().split("\n")[0].split(". ")[0]
    return f"{type(error).__name__}: {first}"
