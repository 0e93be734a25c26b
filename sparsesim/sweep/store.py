"""The result store: one SQLite file with one row per point, committed as each point ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sparsesim.errors import InputError
from sparsesim.sweep.evaluation import RESULT_COLUMNS, Evaluation, Point

STORE = "sweep.sqlite"
SCHEMA_VERSION = 1

_TYPES = {int: "INTEGER", float: "REAL"}
_COLUMNS = (
    "point_id TEXT PRIMARY KEY",
    "parameters TEXT NOT NULL",
    "machine_name TEXT NOT NULL",
    "machine_sha256 TEXT NOT NULL",
    "trace_name TEXT NOT NULL",
    "trace_sha256 TEXT NOT NULL",
    "fidelity TEXT NOT NULL",
    "seed INTEGER NOT NULL",
    "simulator_version TEXT NOT NULL",
    "status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'done', 'failed'))",
    "error TEXT",
    *(f"{name} {_TYPES[kind]}" for name, kind in RESULT_COLUMNS.items()),
)


class Store:
    """The points of a sweep. One process at a time: the file stays locked while it is open.

    Raises (all methods):
        InputError: the file is damaged, cannot be written, or is open in another process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._errors():
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with self._errors():
                self._open()
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()

    def _open(self) -> None:
        self._db.row_factory = sqlite3.Row
        # In this mode the lock of the first transaction is kept until the connection closes, and
        # the operating system frees it when the process dies.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        with self._transaction():
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables == 0:
                self._db.execute(f"CREATE TABLE points ({', '.join(_COLUMNS)})")
                self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{self._path}: user_version: must be {SCHEMA_VERSION} (got {version}); "
                "not a sweep of this version"
            )
        (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        self._db.execute("SELECT status FROM points LIMIT 1")

    def register(self, points: Iterable[Point]) -> list[Point]:
        """Make `points` pending unless they are done; return the pending ones, each id once.

        Done points that are not among `points` are kept; pending and failed ones are dropped, so
        a failed point is tried again.
        """
        with self._errors(), self._transaction():
            self._db.execute("DELETE FROM points WHERE status != 'done'")
            settled = {row["point_id"] for row in self._db.execute("SELECT point_id FROM points")}
            pending = []
            for point in points:
                point_id = point.point_id
                if point_id in settled:
                    continue
                settled.add(point_id)
                pending.append(point)
                row = {
                    "point_id": point_id,
                    "parameters": json.dumps(point.parameters),
                    "trace_name": point.trace_name,
                    **point.identity,
                }
                self._db.execute(
                    f"INSERT INTO points ({', '.join(row)}) "
                    f"VALUES ({', '.join(f':{key}' for key in row)})",
                    row,
                )
        return pending

    def finish(self, point_id: str, evaluation: Evaluation) -> None:
        """Store the end of a point and commit."""
        row = {
            "status": "failed" if evaluation.values is None else "done",
            "error": evaluation.error,
            **(evaluation.values or {}),
        }
        with self._errors():
            self._db.execute(
                f"UPDATE points SET {', '.join(f'{key} = :{key}' for key in row)} "
                "WHERE point_id = :point_id",
                {**row, "point_id": point_id},
            )

    def rows(self) -> dict[str, dict[str, Any]]:
        """Every stored point by its id: status, error and result columns."""
        with self._errors():
            found = self._db.execute("SELECT * FROM points").fetchall()
        return {row["point_id"]: dict(row) for row in found}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN EXCLUSIVE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InputError(
                    f"{self._path.parent}: another sweep is using this folder"
                ) from None
            raise InputError(f"{self._path}: cannot be used ({error})") from None
        except sqlite3.DatabaseError as error:
            problem = " ".join(str(error).split())
            raise InputError(f"{self._path}: damaged ({problem})") from None
