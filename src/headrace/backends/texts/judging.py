"""Pieces of texts cast, checked a column at a time, and either kept or quarantined, in DuckDB.

A task is pieces next to each other, of one file or of several; their records are cast (`casting`), a few pieces are settled at once, and what
is kept and what is rejected is written as Parquet beside the output. The invariant: of each piece, records == kept + rejected, by a count of its own where a reader could have lost some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from headrace.backends.texts.casting import Casting
from headrace.backends.texts.layout import Layout
from headrace.backends.texts.opened import Loaded, Opened, Unread
from headrace.backends.texts.places import Stand, numbers_at
from headrace.backends.texts.room import Room
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
    """A task's verdicts, and the files of its rows and of its rejected records, where it has any, in order."""

    verdicts: Sequence[Verdict]
    rows: Sequence[Path]
    rejected: Sequence[Path]


def judge(task: Task, room: Room, contract: Contract, folder: Path) -> Judged:
    """Sort a task's records, and write them into `folder`."""
    desk = _Desk(task.number, room, contract, folder)
    for number, given in enumerate(task.pieces):
        desk.take(number, given)
    desk.settle()
    return Judged(desk.verdicts, desk.rows, desk.rejected)


def write_nothing(room: Room, contract: Contract, *, rows: Path | None = None, quarantine: Path | None = None) -> None:
    """Files with the columns, and no row."""
    for path, schema in ((rows, contract.schema), (quarantine, QUARANTINE)):
        if path:
            columns = ", ".join(f"CAST(NULL AS {column.type}) AS {identifier(column.name)}" for column in schema)
            room.connection.execute(f"COPY (SELECT {columns} WHERE false) TO {literal(str(path))} ({_PARQUET})")


@dataclass(frozen=True)
class _Taken:
    """A piece whose records are cast: how many those are, without those left out, which are told by their numbers."""

    number: int
    given: Given
    loaded: Loaded
    typed: int
    left_out: Mapping[int, int]

    @property
    def odd(self) -> dict[int, str]:
        return {n: reason for n, reason in self.loaded.odd.items() if n not in self.left_out}


class _Desk:
    """One task's pieces: those that were taken, and what became of those that are settled."""

    def __init__(self, number: int, room: Room, contract: Contract, folder: Path) -> None:
        self._number, self._room, self._contract, self._folder = number, room, contract, folder
        self._execute = room.connection.execute
        self._casting, self._stand = Casting(room, contract), Stand()
        self._taken, self._has_odd = list[_Taken](), False
        self.verdicts, self.rows, self.rejected = list[Verdict](), list[Path](), list[Path]()

    def take(self, number: int, given: Given) -> None:
        """Cast a piece's records, and settle what was taken if that is enough."""
        if self._taken and given.layout != self._taken[-1].given.layout:
            self.settle()
        loaded = given.piece.load(self._room, given.layout.positions)
        with _explained(given.file.name):
            is_usual = self._casting.is_usual(given.layout, loaded)
            if not is_usual:
                self.settle()  # or their records would come before those of earlier pieces
            if loaded.exactly:
                try:
                    taken = self._cast(number, given, loaded, is_usual=is_usual)
                except (duckdb.InvalidInputException, duckdb.ConversionException, _CountError):
                    self._casting.leave_out(number)
                    taken = self._cast(number, given, loaded.exactly(), is_usual=is_usual)
            else:
                taken = self._cast(number, given, loaded, is_usual=is_usual)
        self._taken.append(taken)
        if self._casting.is_full:
            self.settle()

    def _cast(self, number: int, given: Given, loaded: Loaded, *, is_usual: bool) -> _Taken:
        typed = self._casting.add(number, given.layout, loaded, is_usual=is_usual)
        if loaded.exactly and typed + len(loaded.odd) != loaded.records:
            raise _CountError
        left_out = numbers_at(loaded, given.file.left_out) if given.file.left_out else {}
        if left_out:
            typed -= self._casting.leave_out(number, left_out)
        return _Taken(number, given, loaded, typed, left_out)

    def settle(self) -> None:
        """Judge the pieces that were taken, and write what became of them."""
        if not self._taken:
            return
        with _explained(self._taken[0].given.file.name):
            self._casting.judge_unusual(self._taken[0].given.layout)
        found = self._execute("SELECT piece, count(broken), count(*) FROM judged GROUP BY piece").fetchall()
        broken = {number: count for number, count, _ in found}
        reasons = self._reasons() if any(broken.values()) else {}
        settled = [self._settled(taken, broken.get(taken.number, 0), reasons.get(taken.number, [])) for taken in self._taken]
        kept, name = sum(verdict.kept for verdict in settled), f"{self._number}-{len(self.verdicts)}.parquet"
        if kept:
            of_judged = sum(count for _, _, count in found) - sum(broken.values())
            self.rows.append(self._write_rows(self._folder / f"rows-{name}", of_judged=of_judged, of_usual=kept - of_judged))
        if any(verdict.rejected for verdict in settled):
            self.rejected.append(self._write_rejected(self._folder / f"rejected-{name}"))
        self.verdicts += settled
        self._casting.clear()
        self._taken, self._has_odd = [], False

    def _reasons(self) -> dict[int, list[tuple[int, int, int]]]:
        """The breaches that the records of each piece have: how many have each, and the first that does."""
        each = "SELECT piece, n, unnest(broken) AS breach FROM judged WHERE broken IS NOT NULL"
        counted = self._execute(f"SELECT piece, breach, count(*), min(n) FROM ({each}) GROUP BY piece, breach ORDER BY piece, breach")
        reasons: dict[int, list[tuple[int, int, int]]] = {}
        for number, *reason in counted.fetchall():
            reasons.setdefault(number, []).append((reason[0], reason[1], reason[2]))
        return reasons

    def _settled(self, taken: _Taken, broken: int, reasons: Sequence[tuple[int, int, int]]) -> Verdict:
        given, loaded, odd = taken.given, taken.loaded, taken.odd
        kept, passed = taken.typed - broken, frozenset(taken.left_out.values())
        if not broken and not odd:
            return Verdict(given.file.name, kept, 0, passed, loaded.is_slow)
        if odd:
            self._add_odd(taken.number, odd)
        rejected = self._place(taken, broken + len(odd))
        breaches = given.layout.breaches
        counted = [*_by_kind(loaded, odd), *((breaches[breach].kind, count, first) for breach, count, first in reasons)]
        hidden = sum(count for n, count in loaded.hidden.items() if n not in taken.left_out)
        return Verdict(given.file.name, kept, rejected, passed, loaded.is_slow, *self._told(given, counted), hidden=hidden)

    def _add_odd(self, number: int, odd: Mapping[int, str]) -> None:
        """Records that have a reason and nothing else."""
        self._has_odd = True
        self._execute(
            "INSERT INTO judged (piece, n, broken, reasons) SELECT $1, unnest($2::BIGINT[]), [], [unnest($3::VARCHAR[])]",
            [number, list(odd), list(odd.values())],
        )

    def _place(self, taken: _Taken, count: int) -> int:
        """Find where the rejected records stand; how many were found."""
        if count == taken.loaded.records:
            wanted: Sequence[int] = range(1, count + 1)
        else:
            found = self._execute("SELECT n FROM judged WHERE piece = $1 AND broken IS NOT NULL ORDER BY n", [taken.number])
            wanted = [n for (n,) in found.fetchall()]
        self._stand.add(taken.number, taken.loaded, wanted)
        return len(wanted)

    def _told(self, given: Given, counted: Sequence[tuple[str, int, int]]) -> tuple[tuple[tuple[str, int], ...], dict[str, str]]:
        """How many records have each reason, and one record of each."""
        firsts: dict[str, int] = {}
        for reason, _, n in counted:
            firsts.setdefault(reason, n)
        encoding, shown = str(given.opened.read_as.get("encoding", "utf-8")), self._stand.of_last(firsts.values())
        examples = {reason: _example(given.file.name, shown[n], encoding) for reason, n in firsts.items()}
        return tuple((reason, count) for reason, count, _ in counted), examples

    def _write_rows(self, path: Path, *, of_judged: int, of_usual: int) -> Path:
        """The rows, in the order of their records."""
        usual, judged = "FROM usual WHERE texts IS NULL", "FROM judged WHERE broken IS NULL"
        both = f"FROM (SELECT * EXCLUDE (texts) {usual} UNION ALL SELECT * EXCLUDE (broken, reasons) {judged}) AS r ORDER BY r.piece, r.n"
        columns = ", ".join(f"f{n} AS {identifier(column.name)}" for n, column in enumerate(self._contract.schema))
        self._copy(f"SELECT {columns} {usual if not of_judged else both if of_usual else judged}", path)
        return path

    def _write_rejected(self, path: Path) -> Path:
        """The quarantine. Records and their places are both in order, unless odd ones were added at the end."""
        files = self._by_piece({taken.number: literal(taken.given.file.name) for taken in self._taken})
        columns = self._by_piece({taken.number: taken.given.layout.columns_sql for taken in self._taken})
        broken = f"SELECT piece, n, {files} AS file, {columns} AS columns, reasons FROM judged WHERE broken IS NOT NULL"
        place = self._stand.fill(self._room, by_number=self._has_odd)
        joined = f"JOIN {place} ON piece = at_piece AND n = at_n ORDER BY piece, n" if self._has_odd else f"POSITIONAL JOIN {place}"
        told = ", ".join(f"CAST({column.name} AS {column.type}) AS {column.name}" for column in QUARANTINE)
        self._copy(f"SELECT {told} FROM ({broken}) {joined}", path)
        self._stand.forget(self._room)
        return path

    def _copy(self, rows: str, path: Path) -> None:
        self._execute(f"COPY ({rows}) TO {literal(str(path))} ({_PARQUET})")

    def _by_piece(self, told: Mapping[int, str]) -> str:
        """What is told of each piece, as one expression."""
        if len(set(told.values())) == 1:
            return next(iter(told.values()))
        return f"CASE piece {' '.join(f'WHEN {number} THEN {sql}' for number, sql in told.items())} END"


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
