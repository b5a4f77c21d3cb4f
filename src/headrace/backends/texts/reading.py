"""Pieces of text files to typed rows and a quarantine, in DuckDB.

A format cuts a file into pieces and loads the texts of each (`opened`); they are cast, checked and sorted into rows and quarantine a task at a
time (`judging`), by several threads at once, and what the tasks made is joined in their order (`joining`). The invariant: of each file,
records kept + quarantined are as many as were counted when it landed; and the output is the same whatever the number of threads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from headrace.backends.texts.inference import infer
from headrace.backends.texts.joining import join
from headrace.backends.texts.judging import Given, Judged, Task, Verdict, judge, write_nothing
from headrace.backends.texts.layout import Layout, lay_out
from headrace.backends.texts.misfits import placed
from headrace.backends.texts.opened import Opened, settled
from headrace.backends.texts.ordered import in_order
from headrace.backends.texts.places import numbers_at
from headrace.backends.texts.room import Room, Rooms, explained_memory, opened_rooms, widen
from headrace.core.columns import ColumnsDifferError, Found, columns_to_read
from headrace.core.contract import Contract
from headrace.core.errors import SourceError
from headrace.core.means import ALONE, Means
from headrace.core.ports import JSON, Landed, ReadResult, Schema

__all__ = ["read_texts"]

_MOST_COLUMNS_AT_ONCE = 1_000
_TASK_WEIGHT = 6 * 1024 * 1024  # a piece of a large file alone, which has two row groups and more; later two, which share what a task costs
_FIRST_TASKS, _LATER_WEIGHT = 16, 2 * _TASK_WEIGHT

AnyOpened = TypeVar("AnyOpened", bound=Opened)


@dataclass
class _Tally:
    """What reading has found so far, in the order of the records; `counted` and `left_out` by file."""

    kept: int = 0
    rejected: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict[str, str])
    slow_pieces: int = 0
    hidden: int = 0
    rows: list[Path] = field(default_factory=list[Path])
    quarantine: list[Path] = field(default_factory=list[Path])

    def add(self, judged: Judged) -> None:
        for verdict in judged.verdicts:
            self._add(verdict)
        self.rows += judged.rows
        self.quarantine += judged.rejected

    def _add(self, verdict: Verdict) -> None:
        self.kept += verdict.kept
        self.rejected += verdict.rejected
        self.counted[verdict.file] += verdict.kept + verdict.rejected
        self.left_out.setdefault(verdict.file, set()).update(verdict.left_out)
        self.slow_pieces += verdict.is_slow
        self.hidden += verdict.hidden
        for reason, count in verdict.reasons:
            self.reasons[reason] += count
        for reason, example in verdict.examples.items():
            self.examples.setdefault(reason, example)


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
    means: Means = ALONE,
) -> ReadResult:
    """As `SourceFormat.read` says. Rows and quarantine keep the order of the files and of their records.

    A format whose `piece` holds other than texts says how they are laid out with `lay`.
    """
    with opened_rooms(rows.parent, _fitting(means, contract)) as rooms, explained_memory(means, files):
        own: Schema = ()
        if contract is None:
            with rooms.one() as room:
                found = _columns(room, files, open_file, options)
                own = columns_to_read(found, None, options).schema
                try:
                    contract = columns_to_read(found, recorded, options)
                except ColumnsDifferError as error:
                    raise placed(error, room, files, open_file, options) from None
        reading = _Reading(rooms, contract, options)
        tally = reading.judged(files, open_file, lay)
        reading.write(tally, rows, quarantine)
    return ReadResult(
        rows_read=tally.kept + tally.rejected,
        rows_kept=tally.kept,
        rows_quarantined=tally.rejected,
        schema=contract.schema,
        undeclared=reading.undeclared(),
        reasons=dict(tally.reasons.most_common()),
        examples=tally.examples,
        notes=(*_hiding(tally.hidden), *_slowness(tally.slow_pieces), *_decided(reading.read_as)),
        read_as=reading.read_as,
        own=own,
        hidden=tally.hidden,
    )


class _Reading:
    """One reading of several files by a contract: those that were opened, with their layouts and what reading them told."""

    def __init__(self, rooms: Rooms, contract: Contract, options: Mapping[str, JSON]) -> None:
        self._rooms, self._contract, self._options = rooms, contract, options
        self._opened: list[tuple[Landed, Opened, Layout]] = []
        self.read_as: dict[str, Mapping[str, JSON]] = {}

    def judged(
        self, files: Sequence[Landed], open_file: Callable[[Landed], AnyOpened], lay: Callable[[AnyOpened, Contract, str], Layout] | None
    ) -> _Tally:
        tally = _Tally()
        pieces = (given for file in files for given in self._pieces(file, open_file, lay))
        for judged in in_order(self._judge, _tasks(pieces), workers=self._rooms.count):
            tally.add(judged)
        for file in files:
            _check(file, tally)
        return tally

    def _pieces(
        self, file: Landed, open_file: Callable[[Landed], AnyOpened], lay: Callable[[AnyOpened, Contract, str], Layout] | None
    ) -> Iterator[Given]:
        opened = open_file(file)
        layout = lay(opened, self._contract, file.name) if lay else lay_out(opened.names, self._contract, self._options, file=file.name)
        self._opened.append((file, opened, layout))
        for piece in opened.pieces():
            yield Given(file, opened, layout, piece)
            self.read_as[file.name] = opened.read_as

    def _judge(self, task: Task) -> Judged:
        with self._rooms.one() as room:
            return judge(task, room, self._contract, self._rooms.folder)

    def undeclared(self) -> tuple[str, ...]:
        """The columns of which the contract says nothing, when all has been read."""
        found: dict[str, None] = {}
        for file, opened, layout in self._opened:
            found.update(dict.fromkeys(layout.undeclared))
            if opened.found != opened.names:
                own = lay_out(opened.found, self._contract, self._options, file=file.name, has_header=False)
                found.update(dict.fromkeys(own.undeclared))
        return tuple(found)

    def write(self, tally: _Tally, rows: Path, quarantine: Path) -> None:
        with self._rooms.one() as room:
            write_nothing(room, self._contract, rows=None if tally.rows else rows, quarantine=None if tally.quarantine else quarantine)
        for parts, target in ((tally.rows, rows), (tally.quarantine, quarantine)):
            if parts:
                join(parts, target)


def _fitting(means: Means, contract: Contract | None) -> Means:
    """One thread alone where the contract has validators, which are Python's and may not be made for several, or very many columns.

    Of those a thread takes half a MB for each.
    """
    if contract and (len(contract.fields) > _MOST_COLUMNS_AT_ONCE or any(field.validators for field in contract.fields)):
        return replace(means, workers=1)
    return means


def _tasks(pieces: Iterator[Given]) -> Iterator[Task]:
    """Pieces until there is enough for a file of its own."""
    waiting: list[Given] = []
    number = weight = 0
    for piece in pieces:
        waiting.append(piece)
        weight += piece.piece.weight
        if weight >= (_TASK_WEIGHT if number < _FIRST_TASKS else _LATER_WEIGHT):
            yield Task(number, tuple(waiting))
            waiting, number, weight = [], number + 1, 0
    if waiting:
        yield Task(number, tuple(waiting))


def _check(file: Landed, tally: _Tally) -> None:
    """Whether a file was read as it landed, but for the records that do not count, each of which has to be there."""
    waiting = file.left_out - tally.left_out.get(file.name, set())
    if waiting:
        raise SourceError(
            f"`{file.name}` has no record that begins at byte {min(waiting)}, and one was mended there: its records are cut in another way "
            "than they were. Take back what changed in the source's options, or clear the interval, and mend what is in quarantine then."
        )
    found = tally.counted[file.name]
    if found != file.records_that_count:
        raise SourceError(
            f"`{file.name}` had {file.records} records when it landed, and {found + len(file.left_out)} when it was read from the lake. "
            "Its bytes were changed: run again."
        )


def _columns(
    room: Room, files: Sequence[Landed], open_file: Callable[[Landed], AnyOpened], options: Mapping[str, JSON]
) -> tuple[Found, ...]:
    """The columns that files without a contract show, from all of their texts."""
    quoted: set[str] = set()
    texts = (names for file in files for names in _texts(room, file, open_file(file), quoted))
    return infer(room.connection, texts, quoted, options, headers=lambda: {file.name: open_file(file).names for file in files})


def _texts(room: Room, file: Landed, opened: Opened, quoted: set[str]) -> Iterator[tuple[str, ...]]:
    """Fill `piece` with each piece of a file, all columns of it; gives the columns' names each time, and adds to `quoted`."""
    execute = room.connection.execute
    widen(room, len(opened.names))
    columns = "".join(f", CAST(NULL AS VARCHAR) AS t{n}" for n in range(len(opened.names)))
    execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT 0 AS n{columns} WHERE false")
    yield opened.names
    for piece in opened.pieces():
        loaded = settled(room, piece.load(room, range(len(opened.names))))
        left_out = numbers_at(loaded, file.left_out) if file.left_out else {}
        execute("DELETE FROM piece WHERE n IN (SELECT unnest($1::BIGINT[]))", [list(left_out)])
        yield opened.names
    quoted.update(opened.quoted)


def _hiding(lines: int) -> list[str]:
    return (
        [f"{lines} lines stand in quotes and look like records: what is in quarantine may be more records than are counted"]
        if lines
        else []
    )


def _slowness(pieces: int) -> list[str]:
    return [f"{pieces} pieces were split record by record, since DuckDB did not read every record of them"] if pieces else []


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
