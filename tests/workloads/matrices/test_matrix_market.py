"""Matrix Market files: what is read, and the one line for what is not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix
from tests.trace.small_matrices import csr_matrices
from workloads.matrices import text_file
from workloads.matrices.matrix_market import read_matrix_market

COORDINATE = "%%MatrixMarket matrix coordinate real general\n"
ONE_FILE = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(path: Path, text: str | bytes) -> tuple[CsrMatrix, list[str]]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    said: list[str] = []
    matrix = read_matrix_market(path, said.append)
    matrix.check("read")
    return matrix, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.mtx"


@ONE_FILE
@given(
    matrix=csr_matrices(),
    field=st.sampled_from(["real", "integer", "pattern"]),
    packed=st.booleans(),
)
def test_what_scipy_writes_is_read(path: Path, matrix: CsrMatrix, field: str, packed: bool) -> None:
    expected = matrix.to_scipy()
    if field == "integer":
        expected.data = np.round(expected.data)
    if field == "pattern":
        expected.data[:] = 1.0
    with path.open("wb") as file:
        scipy.io.mmwrite(file, expected.tocoo(), field=field, symmetry="general", precision=17)
    content = path.read_bytes()
    found, said = read(path, gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(found.to_scipy().toarray(), expected.toarray())
    assert found.nnz == matrix.nnz
    assert said == []


@pytest.mark.parametrize(
    ("symmetry", "lines", "expected"),
    [
        ("symmetric", "3\n1 1 5\n2 1 -1\n3 2 7", [[5, -1, 0], [-1, 0, 7], [0, 7, 0]]),
        ("hermitian", "2\n1 1 5\n2 1 -1", [[5, -1, 0], [-1, 0, 0], [0, 0, 0]]),
        ("skew-symmetric", "2\n2 1 -1\n3 1 4", [[0, 1, -4], [-1, 0, 0], [4, 0, 0]]),
        ("SYMMETRIC", "1\n1 2 3", [[0, 3, 0], [3, 0, 0], [0, 0, 0]]),
    ],
)
def test_symmetries(path: Path, symmetry: str, lines: str, expected: list[list[int]]) -> None:
    head = f"%%MatrixMarket matrix coordinate real {symmetry}\n% a comment\n\n3 3 "
    found, _ = read(path, head + lines)
    assert found.to_scipy().toarray().tolist() == expected


@pytest.mark.parametrize(
    ("symmetry", "values", "expected"),
    [
        ("general", [1, 0, 3, 4], [[1, 3], [0, 4]]),
        ("symmetric", [1, 2, 0], [[1, 2], [2, 0]]),
        ("skew-symmetric", [5], [[0, -5], [5, 0]]),
    ],
)
def test_arrays(path: Path, symmetry: str, values: list[int], expected: list[list[int]]) -> None:
    text = f"%%MatrixMarket matrix array integer {symmetry}\n2 2\n" + "\n".join(map(str, values))
    found, said = read(path, text)
    assert found.to_scipy().toarray().tolist() == expected
    assert found.nnz == np.count_nonzero(expected)
    assert said == ["a.mtx: array format, zeros are not stored"]


@ONE_FILE
@given(extent=st.integers(1, 6), skew=st.booleans(), seed=st.integers(0, 99))
def test_triangles_of_arrays(path: Path, extent: int, skew: bool, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-3, 4, (extent, extent))
    dense = np.tril(values, -1) - np.tril(values, -1).T if skew else values + values.T
    first = 1 if skew else 0
    listed = [str(dense[r, c]) for c in range(extent) for r in range(c + first, extent)]
    symmetry = "skew-symmetric" if skew else "symmetric"
    head = f"%%MatrixMarket matrix array real {symmetry}\n{extent} {extent}\n"
    found, _ = read(path, head + "\n".join(listed))
    np.testing.assert_array_equal(found.to_scipy().toarray(), dense)


def test_duplicates_and_zeros(path: Path) -> None:
    found, said = read(path, COORDINATE + "2 3 4\n1 2 1.5\n2 3 0\n1 2 2\n1 2 -3.5\n")
    assert (found.indices.tolist(), found.values.tolist()) == ([1, 2], [0.0, 0.0])
    assert said == ["a.mtx: 2 duplicate entries summed"]


def test_spellings(path: Path) -> None:
    found, _ = read(path, COORDINATE + "1 4 4\r\n1 1 +1\r\n\r\n1 2 .5\n1\t3  1D3 \n 1 4 -2.e-1")
    assert found.values.tolist() == [1.0, 0.5, 1000.0, -0.2]


def test_nothing_stored(path: Path) -> None:
    found, _ = read(path, COORDINATE + "2 3 0\n")
    assert (found.shape, found.nnz, found.indptr.tolist()) == ((2, 3), 0, [0, 0, 0])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "truncated: the line with the sizes is missing"),
        ("\n", r"not a Matrix Market file \(line 1 must start %%MatrixMarket\)"),
        ("1 2 3\n", "not a Matrix Market file"),
        ("%%MatrixMarket matrix\n", "must be %%MatrixMarket matrix FORMAT FIELD SYMMETRY"),
        (COORDINATE.replace("matrix ", "vector "), "object 'vector' is not read"),
        (COORDINATE.replace("coordinate", "csr"), "format 'csr' is not read"),
        (COORDINATE.replace("real", "float"), "field 'float' is not read"),
        (COORDINATE.replace("real", "complex"), "holds complex values; real, integer and pattern"),
        (COORDINATE.replace("general", "lower"), "symmetry 'lower' is not read"),
        ("%%MatrixMarket matrix array pattern general\n1 1\n1", "field cannot be pattern"),
        (COORDINATE, "truncated: the line with the sizes is missing"),
        (COORDINATE + "% only\n", "truncated: the line with the sizes is missing"),
        (COORDINATE + "2 2\n", "line 2: sizes '2 2', must be 3 whole numbers"),
        (COORDINATE + "2 -2 1\n", "line 2: sizes '2 -2 1', must be"),
        (COORDINATE + "0 2 0\n", "line 2: 0 rows, must be 1 to 2147483647"),
        (COORDINATE + "2 9999999999 0\n", "line 2: 9999999999 columns, must be 1 to"),
        (COORDINATE + "2 1" + "0" * 30 + " 0\n", "line 2: sizes .* are too large"),
        (COORDINATE + "2000000000 2000000000 900000000\n", "takes more than 4294967296 bytes"),
        (COORDINATE + "9 9 300000000\n1 1 1\n", "truncated: line 2 promises 300000000 entries, 6 "),
        (COORDINATE.replace("general", "symmetric") + "2 3 0\n", "a symmetric matrix is square"),
        (COORDINATE + "2 2 2\n1 1 1000000\n", "truncated: line 2 promises 2 entries, 1 follow"),
        (COORDINATE + "2 2 1\n1 1 1\n2 2 2\n", "line 2 promises 1 entries, 2 follow"),
        (COORDINATE + "% c\n\n2 2 2\n1 1 1\n\n3 2 2\n", r"line 7: row 3 is out of range \(1 to 2"),
        (COORDINATE + "2 2 2\n1 1 1\n1 0 2\n", r"line 4: column 0 is out of range \(1 to 2"),
        (COORDINATE + "2 2 2\n1 1 1\n-1 1 2\n", "line 4: row -1 is out of range"),
        (COORDINATE + "2 2 2\n1 1 1\n1.5 1 2\n", "line 4: '1.5' is not a whole number of 64 bits"),
        (COORDINATE + "2 2 1\n1 1_0 1\n", "line 3: '1_0' is not a whole number of 64 bits"),
        (COORDINATE + "2 2 1\n1 1 1_0\n", "line 3: '1_0' is not a number"),
        (COORDINATE + "2 2 1\n1 99999999999999999999 1\n", "line 3: '9{20}' is not a whole number"),
        (COORDINATE + "2 2 2\n1 1 1\n1 1 x\n", "line 4: 'x' is not a number"),
        (COORDINATE + "2 2 2\n1 1 1\n1 2\n\n\n", "line 4: 2 fields, needs 3"),
        (COORDINATE + "2 2 2\n1 1 1 4\n1 2 5\n", "line 3: 4 fields, needs 3"),
        (COORDINATE + "2 2 2\n1 1 1\n% c\n1 2 5\n", "line 4: 2 fields, needs 3"),
        (COORDINATE + "2 2 2\n1 1 1\n1 2 nan\n", "line 4: value nan must be finite"),
        (COORDINATE + "2 2 2\n1 1 1e999\n1 2 1\n", "line 3: value inf must be finite"),
        (COORDINATE.replace("real", "integer") + "2 2 1\n1 2 1.5\n", "1.5 must be a whole number"),
        (COORDINATE.replace("real", "pattern") + "2 2 1\n1 2 5\n", "3 fields, needs 2"),
        (COORDINATE.replace("general", "skew-symmetric") + "2 2 1\n2 2 5\n", "has no diagonal"),
        (COORDINATE + "2 2 2\n1 1 1e308\n1 1 1.7e308\n", "summed: value 0 is inf"),
        (COORDINATE + "%" + "x" * 2**20 + "\n1 1 0\n", "header of more than 1048576 bytes"),
        (COORDINATE + "% c\n" * 2**19 + "1 1 0\n", "header of more than 1048576 bytes"),
        ("%%MatrixMarket matrix array real general\n30000 30000\n1\n", "bytes|promises 900000000"),
        ("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3000\n", "truncated: line 2 promis"),
        ("\0" * 2**20, "not a text file"),
    ],
)  # fmt: skip
def test_refused(path: Path, text: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        read(path, text)
    assert "a.mtx" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gzip_that_ends_early_or_is_wrong(path: Path) -> None:
    packed = gzip.compress((COORDINATE + "2 2 2\n1 1 1\n1 2 2\n").encode())
    for end in range(2, len(packed)):
        with pytest.raises(InputError, match=r"truncated gzip|damaged gzip"):
            read(path, packed[:end])
    for place in range(10, len(packed) - 8):  # what is checked: the stream, not its dates
        wrong = bytearray(packed)
        wrong[place] ^= 0xFF
        with pytest.raises(InputError):
            read(path, bytes(wrong))


def test_gzip_that_unpacks_to_too_much(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "MAX_TEXT_BYTES", 2**22)
    bomb = gzip.compress((COORDINATE + "1 1 9999999\n").encode() + b"1 1 1\n" * 2**20)
    assert len(bomb) < 2**15
    with pytest.raises(InputError, match="more than 4194304 bytes of text"):
        read(path, bomb)


def test_files_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.mtx"):
        with pytest.raises(InputError, match="cannot be read"):
            read_matrix_market(path, print)


@ONE_FILE
@given(data=st.data())
def test_any_change_gives_a_matrix_or_one_line(path: Path, data: st.DataObject) -> None:
    content = bytearray((COORDINATE + "3 3 3\n1 1 1.5\n3 2 -2e3\n2 2 7\n").encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.sampled_from(list(b"0123456789 \n\t%-+.eEDx\0\xff")))
    try:
        read(path, bytes(content))
    except InputError as error:
        message = str(error)
    else:
        return
    assert "\n" not in message
