"""Matrices drawn from a seed: ``NAME:key=value,...`` such as ``rmat:scale=14,edges=270100``."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix
from sparsesim.validation import Record, checked, did_you_mean, shown
from workloads.matrices.coordinates import Coordinates, check_size, from_coordinates

Index = npt.NDArray[np.int64]
Pairs = tuple[Index, Index]

Nodes = Annotated[int, Field(ge=1, le=2**26)]
Edges = Annotated[int, Field(ge=1, le=2**28)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class _Drawn(Record):
    """What every generated matrix has: a seed, and how its values are drawn.

    Attributes:
        seed: of `numpy.random.default_rng`; positions first, then values.
        values: ``ones``, or ``uniform`` in [0.5, 1.5).
        shuffle: number the nodes anew, at random.
    """

    seed: int = Field(default=1, ge=0)
    values: Literal["ones", "uniform"] = "ones"
    shuffle: bool = False

    @property
    @abstractmethod
    def nodes(self) -> int:
        """Rows and columns."""

    @abstractmethod
    def pairs(self, rng: np.random.Generator) -> Pairs:
        """Rows and columns of the elements, in any order; repeated ones count once."""

    def matrix(self, name: str) -> CsrMatrix:
        """Draw it.

        Raises:
            InputError: it has no room for itself.
        """
        check_size(name, self.nodes, self.nodes, 0)
        rng = np.random.default_rng(self.seed)
        row, column = self.pairs(rng)
        if self.shuffle:
            number = rng.permutation(self.nodes)
            row, column = number[row], number[column]
        key = np.sort(row * self.nodes + column)  # np.unique is 100 times slower
        key = key[np.concatenate(([True], key[1:] != key[:-1]))] if key.size else key
        row, column = np.divmod(key, self.nodes)
        value = np.ones(key.size) if self.values == "ones" else rng.random(key.size) + 0.5
        return from_coordinates(
            name, Coordinates(self.nodes, self.nodes, row, column, value), lambda _: None
        )


class RMat(_Drawn):
    """R-MAT (Chakrabarti, Zhan, Faloutsos, SDM 2004): quadrants drawn level by level, directed.

    Defaults are those of Graph500. Self loops stay; edges that repeat are dropped, so there are
    fewer elements than edges.

    Attributes:
        scale: log2 of the nodes.
        edges: drawn; 16 per node by default.
        a, b, c: chances of the upper left, upper right and lower left quadrant.
    """

    scale: int = Field(ge=1, le=26)
    edges: Edges | None = None
    a: Probability = 0.57
    b: Probability = 0.19
    c: Probability = 0.19

    @model_validator(mode="after")
    def _chances(self) -> RMat:
        if self.a + self.b + self.c > 1.0 + 1e-12:
            raise ValueError(f"a + b + c is {self.a + self.b + self.c:.6g}, at most 1")
        return self

    @property
    def nodes(self) -> int:
        return 2**self.scale

    def pairs(self, rng: np.random.Generator) -> Pairs:
        edges = 16 * self.nodes if self.edges is None else self.edges
        row = np.zeros(edges, np.int64)
        column = np.zeros(edges, np.int64)
        upper, left = self.a + self.b, self.a + self.b + self.c
        for _ in range(self.scale):  # from the most significant bit
            draw = rng.random(edges)
            down = draw >= upper
            right = ((draw >= self.a) & ~down) | (draw >= left)
            row += row + down
            column += column + right
        return row, column


class Uniform(_Drawn):
    """Elements anywhere with equal chance, `edges` of them drawn; repeated ones are dropped."""

    rows: Nodes
    edges: Edges

    @property
    def nodes(self) -> int:
        return self.rows

    def pairs(self, rng: np.random.Generator) -> Pairs:
        row, column = rng.integers(self.nodes, size=(2, self.edges))
        return row, column


class BarabasiAlbert(_Drawn):
    """Preferential attachment (Batagelj and Brandes 2005), undirected: both directions stored.

    Each new node takes `degree` edges to ends of earlier edges, or to their starts.
    """

    rows: Nodes
    degree: int = Field(default=8, ge=1, le=1024)

    @property
    def nodes(self) -> int:
        return self.rows

    def pairs(self, rng: np.random.Generator) -> Pairs:
        edges = self.rows * self.degree
        start = np.arange(edges) // self.degree
        # Edge e copies place p of the list start 0, end 0, start 1, end 1, ...: starts are known,
        # ends point to earlier edges, so following pointers ends at a start.
        place = (rng.random(edges) * (2 * np.arange(edges) + 1)).astype(np.int64)
        while (odd := np.flatnonzero(place % 2)).size:
            place[odd] = place[place[odd] // 2]
        end = start[place // 2]
        other = start != end
        start, end = start[other], end[other]
        return np.concatenate((start, end)), np.concatenate((end, start))


class WattsStrogatz(_Drawn):
    """A ring of `rows` nodes, each tied to `degree` neighbours, ends moved with chance `rewire`.

    Undirected: both directions stored.
    """

    rows: Nodes
    degree: int = Field(default=8, ge=2, le=1024)
    rewire: Probability = 0.1

    @property
    def nodes(self) -> int:
        return self.rows

    def pairs(self, rng: np.random.Generator) -> Pairs:
        half = self.degree // 2
        start = np.repeat(np.arange(self.rows), half)
        end = (start + np.tile(np.arange(1, half + 1), self.rows)) % self.rows
        moved = rng.random(end.size) < self.rewire
        end[moved] = rng.integers(self.rows, size=int(moved.sum()))
        other = start != end
        start, end = start[other], end[other]
        return np.concatenate((start, end)), np.concatenate((end, start))


class Grid(_Drawn):
    """The five-point stencil on a `width` x `height` grid: a mesh, with its diagonal."""

    width: Annotated[int, Field(ge=1, le=2**13)]
    height: Annotated[int, Field(ge=1, le=2**13)]

    @property
    def nodes(self) -> int:
        return self.width * self.height

    def pairs(self, rng: np.random.Generator) -> Pairs:
        del rng
        node = np.arange(self.nodes).reshape(self.height, self.width)
        right = node[:, :-1].ravel(), node[:, 1:].ravel()
        down = node[:-1].ravel(), node[1:].ravel()
        own = node.ravel()
        return (
            np.concatenate((own, right[0], right[1], down[0], down[1])),
            np.concatenate((own, right[1], right[0], down[1], down[0])),
        )


class Banded(_Drawn):
    """Every element at most `half_width` columns away from the diagonal."""

    rows: Nodes
    half_width: int = Field(default=2, ge=0, le=1024)

    @property
    def nodes(self) -> int:
        return self.rows

    def pairs(self, rng: np.random.Generator) -> Pairs:
        del rng
        offset = np.arange(-self.half_width, self.half_width + 1)
        row = np.repeat(np.arange(self.rows), offset.size)
        column = row + np.tile(offset, self.rows)
        inside = (column >= 0) & (column < self.rows)
        return row[inside], column[inside]


GENERATORS: dict[str, type[_Drawn]] = {
    "rmat": RMat,
    "uniform": Uniform,
    "barabasi_albert": BarabasiAlbert,
    "watts_strogatz": WattsStrogatz,
    "grid": Grid,
    "banded": Banded,
}

#: Sources with a name of their own. The first resembles the data set of the SMASH thesis in size,
#: nonzeros, partial products and compression (16 K nodes, 254 K nonzeros, 6.4 M, 1.2): parameters
#: found by a scan, since the thesis is not known to publish any.
NAMED = {"rmat:thesis": "rmat:scale=14,edges=270100,a=0.5,b=0.1,c=0.1,seed=1"}


def is_generator(source: str) -> bool:
    """Whether `source` describes a drawn matrix, not a function ``module:function``."""
    word, separator, rest = source.partition(":")
    if source in NAMED:
        return True
    return bool(separator) and word in GENERATORS and not rest.isidentifier()


def generate(source: str) -> CsrMatrix:
    """Draw the matrix that `source` describes; the same one for the same words.

    Raises:
        InputError: an unknown key, a value out of range, or one that is missing.
    """
    word, _, arguments = NAMED.get(source, source).partition(":")
    kind = GENERATORS[word]
    found: dict[str, str] = {}
    for argument in arguments.split(","):
        key, separator, value = (part.strip() for part in argument.partition("="))
        if not separator or not value:
            raise InputError(
                f"{source}: {shown(argument)}, must be key=value "
                f"(keys: {', '.join(kind.model_fields)})"
            )
        if key not in kind.model_fields:
            raise InputError(
                f"{source}: unknown key {shown(key)}{did_you_mean(key, kind.model_fields)} "
                f"(keys: {', '.join(kind.model_fields)})"
            )
        if key in found:
            raise InputError(f"{source}: {key} is given twice")
        found[key] = value
    drawn = checked(kind, found, source)
    assert isinstance(drawn, _Drawn)
    return drawn.matrix(source)
