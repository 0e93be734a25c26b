"""Reading a ``.pt2`` file: a graph of ATen operators, screened before torch's loader sees it.

`torch.export.load` falls back to unrestricted pickles, evaluates shape expressions with sympy and
looks up operators by any dotted name inside `torch`. The screening admits only what a model
needs, so that loading such a file runs nothing of it.
"""

from __future__ import annotations

import io
import json
import logging
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from sparsesim.errors import InputError
from sparsesim.validation import shown
from workloads.pytorch.weight_files import DAMAGE, refuse_inflating_archive

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_OPERATORS = re.compile(
    r"^(torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+"
    r"|torch\._C\._(set_grad_enabled|functorch\.\w+)|torch\.amp\.autocast_mode\.\w+)$"
)
_FORBIDDEN_OPERATORS = re.compile(r"^(_operator\.(attrgetter|methodcaller|call)|.*\.from_file.*)$")
#: In the structure of inputs and outputs, these name a module that torch would import.
_IMPORTS = re.compile(r"default_factory_module|\\?\"fqn\\?\"")
#: Numbers, symbols such as s0 or u12, arithmetic, and the functions of shape expressions.
_EXPRESSION = re.compile(
    r"^(?:[\d\s+\-*/(),.<>=]|(?:[su]\d+)|(?:Symbol\('[su]\d+')|positive|negative|nonnegative"
    r"|integer|real|zero|Integer|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|CleanDiv|FloorDiv|ModularIndexing"
    r"|CeilToInt|FloorToInt|IntTrueDiv|ToFloat|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|True|False)*$"
)
MAX_GRAPH_BYTES = 512 * 2**20


def load_program(path: Path) -> ExportedProgram:
    """The program in a ``.pt2`` file that `torch.export.save` wrote.

    Raises:
        InputError: unreadable, truncated, not such a file, or one that wants to execute code.
    """
    # torch reads a copy of what was screened: two readers of one archive may see two directories.
    with tempfile.NamedTemporaryFile(suffix=".pt2") as copy:
        _copy_screened(path, copy)
        try:
            with warnings.catch_warnings(), _quiet():
                warnings.simplefilter("ignore")
                return torch.export.load(copy.name)
        except Exception as error:  # torch reports a foreign archive in many ways
            reason = str(error).strip().split("\n")[0]
            raise InputError(
                f"{path}: not an exported program ({type(error).__name__}: {reason})"
            ) from None


def with_fixed_shapes(path: Path, program: ExportedProgram, batch: int) -> ExportedProgram:
    """`program` itself, or exported again for one size where it leaves extents open.

    An open first extent of an input becomes `batch`, other open extents are those of the example.

    Raises:
        InputError: it was saved without example inputs, or does not run on this batch.
    """
    if program.example_inputs is None:
        raise InputError(f"{path}: saved without example inputs, which give the shapes")
    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"]
    user_values = values[-len(program.graph_signature.user_inputs) :]
    if not any(_open_extents(value) for value in user_values):
        return program
    leaves, structure = pytree.tree_flatten(program.example_inputs)
    for index, (leaf, value) in enumerate(zip(leaves, user_values, strict=True)):
        if isinstance(leaf, Tensor) and leaf.ndim and 0 in _open_extents(value):
            rows = torch.arange(batch) % leaf.shape[0]
            leaves[index] = leaf[rows]
    args, kwargs = pytree.tree_unflatten(leaves, structure)
    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            return torch.export.export(program.module(), args, kwargs, strict=False)
    except Exception as error:  # torch names the constraint that the batch breaks
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: does not run with batch {batch} ({reason})") from None


def _open_extents(value: Any) -> list[int]:
    """Axes of a fake tensor whose extent the program leaves open."""
    if not isinstance(value, Tensor):
        return []
    return [axis for axis, extent in enumerate(value.shape) if not isinstance(extent, int)]


def _copy_screened(path: Path, target: IO[bytes]) -> None:
    """Write an archive of the members of `path` to `target`, each looked at before."""
    refuse_inflating_archive(path)
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not a .pt2 archive (truncated, or another format)")
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
            names = archive.namelist()
            root = names[0].partition("/")[0] if names else ""
            outside = [name for name in names if not name.startswith(f"{root}/")]
            if outside or len(set(names)) < len(names) or f"{root}/archive_format" not in names:
                raise InputError(
                    f"{path}: not a .pt2 archive of this version of torch (no archive_format, or "
                    "members outside its folder)"
                )
            for name in names:
                data = archive.read(name)
                _screen_member(path, archive, root, name, data)
                copy.writestr(name, data)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DAMAGE as error:
        raise InputError(f"{path}: damaged archive ({error})") from None
    target.flush()


def _screen_member(path: Path, archive: zipfile.ZipFile, root: str, name: str, data: bytes) -> None:
    inner = name.removeprefix(f"{root}/")
    if inner.startswith("data/aotinductor/") or name.endswith((".so", ".py", ".cpp")):
        raise InputError(f"{path}: {name}: holds compiled code; nothing in a file is executed")
    if name.endswith(".pt"):
        _screen_pickle(path, name, data)
    if not name.endswith(".json"):
        return
    if len(data) > MAX_GRAPH_BYTES:
        raise InputError(f"{path}: {name}: {len(data)} bytes; at most {MAX_GRAPH_BYTES} are read")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {name}: not JSON ({error})") from None
    for record in _records(content):
        for key, value in record.items():
            _screen_field(path, name, key, value)
        if record.get("use_pickle"):
            member = f"{name.rpartition('/')[0]}/{record.get('path_name')}"
            if member not in archive.namelist():
                raise InputError(f"{path}: {member} is not in the archive")
            _screen_pickle(path, member, archive.read(member))


def _records(content: Any) -> Iterator[dict[str, Any]]:
    """All objects of a JSON document at any depth."""
    waiting = [content]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _screen_field(path: Path, name: str, key: str, value: Any) -> None:
    if key == "expr_str" and not (isinstance(value, str) and _EXPRESSION.match(value)):
        raise InputError(
            f"{path}: {name}: shape expression {shown(value)} is more than arithmetic on symbols"
        )
    if key in ("target", "as_operator") and isinstance(value, str):
        looked_up = value.startswith(("torch", "_operator", "math", "#"))
        allowed = _OPERATORS.match(value) and not _FORBIDDEN_OPERATORS.match(value)
        # Parameters and buffers have targets too, but those are names, looked up nowhere.
        if looked_up and ("." in value or ":" in value) and not allowed:
            raise InputError(
                f"{path}: {name}: calls {shown(value)}, which is no operator of a model"
            )
    if key in ("in_spec", "out_spec") and _IMPORTS.search(str(value)):
        raise InputError(f"{path}: {name}: {key} names a module to import; nothing is executed")
    objects = isinstance(value, str) and value.startswith(("custom_obj", "opaque_obj"))
    if (key == "path_name" and objects) or (key == "as_custom_obj" and value):
        raise InputError(f"{path}: {name}: holds a custom object; nothing in a file is executed")


def _screen_pickle(path: Path, name: str, data: bytes) -> None:
    if not data:
        return
    try:
        torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # whatever the restricted loader refuses, torch would run unrestricted
        raise InputError(
            f"{path}: {name}: a pickle of more than tensors; nothing in a file is executed"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's own log lines about a foreign file off the user's terminal."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
