"""A contract's validators over a piece: each distinct value of a column is given to them once, and what they say is put beside its rows.

The table at hand has for the field number n, besides its text `t` and its value `v`, the columns `b` (a value that came before the cast), `w`
(the number of the validator that refused it) and `e` (what that said), each with the number. The invariant: no value passes that was refused.
"""

from __future__ import annotations

from itertools import islice

import duckdb

from headrace.backends.texts.layout import Layout
from headrace.backends.texts.shaping import put_shapes
from headrace.core.contract import ContractField, Stage
from headrace.core.validation import Verdict, stored_text, verdict_of

__all__ = ["Validating"]

_MOST_KNOWN = 100_000
_LONGEST_KNOWN = 100
_BATCH = 10_000


class Validating:
    """Runs the validators of one task. What they said of short values is kept for the pieces to come, up to a number of them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._execute = connection.execute
        self._known: dict[tuple[str, Stage, object], Verdict] = {}

    def before(self, layout: Layout) -> str:
        """The table to cast from: a copy of `piece` in which validators have seen the texts, and JSON has a shape."""
        self._execute(f"CREATE OR REPLACE TEMP TABLE prepared AS SELECT {layout.prepared_sql} FROM piece")
        for n in layout.validated:
            field = layout.contract.fields[n]
            if field.has_stage("before"):
                is_given = f"t{n} IS NOT NULL{'' if field.type == 'str' else f' AND t{n} <> {chr(39) * 2}'}"
                self._see("prepared", n, field, "before", f"t{n}", is_given)
        for n in layout.shaped:
            put_shapes(self._execute, "prepared", n, layout.contract.fields[n])
        return "prepared"

    def after(self, layout: Layout) -> None:
        """Show the values in `typed` that kept the bounds, and put what is returned in their place."""
        for n in layout.validated:
            field = layout.contract.fields[n]
            if field.has_stage("after"):
                is_bad = " OR ".join(f"({b.condition})" for b in layout.breaches if b.column == field.name) if not field.bounds_last else ""
                self._see("typed", n, field, "after", f"v{n}", f"v{n} IS NOT NULL AND w{n} IS NULL AND NOT ({is_bad or 'false'})")

    def _see(self, table: str, n: int, field: ContractField, stage: Stage, value: str, is_given: str) -> None:
        is_number = "NOT isnan(v)" if field.type == "float" and stage == "after" else "true"
        self._execute(
            f"CREATE OR REPLACE TEMP TABLE seen AS SELECT row_number() OVER (ORDER BY v) AS k, v "
            f"FROM (SELECT DISTINCT {value} AS v FROM {table} WHERE {is_given}) WHERE {is_number}"
        )
        self._execute("CREATE OR REPLACE TEMP TABLE verdict (k BIGINT, w INTEGER, e VARCHAR, r VARCHAR, is_text BOOLEAN)")
        shown = "epoch_us(v)" if field.type == "datetime" and stage == "after" else "v"
        found = iter(self._execute(f"SELECT k, {shown} FROM seen ORDER BY k").fetchall())
        while batch := list(islice(found, _BATCH)):
            verdicts = [self._verdict(field, stage, given) for _, given in batch]
            self._execute(
                "INSERT INTO verdict SELECT unnest($1::BIGINT[]), unnest($2::INTEGER[]), unnest($3::VARCHAR[]), unnest($4::VARCHAR[]), unnest($5::BOOLEAN[])",
                [
                    [k for k, _ in batch],
                    [one.refused_by for one in verdicts],
                    [one.message for one in verdicts],
                    [stored_text(one.value) for one in verdicts],
                    [one.is_text for one in verdicts],
                ],
            )
        own = f"CASE WHEN NOT is_text THEN CAST(r AS {field.sql_type}) END"
        stays = f"CAST({own} AS VARCHAR)" if stage == "after" else "CASE WHEN is_text THEN r END"
        self._execute(
            f"CREATE OR REPLACE TEMP TABLE changed AS SELECT v, w, e, r, is_text, {own} AS own FROM seen JOIN verdict USING (k) "
            f"WHERE w IS NOT NULL OR {stays} IS DISTINCT FROM CAST(v AS VARCHAR)"
        )
        if not self._execute("SELECT count(*) FROM changed").fetchall()[0][0]:
            return
        if stage == "after":
            put = {"v": "own", "t": f"CASE WHEN r IS NOT NULL THEN t{n} END"}
        else:
            put = {"b": "own", "t": f"CASE WHEN is_text THEN r WHEN r IS NOT NULL THEN t{n} END"}
        columns = [f"CASE WHEN o.v IS NULL OR w IS NOT NULL THEN {name}{n} ELSE {new} END AS {name}{n}" for name, new in put.items()]
        told = [f"CASE WHEN o.v IS NULL THEN {name}{n} ELSE {name} END AS {name}{n}" for name in ("w", "e")]
        self._execute(  # an UPDATE of as many rows would take ten times as long
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {table}.* REPLACE ({', '.join([*columns, *told])}) "
            f"FROM {table} LEFT JOIN changed AS o ON {table}.{value} = o.v AND {is_given} ORDER BY n"
        )

    def _verdict(self, field: ContractField, stage: Stage, value: object) -> Verdict:
        if isinstance(value, str) and len(value) > _LONGEST_KNOWN:
            return verdict_of(field, stage, value)
        found = self._known.get((field.name, stage, value))
        if found is None:
            found = verdict_of(field, stage, value)
            if len(self._known) < _MOST_KNOWN:
                self._known[field.name, stage, value] = found
        return found
