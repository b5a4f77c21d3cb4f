"""Where texts become rows: one DuckDB in memory, and for each thread that works in it a connection and a file of its own.

DuckDB itself has one thread, so that a query runs in the thread that asks it, and its order and bytes are the same each time; several
queries run side by side. The invariant: all of them together stay within one limit of memory, beyond which DuckDB spills to a folder; it grows with the columns, and with nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import duckdb

from headrace.core.errors import SourceError
from headrace.core.means import ALONE, Means
from headrace.core.ports import Landed

__all__ = ["Room", "Rooms", "explained_memory", "opened_room", "opened_rooms", "widen"]

_MANY_COLUMNS, _MOST_PARSED = 200, 4


@dataclass(frozen=True)
class Room:
    """Where a format fills `piece`: the connection, and a file of its own to hand bytes to DuckDB by. `memory_mb` is for all rooms."""

    connection: duckdb.DuckDBPyConnection
    file: Path
    memory_mb: int
    _parsed: dict[str, duckdb.Statement] = field(default_factory=dict[str, duckdb.Statement], repr=False)

    def write(self, parts: Iterable[bytes]) -> None:
        """Fill the file. What was there is written over: a file that is emptied first gets other memory for each page, at five times the cost."""
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.writelines(parts)
            file.truncate()

    def execute_parsed(self, sql: str, parameters: Sequence[object]) -> duckdb.DuckDBPyConnection:
        """As `connection.execute`, for a long statement that comes with every piece: a third of its planning is parsing, which is done once."""
        if sql not in self._parsed:
            if len(self._parsed) >= _MOST_PARSED:
                self._parsed.clear()
            (self._parsed[sql],) = self.connection.extract_statements(sql)
        return self.connection.execute(self._parsed[sql], parameters)


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
def opened_rooms(folder: Path, means: Means = ALONE) -> Iterator[Rooms]:
    """Rooms whose own files lie in `folder`, beside what is made of them."""
    with TemporaryDirectory(prefix="headrace-texts-") as work, TemporaryDirectory(prefix=".texts-", dir=folder) as aside:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": f"{means.database_mb}MB",
            "temp_directory": str(Path(aside) / "spill"),
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(config=config) as connection:
            rooms = [Room(_session(connection), Path(work) / f"piece-{number}.txt", means.database_mb) for number in range(means.threads)]
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


@contextmanager
def explained_memory(means: Means, files: Sequence[Landed]) -> Iterator[None]:
    """What is to be done where there is too little memory even with a disk beside it, as for records of many MB."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        others = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        named = f"`{files[0].name}`{others}" if files else "The source"
        given = f"{means.memory_mb} MB" if means.memory_mb else f"{means.database_mb} MB, the default for {means.threads} threads,"
        raise SourceError(
            f"{named} can't be read within {given} of memory: a stretch of its records needs more at once, for they are very long or have "
            f"very many columns. Raise memory= in headrace.toml, or HEADRACE_MEMORY, such as {2 * (means.memory_mb or means.database_mb)}MB; or set threads = 1."
        ) from error


def widen(room: Room, columns: int) -> bool:
    """Whether the columns are very many, for which the limit of memory is raised then: each takes some blocks in each table."""
    if columns > _MANY_COLUMNS:
        room.connection.execute(f"SET memory_limit = '{room.memory_mb + columns // 2}MB'")
    return columns > _MANY_COLUMNS


def _session(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    own = connection.cursor()
    own.execute("SET TimeZone = 'UTC'")
    # The first two would move a cast into the reader of CSV, where a text that can't be cast is an error, and no NULL. By the last a column in
    # which a task has no NULL would become one that has to be there, and the files of tasks that differ in that can't be made one.
    own.execute("SET disabled_optimizers = 'type_pushdown,scalar_fn_pushdown,statistics_propagation'")
    return own
