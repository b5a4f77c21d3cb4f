"""Where texts become rows: one DuckDB in memory, and for each thread that works in it a connection and a file of its own.

DuckDB itself has one thread, so that a query runs in the thread that asks it, and its order and bytes are the same each time; several
queries run side by side. The invariant: all of them together stay within one limit of memory, beyond which DuckDB spills to a folder; it grows with the columns, and with nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import duckdb

__all__ = ["Room", "Rooms", "opened_room", "opened_rooms", "widen"]

_MEMORY_MB = 384
_MANY_COLUMNS = 200


@dataclass(frozen=True)
class Room:
    """Where a format fills `piece`: the connection, and a file of its own to hand bytes to DuckDB by."""

    connection: duckdb.DuckDBPyConnection
    file: Path


class Rooms:
    """As many rooms as there are threads. `folder` is for files that are made here, and is gone afterwards."""

    def __init__(self, rooms: list[Room], folder: Path) -> None:
        self.folder, self.count = folder, len(rooms)
        self._free: SimpleQueue[Room] = SimpleQueue()
        for room in rooms:
            self._free.put(room)

    @contextmanager
    def one(self) -> Iterator[Room]:
        """A room for the thread that asks; it waits until one is free."""
        room = self._free.get()
        try:
            yield room
        finally:
            self._free.put(room)


@contextmanager
def opened_rooms(folder: Path, *, workers: int = 1, memory_mb: int = _MEMORY_MB) -> Iterator[Rooms]:
    """Rooms whose own files lie in `folder`, beside what is made of them."""
    with TemporaryDirectory(prefix="headrace-texts-") as work, TemporaryDirectory(prefix=".texts-", dir=folder) as aside:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(Path(aside) / "spill"),
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(config=config) as connection:
            rooms = [Room(_session(connection), Path(work) / f"piece-{number}.txt") for number in range(workers)]
            try:
                yield Rooms(rooms, Path(aside))
            finally:
                for room in rooms:
                    room.connection.close()


@contextmanager
def opened_room(folder: Path) -> Iterator[Room]:
    """One room alone."""
    with opened_rooms(folder) as rooms, rooms.one() as room:
        yield room


def widen(room: Room, columns: int) -> bool:
    """Whether the columns are very many, for which the limit of memory is raised then: each takes some blocks in each table."""
    if columns > _MANY_COLUMNS:
        room.connection.execute(f"SET memory_limit = '{_MEMORY_MB + columns // 2}MB'")
    return columns > _MANY_COLUMNS


def _session(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    own = connection.cursor()
    own.execute("SET TimeZone = 'UTC'")
    # these would move a cast into the reader of CSV, where a text that can't be cast is an error, and no NULL
    own.execute("SET disabled_optimizers = 'type_pushdown,scalar_fn_pushdown'")
    return own
