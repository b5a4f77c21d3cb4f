"""The texts of a task's pieces become typed rows in two tables of DuckDB, each with the number of its piece and its own in it.

`usual` has the records of pieces that are mostly written as usual. Those that are not so are told by their texts, and are cast by all rules later, of
several pieces at once: to plan that costs as much as to cast a piece. `judged` has those, and all records of pieces that are mostly unusual; what
breaks the contract has the numbers of its breaches in `broken`, and its `reasons`. The invariant: each record of a piece is in `usual`
without texts, or in `judged`, once.
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb

from headrace.backends.texts.layout import Layout
from headrace.backends.texts.opened import Loaded
from headrace.backends.texts.room import Room, widen
from headrace.backends.texts.validating import Validating
from headrace.core.contract import Contract

__all__ = ["Casting"]

_SAMPLE, _MOSTLY = 2000, 0.12  # records that are looked at first, and the share of unusual ones from which a way for them alone is dearer
_FEW = 10_000  # records of a piece that is not worth a look
_MOST_UNUSUAL = 80_000


class Casting:
    """The tables of one task. `is_full` asks for what is in them to be taken out before more is put in."""

    def __init__(self, room: Room, contract: Contract) -> None:
        self._room, self._execute = room, room.connection.execute
        self._schema = contract.schema
        self._validating = Validating(room.connection)
        self._is_wide = widen(room, len(contract.fields))
        if self._is_wide:  # it would compare the expressions of all columns with one another, for minutes
            self._execute("PRAGMA disable_optimizer")
        self._is_mostly_usual: bool | None = None
        self.clear()

    def clear(self) -> None:
        columns = "".join(f", f{n} {column.type}" for n, column in enumerate(self._schema))
        self._execute(f"CREATE OR REPLACE TEMP TABLE judged (piece INTEGER, n BIGINT{columns}, broken UINTEGER[], reasons VARCHAR[])")
        self._execute(f"CREATE OR REPLACE TEMP TABLE usual (piece INTEGER, n BIGINT{columns}, texts VARCHAR[])")
        self._unusual, self.is_full = 0, False

    def is_usual(self, layout: Layout, loaded: Loaded) -> bool:
        """Whether most records of a piece are written as usual, told by the first of the task."""
        if not layout.usual or self._is_wide:
            return False
        if self._is_mostly_usual is None and loaded.records >= _FEW:
            first = f"(SELECT * FROM {loaded.relation} LIMIT {_SAMPLE})"
            try:
                unusual = self._count(f"SELECT count({layout.unusual_sql}) FROM (SELECT *, {layout.usual_values_sql} FROM {first})")
            except (duckdb.InvalidInputException, duckdb.ConversionException):
                return True  # it can't be read so at all, which is found out again
            self._is_mostly_usual = unusual < _MOSTLY * _SAMPLE
        return self._is_mostly_usual is not False

    def add(self, number: int, layout: Layout, loaded: Loaded, *, is_usual: bool) -> int:
        """Put the records of a piece into the tables; how many were found. What DuckDB can't read raises its errors."""
        if not is_usual:
            self.is_full = True
            return self._judge("$1", layout, self._cast(layout, loaded), [number])
        finished = "".join(f", {one.finished}" for one in layout.usual)
        values = f"(SELECT *, {layout.usual_values_sql} FROM {loaded.relation})"
        usual = f"INSERT INTO usual SELECT $1, n{finished}, {layout.unusual_sql} FROM {values}"
        found = int(self._room.execute_parsed(usual, [number]).fetchall()[0][0])
        self._unusual += self._count("SELECT count(texts) FROM usual WHERE piece = $1", [number])
        self.is_full = self._unusual > _MOST_UNUSUAL
        return found

    def leave_out(self, number: int, numbers: Collection[int] | None = None) -> int:
        """Take records of a piece out again, by default all; how many there were."""
        these = "" if numbers is None else " AND n IN (SELECT unnest($2::BIGINT[]))"
        given: list[object] = [number] if numbers is None else [number, sorted(numbers)]
        return sum(self._count(f"DELETE FROM {table} WHERE piece = $1{these}", given) for table in ("usual", "judged"))

    def judge_unusual(self, layout: Layout) -> None:
        """Cast by all rules what is not written as usual."""
        if self._unusual:
            texts = ", ".join(f"texts[{n + 1}] AS t{n}" for n in range(len(layout.usual)))
            unusual = f"(SELECT piece, n, {texts} FROM usual WHERE texts IS NOT NULL)"
            self._judge("piece", layout, f"(SELECT *, {layout.casts_sql} FROM {unusual})", [])

    def _judge(self, piece: str, layout: Layout, cast: str, parameters: list[object]) -> int:
        finished = "".join(f", {value}" for value in layout.finished_sql)
        sought = self._stage("sought", f"SELECT *, {layout.first_sql} AS first FROM {cast}")
        checked = self._stage("checked", f"SELECT *, {layout.broken_sql} AS broken FROM {sought}")
        judged = f"INSERT INTO judged SELECT {piece}, n{finished}, broken, {layout.reasons_sql} FROM {checked}"
        return int(self._room.execute_parsed(judged, parameters).fetchall()[0][0])

    def _cast(self, layout: Layout, loaded: Loaded) -> str:
        if not layout.is_prepared:
            return self._stage("typed", f"SELECT *, {layout.casts_sql} FROM {loaded.relation}")
        if loaded.relation != "piece":
            self._execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT * FROM {loaded.relation}")
        seen = self._validating.before(layout)
        self._execute(f"CREATE OR REPLACE TEMP TABLE typed AS SELECT *, {layout.casts_sql} FROM {seen}")
        self._validating.after(layout)
        return "typed"

    def _stage(self, name: str, sql: str) -> str:
        """What the next query reads from: this one in brackets; of very many columns its result as a table, since it is planned in far less time."""
        if not self._is_wide:
            return f"({sql})"
        self._execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")
        return name

    def _count(self, sql: str, parameters: list[object] | None = None) -> int:
        return int(self._execute(sql, parameters).fetchall()[0][0])
