"""What breaks a contract once values are typed, as conditions in SQL and as the words that a person reads.

How text becomes typed is `core.casts`. The SQL is DuckDB's, built here as text and run elsewhere. The invariant: a value breaks a
contract if and only if one of its conditions is true; none of them is ever NULL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from headrace.core.casts import literal
from headrace.core.contract import ContractField, Limit, Value
from headrace.core.durations import duration_text, microseconds

__all__ = ["Breach", "breaches_of", "identifier", "literal_of"]

_LIMITS = (("ge", "<", "is below"), ("gt", "<=", "is not above"), ("le", ">", "is above"), ("lt", ">=", "is not below"))


@dataclass(frozen=True)
class Breach:
    """One way to break a contract: the column, the words that follow the value (`is below 0 (ge=0)`), and when it is so.

    `shown` is SQL of the value as a person reads it; None where there is no value to show. `because` is SQL of what else there is to say of it.
    Of a part of a column `path` says which, without its place in a list, and `whole` is SQL of the whole reason.
    """

    column: str
    words: str
    condition: str
    shown: str | None = None
    because: str | None = None
    path: str = ""
    whole: str | None = None

    @property
    def kind(self) -> str:
        """The reason without the value: what reasons are counted by."""
        return f"{self.path or self.column}: {self.words}"

    @property
    def sql(self) -> str:
        """SQL of the whole reason."""
        if self.whole is not None:
            return self.whole
        if self.shown is None:
            return literal(self.kind)
        because = f" || ': ' || {self.because}" if self.because else ""
        return f"concat({literal(self.column + ': ')}, {self.shown}, {literal(' ' + self.words)}){because}"


def identifier(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal_of(value: Value, sql_type: str) -> str:
    """A value as SQL of a type."""
    if value is None or value == ():
        return f"CAST({'NULL' if value is None else '[]'} AS {sql_type})"
    if isinstance(value, timedelta):
        value = microseconds(value)
    text = value.isoformat() if isinstance(value, date | time) else str(value)
    return f"CAST({literal(text)} AS {sql_type})"


def breaches_of(field: ContractField, value: str, shown: str) -> Iterator[Breach]:
    """The bounds of one column that a value which is there can break; `value` is SQL of the typed value."""
    for key, sign, words in _LIMITS:
        limit: Limit | None = getattr(field, key)
        if limit is not None:
            # a bound keeps its own type: cast to the column's it could lose decimals
            own = "DOUBLE" if isinstance(limit, float) else "DECIMAL(38,9)" if isinstance(limit, Decimal) else field.sql_type
            told = _told(limit)
            yield Breach(field.name, f"{words} {told} ({key}={told})", f"coalesce({value} {sign} {literal_of(limit, own)}, false)", shown)
    if field.multiple_of is not None:
        words = f"is not a multiple of {field.multiple_of} (multiple_of={field.multiple_of})"
        yield Breach(field.name, words, f"coalesce({_leaves_a_rest(field, value)}, false)", shown)
    if field.is_finite:
        yield Breach(field.name, "is not finite", f"coalesce(isinf({value}), false)", shown)
    if field.min_length is not None:
        words = f"is shorter than {field.min_length} (min_length={field.min_length})"
        yield Breach(field.name, words, f"coalesce(length({value}) < {field.min_length}, false)", shown)
    if field.max_length is not None:
        words = f"is longer than {field.max_length} (max_length={field.max_length})"
        yield Breach(field.name, words, f"coalesce(length({value}) > {field.max_length}, false)", shown)
    if field.pattern is not None:
        condition = f"coalesce(NOT regexp_matches({value}, {literal(field.pattern)}), false)"
        yield Breach(field.name, f"does not match {field.pattern} (pattern)", condition, shown)
    if field.choices is not None:
        allowed = ", ".join(literal_of(choice, field.sql_type) for choice in field.choices)
        words = f"is none of {', '.join(map(str, field.choices[:12]))}{', …' if len(field.choices) > 12 else ''}"
        yield Breach(field.name, words, f"coalesce({value} NOT IN ({allowed}), false)", shown)


def _told(limit: Limit) -> object:
    """A bound as a person reads it."""
    if isinstance(limit, timedelta):
        return duration_text(limit)
    return limit.isoformat() if isinstance(limit, date | datetime | time) else limit


def _leaves_a_rest(field: ContractField, value: str) -> str:
    """Exactly where both numbers are; of floats to a billionth of the value, as pydantic has it."""
    step = field.multiple_of
    if field.type == "float" or isinstance(step, float):
        of = literal_of(step, "DOUBLE")
        rest = f"abs(CAST({value} AS DOUBLE) % {of})"
        least = f"abs(CAST({value} AS DOUBLE)) / 1e9"
        return f"{rest} > {least} AND abs({rest} - {of}) > {least}"
    return f"{value} % {literal_of(step, 'DECIMAL(38,9)' if isinstance(step, Decimal) else 'BIGINT')} <> 0"
