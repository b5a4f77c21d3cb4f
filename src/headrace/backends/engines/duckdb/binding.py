"""Queries before they run: one SELECT, settings that exist, columns and tables that exist.

DuckDB parses and binds; what it finds wrong is said here in the pipeline's own words, with the line and the nearest name.
Nothing is evaluated here. The invariant: no message of DuckDB reaches a user except where there is nothing better to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from headrace.backends.engines.duckdb.text import listed, literal, quote
from headrace.core.errors import DataError, did_you_mean
from headrace.core.ports import Bound, Schema

__all__ = ["Query", "columns_of", "empty_table", "one_query", "told"]

_LINE = re.compile(r"\n+LINE (\d+): (.*)\n( *)(\^)")
_NO_COLUMN = re.compile(r'Referenced column "(?P<a>.+?)" not found|does not have a column named "(?P<b>.+?)"')
_NO_COLUMN_IN = re.compile(r'Referenced (?:column|table) "(?P<name>.+?)" not found')
_NO_TABLE = re.compile(r"Table with name (.+?) does not exist")
_NO_FUNCTION = re.compile(r"Function with name (.+?) does not exist!(?:\s*Did you mean \"(.+?)\")?")
_NO_MATCH = re.compile(r"No function matches the given name and argument types '(\w+)\((.*?)\)'")
_SYNTAX = re.compile(r'syntax error at or near "(.+?)"')


@dataclass(frozen=True)
class Query:
    """One SELECT and the values that its `$names` stand for.

    `order` is whether its rows come in an order that is the same each time: `kept`, `free`, or as its plan says. `columns` are
    names and types where they are known.
    """

    text: str
    values: Mapping[str, object]
    order: Literal["kept", "free", "as planned"] = "as planned"
    columns: tuple[tuple[str, str], ...] | None = None


def one_query(cursor: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Bound]) -> Query:
    """The text as one query. DataError when it is several statements, or one that does something, or names an unknown setting."""
    try:
        statements = cursor.extract_statements(sql)
    except duckdb.Error as error:
        raise told(error, {}, lines_before=0) from None
    if len(statements) != 1:
        found = "no statement" if not statements else f"{len(statements)} statements"
        raise DataError(f"A table's SQL is one query, but this is {found}: {_short(sql)}. Use `with … as (…)` for steps in between.")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise DataError(f"A table's SQL is a query (SELECT), but this is {statements[0].type.name}: {_short(sql)}.")
    named = statements[0].named_parameters
    if any(name.isdigit() for name in named):
        raise DataError("Values are bound by name: write `$name` in place of `?` or `$1`. " + _known_values(values))
    for name in sorted(named - values.keys()):
        hint = did_you_mean(name, values)
        raise DataError(f"The SQL names `${name}`, but the step has no such setting. {hint} A setting is a parameter with a default.")
    return Query(sql.rstrip().rstrip(";").rstrip(), {name: values[name] for name in sorted(named)})


def columns_of(cursor: duckdb.DuckDBPyConnection, query: Query) -> tuple[tuple[str, str], ...]:
    """Names and types of a query's columns, as DuckDB gives them; nothing runs."""
    if query.columns is not None:
        return query.columns
    try:
        relation = cursor.sql(query.text, params=dict(query.values) or None)
    except duckdb.Error:
        cursor.execute(f"describe\n{query.text}", dict(query.values))  # says the place too
        raise
    return tuple(zip(relation.columns, map(str, relation.types), strict=True))


def empty_table(schema: Schema) -> str:
    """A SELECT of no rows with these columns."""
    columns = ", ".join(f"null::{column.type} as {quote(column.name)}" for column in schema)
    return f"select {columns} where false"


def told(error: duckdb.Error, tables: Mapping[str, Schema], *, lines_before: int = 1, is_own_sql: bool = True) -> DataError:
    """What DuckDB found, in our words; `tables` are those that the query may name, `lines_before` what stood before its text.

    A query that is not the user's own text is not shown.
    """
    text = str(error)
    if not is_own_sql:
        return DataError(f"The result cannot be evaluated: {_said(text)}")
    return DataError(_what(text, tables) + _place(text, lines_before))


def _what(text: str, tables: Mapping[str, Schema]) -> str:
    if found := _NO_COLUMN.search(text):
        name = found["a"] or found["b"]
        columns: Sequence[str] = [column.name for schema in tables.values() for column in schema]
        return f"The SQL names the column `{name}`, which is not there. {did_you_mean(name, columns)}".rstrip()
    if found := _NO_COLUMN_IN.search(text):
        return f"The SQL names `{found['name']}`, which is not there. {did_you_mean(found['name'], tables)}".rstrip()
    if found := _NO_TABLE.search(text):
        hint = did_you_mean(found[1], tables)
        return f"The SQL reads the table `{found[1]}`, but the step has no such parameter. {hint}".rstrip()
    if found := _NO_FUNCTION.search(text):
        hint = f" Did you mean `{found[2]}`?" if found[2] else ""
        return f"The SQL calls `{found[1]}`, which is no function of DuckDB.{hint}"
    if found := _NO_MATCH.search(text):
        return f"The SQL calls `{found[1]}` on ({found[2]}), which it does not take. Cast the value first, such as `x::BIGINT`."
    if found := _SYNTAX.search(text):
        return f"The SQL cannot be parsed: something is wrong at or before `{found[1]}`."
    if "file system operations are disabled" in text.lower():
        return "The SQL reads a file by itself. Make it a source of the pipeline, so that a change of the file is noticed."
    return f"The SQL cannot be evaluated: {_said(text)}"


def _said(text: str) -> str:
    """DuckDB's own words, without the kind of error before and the place behind them."""
    head = text.split("\n\nLINE", maxsplit=1)[0].partition(":")
    return " ".join((head[2] or head[0]).split())


def _place(text: str, lines_before: int) -> str:
    found = _LINE.search(text)
    line = int(found[1]) - lines_before if found else 0
    if not found or line < 1:
        return ""
    caret = len(found[3]) - len(f"LINE {found[1]}: ")
    return f"\n  line {line}: {found[2]}\n" + " " * (caret + len(f"  line {line}: ")) + "^"


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return literal(line if len(line) <= 80 else line[:79] + "…")


def _known_values(values: Mapping[str, Bound]) -> str:
    return f"Known: {listed([f'${name}' for name in sorted(values)])}." if values else ""
