"""Pieces of texts cast, checked a column at a time, and either kept or quarantined, in DuckDB.

A task is pieces next to each other, of one file or of several; its rows and its rejected records are written as Parquet beside the output.
The invariant: of each piece, records == kept + rejected, by a count of its own where a reader could have lost some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from headrace.backends.texts.layout import Layout
from headrace.backends.texts.opened import Loaded, Opened, Unread
from headrace.backends.texts.places import numbers_at, place_records
from headrace.backends.texts.room import Room, widen
from headrace.backends.texts.validating import Validating
from headrace.core.casts import literal
from headrace.core.checks import identifier
from headrace.core.contract import Contract
from headrace.core.errors import SourceError
from headrace.core.ports import Landed
from headrace.core.quarantine import QUARANTINE

__all__ = ["Given", "Judged", "Task", "Verdict", "judge", "write_nothing"]

_EXAMPLE = 200


@dataclass(frozen=True)
class Given:
    """A piece to judge, and by what."""

    file: Landed
    opened: Opened
    layout: Layout
    piece: Unread


@dataclass(frozen=True)
class Task:
    """Pieces next to each other. `number` is that of the task, from 0."""

    number: int
    pieces: tuple[Given, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of one piece's records. `left_out` are the bytes where those begin that do not count; the rest is as in `ReadResult`."""

    file: str
    kept: int
    rejected: int
    left_out: frozenset[int]
    is_slow: bool
    reasons: tuple[tuple[str, int], ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Judged:
    """A task's verdicts, and the files of its rows and of its rejected records, where it has any."""

    verdicts: tuple[Verdict, ...]
    rows: Path | None
    rejected: Path | None


def judge(task: Task, room: Room, contract: Contract, folder: Path) -> Judged:
    """Sort a task's records, and write them into `folder`."""
    desk = _Desk(room, contract)
    verdicts = tuple(desk.judge(number, given) for number, given in enumerate(task.pieces))
    rows = desk.write_rows(folder / f"rows-{task.number}.parquet") if any(v.kept for v in verdicts) else None
    rejected = desk.write_rejected(folder / f"rejected-{task.number}.parquet") if any(v.rejected for v in verdicts) else None
    return Judged(verdicts, rows, rejected)


def write_nothing(room: Room, contract: Contract, *, rows: Path | None = None, quarantine: Path | None = None) -> None:
    """Files with the columns, and no row."""
    desk = _Desk(room, contract)
    if rows:
        desk.write_rows(rows)
    if quarantine:
        desk.write_rejected(quarantine)


class _Desk:
    """The tables of one task: `judged` has its records by piece, with the numbers of the breaches and the reasons of those that are `broken`;
    `rejected` is the quarantine.
    """

    def __init__(self, room: Room, contract: Contract) -> None:
        self._room, self._contract = room, contract
        self._execute = room.connection.execute
        self._validating = Validating(room.connection)
        self._is_wide = widen(room, len(contract.fields))
        if self._is_wide:  # it would compare the expressions of all columns with one another, for minutes
            self._execute("PRAGMA disable_optimizer")
        columns = "".join(f", f{n} {column.type}" for n, column in enumerate(contract.schema))
        self._execute(f"CREATE OR REPLACE TEMP TABLE judged (piece INTEGER, n BIGINT{columns}, broken UINTEGER[], reasons VARCHAR[])")
        told = ", ".join(f"{column.name} {column.type}" for column in QUARANTINE)
        self._execute(f"CREATE OR REPLACE TEMP TABLE rejected ({told})")

    def judge(self, number: int, given: Given) -> Verdict:
        loaded = given.piece.load(self._room, given.layout.positions)
        with _explained(given.file.name):
            if loaded.exactly:
                try:
                    return self._judge(number, given, loaded)
                except (duckdb.InvalidInputException, duckdb.ConversionException, _CountError):
                    self._execute("DELETE FROM judged WHERE piece = $1", [number])
            return self._judge(number, given, loaded.exactly() if loaded.exactly else loaded)

    def _judge(self, number: int, given: Given, loaded: Loaded) -> Verdict:
        typed = self._type(number, given.layout, loaded)
        if loaded.exactly and typed != loaded.records:
            raise _CountError
        left_out = numbers_at(loaded, given.file.left_out) if given.file.left_out else {}
        if left_out:
            self._execute("DELETE FROM judged WHERE piece = $1 AND n IN (SELECT unnest($2::BIGINT[]))", [number, sorted(left_out)])
            typed = self._count("SELECT count(*) FROM judged WHERE piece = $1", number)
        odd = {n: reason for n, reason in loaded.odd.items() if n not in left_out}
        broken = self._count("SELECT count(*) FROM judged WHERE piece = $1 AND broken IS NOT NULL", number)
        found = given.file.name, typed - broken
        if not broken and not odd:
            return Verdict(*found, 0, frozenset(left_out.values()), loaded.is_slow)
        rejected = self._quarantine(number, given, loaded, odd)
        reasons, examples = self._told(number, given, loaded, odd)
        return Verdict(*found, rejected, frozenset(left_out.values()), loaded.is_slow, reasons, examples)

    def _type(self, number: int, layout: Layout, loaded: Loaded) -> int:
        casts = f"SELECT *, {layout.casts_sql} FROM {loaded.relation}"
        cast = self._prepared(layout, loaded) if layout.is_prepared else self._stage("typed", casts)
        finished = "".join(f", {value}" for value in layout.finished_sql)
        checked = self._stage("checked", f"SELECT *, {layout.broken_sql} AS broken FROM {cast}")
        return self._count(f"INSERT INTO judged SELECT $1, n{finished}, broken, {layout.reasons_sql} FROM {checked}", number)

    def _stage(self, name: str, sql: str) -> str:
        """What the next query reads from: this one in brackets; of very many columns its result as a table, since it is planned in far less time."""
        if not self._is_wide:
            return f"({sql})"
        self._execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")
        return name

    def _prepared(self, layout: Layout, loaded: Loaded) -> str:
        """Cast what validators have seen and JSON that was taken apart, and show validators the values."""
        if loaded.relation != "piece":
            self._execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT * FROM {loaded.relation}")
        seen = self._validating.before(layout)
        self._execute(f"CREATE OR REPLACE TEMP TABLE typed AS SELECT *, {layout.casts_sql} FROM {seen}")
        self._validating.after(layout)
        return "typed"

    def _quarantine(self, number: int, given: Given, loaded: Loaded, odd: Mapping[int, str]) -> int:
        self._execute(
            f"CREATE OR REPLACE TEMP TABLE broken AS SELECT n, {given.layout.columns_sql} AS columns, reasons "
            f"FROM judged WHERE piece = {number:d} AND broken IS NOT NULL"
        )
        if odd:
            self._execute("INSERT INTO broken SELECT unnest($1::BIGINT[]), [], [unnest($2::VARCHAR[])]", [list(odd), list(odd.values())])
        rejected = place_records(self._room, loaded, "SELECT n FROM broken")
        columns = ", ".join(column.name for column in QUARANTINE[1:])
        self._execute(f"INSERT INTO rejected SELECT $1, {columns} FROM broken JOIN place USING (n) ORDER BY n", [given.file.name])
        return rejected

    def _told(
        self, number: int, given: Given, loaded: Loaded, odd: Mapping[int, str]
    ) -> tuple[tuple[tuple[str, int], ...], dict[str, str]]:
        """How many records have each reason, and one record of each."""
        counted = [(loaded.kind_of(reason), 1, n) for n, reason in odd.items()]
        each = "SELECT unnest(broken) AS breach, n FROM judged WHERE piece = $1 AND broken IS NOT NULL"
        found = self._execute(f"SELECT breach, count(*), min(n) FROM ({each}) GROUP BY breach ORDER BY breach", [number]).fetchall()
        counted += [(given.layout.breaches[breach].kind, count, first) for breach, count, first in found]
        shown = self._execute(
            "SELECT n, line, raw, raw_size FROM place WHERE n IN (SELECT unnest($1::BIGINT[])) ORDER BY n",
            [list(_firsts(counted).values())],
        ).fetchall()
        encoding = str(given.opened.read_as.get("encoding", "utf-8"))
        by_number = {n: _example(given.file.name, line, raw, size, encoding) for n, line, raw, size in shown}
        return tuple((reason, count) for reason, count, _ in counted), {r: by_number[n] for r, n in _firsts(counted).items()}

    def write_rows(self, path: Path) -> Path:
        columns = ", ".join(f"f{n} AS {identifier(column.name)}" for n, column in enumerate(self._contract.schema))
        self._execute(
            f"COPY (SELECT {columns} FROM judged WHERE broken IS NULL) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
        return path

    def write_rejected(self, path: Path) -> Path:
        self._execute(f"COPY rejected TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        return path

    def _count(self, sql: str, number: int) -> int:
        return int(self._execute(sql, [number]).fetchall()[0][0])


class _CountError(Exception):
    """A query found another number of records than were counted."""


def _firsts(counted: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    firsts: dict[str, int] = {}
    for reason, _, n in counted:
        firsts.setdefault(reason, n)
    return firsts


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


def _example(file: str, line: int, raw: bytes, size: int, encoding: str) -> str:
    return f"{file}:{line}: {raw[:_EXAMPLE].decode(encoding, 'replace')}{'…' if size > _EXAMPLE else ''}"
