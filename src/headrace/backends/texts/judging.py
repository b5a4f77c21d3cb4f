"""Pieces of texts cast, checked a column at a time, and either kept or quarantined, in DuckDB.

A task is pieces next to each other, of one file or of several; its rows and its rejected records are written as Parquet beside the output.
The invariant: of each piece, records == kept + rejected, by a count of its own where a reader could have lost some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from headrace.backends.texts.layout import Layout
from headrace.backends.texts.opened import Loaded, Opened, Unread
from headrace.backends.texts.places import Stand, numbers_at
from headrace.backends.texts.room import Room, widen
from headrace.backends.texts.validating import Validating
from headrace.core.casts import literal
from headrace.core.checks import identifier
from headrace.core.contract import Contract
from headrace.core.errors import SourceError
from headrace.core.ports import Landed
from headrace.core.quarantine import QUARANTINE
from headrace.core.records import Record

__all__ = ["Given", "Judged", "Task", "Verdict", "judge", "write_nothing"]

_EXAMPLE = 200
_PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"  # the usual level takes a third more time, and 1 % fewer bytes of rows


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
    hidden: int = 0


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
    for path, schema in ((rows, contract.schema), (quarantine, QUARANTINE)):
        if path:
            columns = ", ".join(f"CAST(NULL AS {column.type}) AS {identifier(column.name)}" for column in schema)
            room.connection.execute(f"COPY (SELECT {columns} WHERE false) TO {literal(str(path))} ({_PARQUET})")


class _Desk:
    """One task's records in the table `judged`, by piece, with the numbers of the breaches and the reasons of those that are `broken`."""

    def __init__(self, room: Room, contract: Contract) -> None:
        self._room, self._contract = room, contract
        self._execute = room.connection.execute
        self._validating = Validating(room.connection)
        self._is_wide = widen(room, len(contract.fields))
        if self._is_wide:  # it would compare the expressions of all columns with one another, for minutes
            self._execute("PRAGMA disable_optimizer")
        self._stand, self._given = Stand(), dict[int, Given]()
        self._has_odd = False
        columns = "".join(f", f{n} {column.type}" for n, column in enumerate(contract.schema))
        self._execute(f"CREATE OR REPLACE TEMP TABLE judged (piece INTEGER, n BIGINT{columns}, broken UINTEGER[], reasons VARCHAR[])")

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
        if loaded.exactly and typed + len(loaded.odd) != loaded.records:
            raise _CountError
        left_out = numbers_at(loaded, given.file.left_out) if given.file.left_out else {}
        if left_out:
            self._execute("DELETE FROM judged WHERE piece = $1 AND n IN (SELECT unnest($2::BIGINT[]))", [number, sorted(left_out)])
            typed = self._count("SELECT count(*) FROM judged WHERE piece = $1", number)
        broken = self._count("SELECT count(broken) FROM judged WHERE piece = $1", number)
        odd = {n: reason for n, reason in loaded.odd.items() if n not in left_out}
        kept, passed = typed - broken, frozenset(left_out.values())
        if not broken and not odd:
            return Verdict(given.file.name, kept, 0, passed, loaded.is_slow)
        counted = self._counted(number, given, loaded, odd)
        if odd:
            self._add_odd(number, odd)
        rejected = self._place(number, given, loaded, broken + len(odd))
        hidden = sum(count for n, count in loaded.hidden.items() if n not in left_out)
        return Verdict(given.file.name, kept, rejected, passed, loaded.is_slow, *self._told(given, counted), hidden=hidden)

    def _type(self, number: int, layout: Layout, loaded: Loaded) -> int:
        casts = f"SELECT *, {layout.casts_sql} FROM {loaded.relation}"
        cast = self._prepared(layout, loaded) if layout.is_prepared else self._stage("typed", casts)
        finished = "".join(f", {value}" for value in layout.finished_sql)
        sought = self._stage("sought", f"SELECT *, {layout.first_sql} AS first FROM {cast}")
        checked = self._stage("checked", f"SELECT *, {layout.broken_sql} AS broken FROM {sought}")
        judged = f"INSERT INTO judged SELECT $1, n{finished}, broken, {layout.reasons_sql} FROM {checked}"
        return int(self._room.execute_parsed(judged, [number]).fetchall()[0][0])

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

    def _counted(self, number: int, given: Given, loaded: Loaded, odd: Mapping[int, str]) -> list[tuple[str, int, int]]:
        """How many records have each reason, and the first that does."""
        each = "SELECT unnest(broken) AS breach, n FROM judged WHERE piece = $1 AND broken IS NOT NULL"
        found = self._execute(f"SELECT breach, count(*), min(n) FROM ({each}) GROUP BY breach ORDER BY breach", [number]).fetchall()
        breaches = given.layout.breaches
        return [*_by_kind(loaded, odd), *((breaches[b].kind, count, first) for b, count, first in found)]

    def _add_odd(self, number: int, odd: Mapping[int, str]) -> None:
        """Records that have a reason and nothing else."""
        self._has_odd = True
        self._execute(
            "INSERT INTO judged (piece, n, broken, reasons) SELECT $1, unnest($2::BIGINT[]), [], [unnest($3::VARCHAR[])]",
            [number, list(odd), list(odd.values())],
        )

    def _place(self, number: int, given: Given, loaded: Loaded, count: int) -> int:
        """Find where the rejected records stand; how many were found."""
        if count == loaded.records:
            wanted: Sequence[int] = range(1, count + 1)
        else:
            found = self._execute("SELECT n FROM judged WHERE piece = $1 AND broken IS NOT NULL ORDER BY n", [number])
            wanted = [n for (n,) in found.fetchall()]
        self._stand.add(number, loaded, wanted)
        self._given[number] = given
        return len(wanted)

    def _told(self, given: Given, counted: Sequence[tuple[str, int, int]]) -> tuple[tuple[tuple[str, int], ...], dict[str, str]]:
        """How many records have each reason, and one record of each."""
        firsts: dict[str, int] = {}
        for reason, _, n in counted:
            firsts.setdefault(reason, n)
        encoding, shown = str(given.opened.read_as.get("encoding", "utf-8")), self._stand.of_last(firsts.values())
        examples = {reason: _example(given.file.name, shown[n], encoding) for reason, n in firsts.items()}
        return tuple((reason, count) for reason, count, _ in counted), examples

    def write_rows(self, path: Path) -> Path:
        columns = ", ".join(f"f{n} AS {identifier(column.name)}" for n, column in enumerate(self._contract.schema))
        self._execute(f"COPY (SELECT {columns} FROM judged WHERE broken IS NULL) TO {literal(str(path))} ({_PARQUET})")
        return path

    def write_rejected(self, path: Path) -> Path:
        """The quarantine. Records and their places are both in order, unless odd ones were added at the end."""
        files = self._by_piece({number: literal(given.file.name) for number, given in self._given.items()})
        columns = self._by_piece({number: given.layout.columns_sql for number, given in self._given.items()})
        broken = f"SELECT piece, n, {files} AS file, {columns} AS columns, reasons FROM judged WHERE broken IS NOT NULL"
        place = self._stand.fill(self._room, by_number=self._has_odd)
        joined = f"JOIN {place} ON piece = at_piece AND n = at_n ORDER BY piece, n" if self._has_odd else f"POSITIONAL JOIN {place}"
        told = ", ".join(f"CAST({column.name} AS {column.type}) AS {column.name}" for column in QUARANTINE)
        self._execute(f"COPY (SELECT {told} FROM ({broken}) {joined}) TO {literal(str(path))} ({_PARQUET})")
        self._stand.forget(self._room)
        return path

    def _by_piece(self, told: Mapping[int, str]) -> str:
        """What is told of each piece, as one expression."""
        if len(set(told.values())) == 1:
            return next(iter(told.values()))
        return f"CASE piece {' '.join(f'WHEN {number} THEN {sql}' for number, sql in told.items())} END"

    def _count(self, sql: str, number: int) -> int:
        return int(self._execute(sql, [number]).fetchall()[0][0])


def _by_kind(loaded: Loaded, odd: Mapping[int, str]) -> Iterator[tuple[str, int, int]]:
    """Of records that could not be read, which may be all: how many have each kind of reason, and the first that does."""
    counts, firsts = Counter[str](), dict[str, int]()
    for n, reason in odd.items():
        kind = loaded.kind_of(reason)
        counts[kind] += 1
        firsts.setdefault(kind, n)
    return ((kind, count, firsts[kind]) for kind, count in counts.items())


class _CountError(Exception):
    """A query found another number of records than were counted."""


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


def _example(file: str, record: Record, encoding: str) -> str:
    raw = record.raw
    return f"{file}:{record.line}: {raw[:_EXAMPLE].decode(encoding, 'replace')}{'…' if len(raw) > _EXAMPLE else ''}"
