"""Pieces of text files to typed rows and a quarantine, in DuckDB.

A format fills the table `piece` with the texts of a piece's records (`n` from 1, then `t0`, `t1`, …), and says which records it could not
read and why; here they are cast, checked a column at a time, and kept or quarantined. The invariant: of each piece, records == kept +
quarantined, and of each file, the sum is what was counted when it landed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

import duckdb

from headrace.backends.texts.inference import infer
from headrace.backends.texts.layout import Layout, lay_out
from headrace.backends.texts.validating import Validating
from headrace.core.casts import literal
from headrace.core.checks import identifier
from headrace.core.columns import Found, columns_to_read
from headrace.core.contract import Contract
from headrace.core.errors import SourceError
from headrace.core.ports import JSON, Landed, ReadResult, Schema
from headrace.core.quarantine import MOST_RAW_BYTES, QUARANTINE
from headrace.core.records import Record

__all__ = ["Loaded", "Opened", "Room", "opened_room", "read_texts"]

_MEMORY = "384MB"  # beyond that DuckDB spills beside the output
_EXAMPLE = 200


@dataclass(frozen=True)
class Room:
    """Where a format fills `piece`: the connection, and a file of its own to hand bytes to DuckDB by."""

    connection: duckdb.DuckDBPyConnection
    file: Path


@dataclass(frozen=True)
class Loaded:
    """A piece whose texts are in the table `piece`. `odd` says of each record that is not there what is wrong with it.

    `places` finds records by their numbers, as they are in the file; `is_slow` says that they were split one by one. `kind_of` is what an
    oddity is counted by, where it also says a place. `read_as` tells how the file was read, as far as that was decided: its `encoding` is
    that of the records' bytes.
    """

    records: int
    odd: Mapping[int, str]
    places: Callable[[Container[int]], Mapping[int, Record]]
    is_slow: bool = False
    kind_of: Callable[[str], str] = str
    read_as: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


class Opened(Protocol):
    """A file that is about to be read: the names of its columns, and its records piece by piece.

    `names` are the columns that can be asked for. `found` are those that the file has: the same, unless only reading tells. `quoted` are
    columns of which a value is a text by the format's own word; such a column is never taken for numbers.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def found(self) -> tuple[str, ...]: ...

    @property
    def quoted(self) -> Collection[str]: ...

    def load(self, room: Room, positions: Sequence[int | None]) -> Iterator[Loaded]:
        """Fill `piece` with each piece in turn; `t0`, `t1`, … are the columns at these positions, NULL where there is none."""
        ...


AnyOpened = TypeVar("AnyOpened", bound=Opened)


@dataclass
class _Tally:
    """What reading has found so far."""

    kept: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict[str, str])
    undeclared: dict[str, None] = field(default_factory=dict[str, None])
    slow_pieces: int = 0
    read_as: dict[str, Mapping[str, JSON]] = field(default_factory=dict[str, Mapping[str, JSON]])


def read_texts(
    files: Sequence[Landed],
    open_file: Callable[[Landed], AnyOpened],
    *,
    contract: Contract | None,
    options: Mapping[str, JSON],
    rows: Path,
    quarantine: Path,
    recorded: Contract | None = None,
    lay: Callable[[AnyOpened, Contract, str], Layout] | None = None,
) -> ReadResult:
    """As `SourceFormat.read` says. Rows and quarantine keep the order of the files and of their records.

    A format whose `piece` holds other than texts says how they are laid out with `lay`.
    """
    with opened_room(rows.parent) as room:
        session = _Session(room)
        notes: list[str] = []
        own: Schema = ()
        if contract is None:
            found = _columns(session, files, open_file, options)
            own = columns_to_read(found, None, options).schema
            contract = columns_to_read(found, recorded, options)
        session.begin(contract)
        tally = _Tally()
        for file in files:
            opened = open_file(file)
            layout = lay(opened, contract, file.name) if lay else lay_out(opened.names, contract, options, file=file.name)
            session.read_file(file, opened, layout, tally)
            if opened.found != opened.names:
                layout = lay_out(opened.found, contract, options, file=file.name, has_header=False)
                tally.undeclared.update(dict.fromkeys(layout.undeclared))
        session.write(rows, quarantine)
        if tally.slow_pieces:
            notes.append(f"{tally.slow_pieces} pieces were split record by record, since DuckDB did not read every record of them")
        notes += _decided(tally.read_as)
        return ReadResult(
            rows_read=tally.kept + tally.rejected,
            rows_kept=tally.kept,
            rows_quarantined=tally.rejected,
            schema=contract.schema,
            undeclared=tuple(tally.undeclared),
            reasons=dict(tally.reasons.most_common()),
            examples=tally.examples,
            notes=tuple(notes),
            read_as=tally.read_as,
            own=own,
        )


@contextmanager
def opened_room(folder: Path) -> Iterator[Room]:
    """A DuckDB of its own in memory, one thread, so that order and bytes are the same each time; it spills beside the output."""
    with TemporaryDirectory(prefix="headrace-texts-") as work, TemporaryDirectory(prefix=".texts-", dir=folder) as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": _MEMORY,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(config=config) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield Room(connection, Path(work) / "piece.txt")


def _columns(
    session: _Session, files: Sequence[Landed], open_file: Callable[[Landed], AnyOpened], options: Mapping[str, JSON]
) -> tuple[Found, ...]:
    """The columns that files without a contract show, from all of their texts."""
    quoted: set[str] = set()
    texts = (names for file in files for names in session.texts(file, open_file(file), quoted))
    return infer(session.room.connection, texts, quoted, options, headers=lambda: {file.name: open_file(file).names for file in files})


class _Session:
    """The tables of one reading: `kept` and `rejected` for all files, `piece`, `typed`, `bad` and `broken` for the piece at hand."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._execute = room.connection.execute
        self._validating = Validating(room.connection)

    def begin(self, contract: Contract) -> None:
        columns = ", ".join(f"{identifier(c.name)} {c.type}" for c in contract.schema)
        self._execute(f"CREATE TEMP TABLE kept ({columns})")
        told = ", ".join(f"{column.name} {column.type}" for column in QUARANTINE)
        self._execute(f"CREATE TEMP TABLE rejected ({told})")

    def write(self, rows: Path, quarantine: Path) -> None:
        for table, path in (("kept", rows), ("rejected", quarantine)):
            self._execute(f"COPY {table} TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")

    def texts(self, file: Landed, opened: Opened, quoted: set[str]) -> Iterator[tuple[str, ...]]:
        """Fill `piece` with each piece of a file, all columns of it; gives the columns' names each time, and adds to `quoted`."""
        columns = "".join(f", CAST(NULL AS VARCHAR) AS t{n}" for n in range(len(opened.names)))
        self._execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT 0 AS n{columns} WHERE false")
        yield opened.names
        for _ in self._pieces(file, opened, range(len(opened.names))):
            yield opened.names
        quoted.update(opened.quoted)

    def read_file(self, file: Landed, opened: Opened, layout: Layout, tally: _Tally) -> None:
        tally.undeclared.update(dict.fromkeys(layout.undeclared))
        before = tally.kept + tally.rejected
        for piece in self._pieces(file, opened, layout.positions):
            if piece.read_as:
                tally.read_as[file.name] = piece.read_as
            self._read_piece(file.name, piece, layout, tally)
        found = tally.kept + tally.rejected - before
        if found != file.records_that_count:
            raise SourceError(
                f"`{file.name}` had {file.records} records when it landed, and {found + len(file.left_out)} when it was read from the lake. "
                "Its bytes were changed: run again."
            )

    def _pieces(self, file: Landed, opened: Opened, positions: Sequence[int | None]) -> Iterator[Loaded]:
        """The pieces of a file without the records that do not count, each of which has to be there."""
        waiting = set(file.left_out)
        for piece in opened.load(self.room, positions):
            yield self._without(piece, waiting) if waiting else piece
        if waiting:
            raise SourceError(
                f"`{file.name}` has no record that begins at byte {min(waiting)}, and one was mended there: its records are cut in another way "
                "than they were. Take back what changed in the source's options, or clear the interval, and mend what is in quarantine then."
            )

    def _without(self, piece: Loaded, waiting: set[int]) -> Loaded:
        places = piece.places(range(1, piece.records + 1))
        found = {n for n, record in places.items() if record.offset in waiting}
        if not found:
            return piece
        waiting.difference_update(places[n].offset for n in found)
        self._execute("DELETE FROM piece WHERE n IN (SELECT unnest($1::BIGINT[]))", [sorted(found)])
        odd = {n: reason for n, reason in piece.odd.items() if n not in found}
        return replace(piece, records=piece.records - len(found), odd=odd)

    def _read_piece(self, file: str, piece: Loaded, layout: Layout, tally: _Tally) -> None:
        tally.slow_pieces += piece.is_slow
        with _explained(file):
            seen = self._validating.before(layout)
            self._execute(f"CREATE OR REPLACE TEMP TABLE typed AS SELECT *, {layout.casts_sql} FROM {seen}")
            self._validating.after(layout)
            kept = self._execute(f"INSERT INTO kept SELECT {layout.finished_sql} FROM typed WHERE NOT ({layout.bad_sql})").fetchall()[0][0]
        tally.kept += kept
        if kept < piece.records:
            self._quarantine(file, piece, layout, tally)

    def _quarantine(self, file: str, piece: Loaded, layout: Layout, tally: _Tally) -> None:
        execute = self._execute
        execute(f"CREATE OR REPLACE TEMP TABLE bad AS SELECT * FROM typed WHERE {layout.bad_sql}")
        execute(f"CREATE OR REPLACE TEMP TABLE broken AS SELECT n, {layout.reasons_sql} FROM bad")
        execute("INSERT INTO broken SELECT unnest($1::BIGINT[]), [], [unnest($2::VARCHAR[])]", [list(piece.odd), list(piece.odd.values())])
        wanted = {row[0] for row in execute("SELECT n FROM broken").fetchall()}
        places = dict(piece.places(wanted))
        found = list(places.values())
        execute(
            "CREATE OR REPLACE TEMP TABLE place AS SELECT unnest($1::BIGINT[]) AS n, unnest($2::BIGINT[]) AS line, "
            "unnest($3::BIGINT[]) AS byte_offset, unnest($4::BLOB[]) AS raw, unnest($5::BIGINT[]) AS raw_size",
            [
                list(places),
                [r.line for r in found],
                [r.offset for r in found],
                [r.raw[:MOST_RAW_BYTES] for r in found],
                [len(r.raw) for r in found],
            ],
        )
        columns = ", ".join(column.name for column in QUARANTINE[1:])
        execute(f"INSERT INTO rejected SELECT $1, {columns} FROM broken JOIN place USING (n) ORDER BY n", [file])
        tally.rejected += len(places)
        counted = [(piece.kind_of(reason), 1, n) for n, reason in piece.odd.items()] + self._count(layout)
        for reason, count, first in counted:
            tally.reasons[reason] += count
            tally.examples.setdefault(reason, _example(file, places[first], str(piece.read_as.get("encoding", "utf-8"))))

    def _count(self, layout: Layout) -> list[tuple[str, int, int]]:
        """How many records broke each rule, and the first that did."""
        if not layout.breaches:
            return []
        figures = ", ".join(f"count(*) FILTER ({b.condition}), min(n) FILTER ({b.condition})" for b in layout.breaches)
        found = self._execute(f"SELECT {figures} FROM bad").fetchall()[0]
        return [(b.kind, count, first) for b, count, first in zip(layout.breaches, found[::2], found[1::2], strict=True) if count]


@contextmanager
def _explained(file: str) -> Iterator[None]:
    """What DuckDB can't carry out of a contract or of options: a pattern, a form of times, a time zone."""
    try:
        yield
    except (duckdb.InvalidInputException, duckdb.NotImplementedException, duckdb.BinderException) as error:
        said = str(error).partition("\n")[0]
        raise SourceError(
            f"`{file}` can't be checked against its contract and options: {said} "
            "Look at pattern=, which has no look-around or back-references, date_format=, datetime_format= and timezone=."
        ) from error


def _decided(read_as: Mapping[str, Mapping[str, JSON]]) -> list[str]:
    """What was decided by itself and is not what one would think: a line for each encoding other than UTF-8; and what is no record."""
    found: dict[str, list[str]] = {}
    for file, told in read_as.items():
        because = told.get("because")
        why = str(because.get("encoding")) if isinstance(because, Mapping) else ""
        if told.get("encoding") != "utf-8" and why != "said":
            found.setdefault(f"read as {told.get('encoding')}, by {why}", []).append(file)
    comments = sum(n for told in read_as.values() if isinstance(n := told.get("comments"), int))
    passed = (
        [f"{comments} line{'s are comments' if comments > 1 else ' is a comment'}, and no record{'s' if comments > 1 else ''}"]
        if comments
        else []
    )
    return passed + [f"{way}: `{files[0]}`{f' and {len(files) - 1} more' if len(files) > 1 else ''}" for way, files in found.items()]


def _example(file: str, record: Record, encoding: str) -> str:
    raw = record.raw[:_EXAMPLE].decode(encoding, "replace")
    return f"{file}:{record.line}: {raw}{'…' if len(record.raw) > _EXAMPLE else ''}"
