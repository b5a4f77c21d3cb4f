"""The types of a file that has no contract, from all of its texts.

A type is taken only if every text of the column has it in its plainest form (no leading zeros, no yes or no for a truth value), so that
what is inferred never sends a record to the quarantine and an article number stays what it is. The invariant: reading with the inferred
contract keeps every record that has as many fields as the header.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Container, Iterator, Mapping, Sequence

import duckdb

from headrace.core.casts import cast_sql
from headrace.core.columns import Found, uneven
from headrace.core.contract import ContractField, ValueType
from headrace.core.errors import SourceError
from headrace.core.numbers import plain_number_sql
from headrace.core.ports import JSON

__all__ = ["infer", "plain_form"]

_DAY = r"(000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d\d\d)-\d\d-\d\d"
_FORMS: Mapping[ValueType, str] = {
    "int": r"regexp_full_match({t}, '-?(0|[1-9]\d{0,18})') AND TRY_CAST({t} AS BIGINT) IS NOT NULL",
    "float": r"regexp_full_match({t}, '-?(0|[1-9]\d{0,18})?(\.\d*)?([eE][+-]?\d+)?|NaN|nan|-?inf') AND TRY_CAST({t} AS DOUBLE) IS NOT NULL",
    "bool": "{t} IN ('true', 'false', 'True', 'False', 'TRUE', 'FALSE')",
    "date": f"regexp_full_match({{t}}, '{_DAY}') AND TRY_CAST({{t}} AS DATE) IS NOT NULL",
    "datetime": f"regexp_full_match({{t}}, '{_DAY}[T ]([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d(\\.\\d{{1,6}})?)?Z?') AND TRY_CAST(left({{t}}, 10) AS DATE) IS NOT NULL",
}

_OF_TEXTS: tuple[ValueType, ...] = ("date", "datetime")
_AT_ONCE = 32  # columns
_MOST_COLUMNS = 5000


def infer(
    connection: duckdb.DuckDBPyConnection,
    pieces: Iterator[tuple[str, ...]],
    quoted: Container[str],
    options: Mapping[str, JSON],
    *,
    headers: Callable[[], Mapping[str, Sequence[str]]],
) -> tuple[Found, ...]:
    """The columns, all optional. For each item of `pieces` the table `piece` holds texts of the columns that the item names.

    When all have been seen, `quoted` names the columns that hold no numbers and truth values, however they look. Raises SourceError when files
    have different columns: `headers` tells those of each then.
    """
    by = _forms_by(options)
    names: tuple[str, ...] | None = None
    fitting: list[list[ValueType]] = []
    has_text: list[bool] = []
    for found in pieces:
        if names is None:
            _check_width(found)
            names, fitting, has_text = found, [list(_FORMS) for _ in found], [False] * len(found)
        if set(found) != set(names):
            raise SourceError(uneven(headers()))
        if not names:
            continue
        place = {name: at for at, name in enumerate(found)}
        places = [place[name] for name in names]
        for n, (count, misfits) in enumerate(_look(connection, places, fitting, by)):
            fitting[n] = [form for form, bad in zip(fitting[n], misfits, strict=True) if not bad]
            has_text[n] = has_text[n] or count > 0
    if not names:
        raise SourceError("Without a contract the columns are those of the files, and these have none. Give the source a contract.")
    folded = [name.casefold() for name in names]
    counted = Tally(folded)
    twins = [name for name in names if counted[name.casefold()] > 1]
    if twins:
        raise SourceError(
            f"The columns {', '.join(twins)} differ only in case, and SQL does not tell them apart. Give the source a contract, or names=[…] and skip=1."
        )
    columns: list[tuple[str, ValueType, bool]] = [
        (name, next((form for form in forms if seen and (name not in quoted or form in _OF_TEXTS)), "str"), seen)
        for name, forms, seen in zip(names, fitting, has_text, strict=True)
    ]
    return tuple(Found(name, ContractField(name, name, type_, nullable=True), has_values=seen) for name, type_, seen in columns)


def _check_width(names: Sequence[str]) -> None:
    if len(names) > _MOST_COLUMNS:
        raise SourceError(
            f"The files have {len(names)} columns, and without a contract {_MOST_COLUMNS} is the most that is read. "
            "Give the source a contract of those that are wanted: the others are then passed over."
        )


def plain_form(type_: str, text: str, options: Mapping[str, JSON]) -> str:
    """SQL of whether a text has the plainest form of a type, or of one that fits it."""
    by: dict[str, str] = {}
    by.update(_forms_by(options).items())
    fitting = ("date", "datetime") if type_ == "datetime" else (type_,)
    return " OR ".join(f"({by[one].replace('{t}', text)})" for one in fitting if one in by) or "true"


def _forms_by(options: Mapping[str, JSON]) -> Mapping[ValueType, str]:
    """The plainest forms; of dates and times the one that the source was told."""
    told: dict[ValueType, str] = {}
    for type_ in _OF_TEXTS:
        if options.get(f"{type_}_format"):
            told[type_] = f"{cast_sql('{t}', ContractField('t', 't', type_), options)} IS NOT NULL"
    numbers: Mapping[ValueType, str] = {type_: _FORMS[type_].replace("{t}", plain_number_sql("{t}", options)) for type_ in ("int", "float")}
    return {**_FORMS, **numbers, **told}


def _look(
    connection: duckdb.DuckDBPyConnection, places: list[int], fitting: list[list[ValueType]], by: Mapping[ValueType, str]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Of each column how many texts it has, and how many of them lack each form that it may still have.

    A query holds the state of all its figures at once, so it asks about a few columns.
    """
    for begin in range(0, len(places), _AT_ONCE):
        yield from _look_at(connection, places[begin : begin + _AT_ONCE], fitting[begin : begin + _AT_ONCE], by)


def _look_at(
    connection: duckdb.DuckDBPyConnection, places: list[int], fitting: list[list[ValueType]], by: Mapping[ValueType, str]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    figures = [f"count(t{at})" for at in places]
    for at, forms in zip(places, fitting, strict=True):
        figures += [f"count(*) FILTER (t{at} IS NOT NULL AND NOT ({by[form].replace('{t}', f't{at}')}))" for form in forms]
    found: tuple[int, ...] = connection.execute(f"SELECT {', '.join(figures)} FROM piece").fetchall()[0]
    begin = len(places)
    for count, forms in zip(found, fitting, strict=False):
        yield count, found[begin : begin + len(forms)]
        begin += len(forms)
