"""Keys of a source's rows: which columns tell a row from all others, which name a row of another dataset, and what is let go of where they don't.

Pure. What is found and moved to quarantine is an engine's work (`Sieve`); here is what is declared, and the words of a reason. The
invariant: a kind of reason, by which reasons are counted, holds no value.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

from headrace.core.contract import Contract
from headrace.core.errors import ConfigurationError, did_you_mean
from headrace.core.interval import Interval, format_duration, parse_duration
from headrace.core.ports import JSON
from headrace.core.records import Record

__all__ = [
    "KeptRecords",
    "Past",
    "PiecedFormat",
    "Place",
    "Reference",
    "Referenced",
    "Referred",
    "Rules",
    "Sieve",
    "Sifted",
    "Stretch",
    "Unique",
    "are_comparable",
    "keys_of",
    "references",
    "unique",
    "unknown_columns",
]

Keep = Literal["first", "last", "none"]

Place = tuple[str, int, int]
"""A record as the quarantine names it: its file, line and byte offset."""

KeptRecords = Callable[[Iterator[Place], Iterator[int]], Iterator[tuple[int, str, Record]]]
"""The records that became some rows, whose numbers from 0 are given in order, each with its number and its file; given also the places of
those that became none, in order."""


class Stretch(Protocol):
    """Records next to each other of one file, the first of them at `line` and `offset`, as `Record` has them."""

    @property
    def records(self) -> int:
        """How many there are."""
        ...

    @property
    def line(self) -> int: ...

    @property
    def offset(self) -> int: ...

    def places(self, wanted: Container[int]) -> Mapping[int, Record]:
        """The records that are wanted, by their numbers from 1, in order."""
        ...


@runtime_checkable
class PiecedFormat(Protocol):
    """A format whose files can be passed through without looking at each record: in pieces of which the records are counted."""

    def pieces(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Stretch]:
        """All records of a file, in the order in which `read` takes them, and of their lines. One without a record may say where they end."""
        ...


@dataclass(frozen=True)
class Unique:
    """Columns whose values, taken together, no two rows of an interval share. A row with a NULL in one of them shares it with none.

    With `is_over_history` no row shares them with one of an earlier interval either: of all, or of those that start within `reach` of its end.
    """

    columns: tuple[str, ...]
    keep: Keep = "first"
    is_over_history: bool = False
    reach: timedelta | None = None

    @property
    def called(self) -> str:
        return ", ".join(self.columns)

    def kind(self, *, differs: bool) -> str:
        """What records that share a key are counted by."""
        other = "a record with the same key that differs" if differs else "an equal record"
        return (
            f"{self.called}: is not unique, and {other} was kept"
            if self.keep != "none"
            else f"{self.called}: is not unique: {other} is there"
        )

    @property
    def kind_of_past(self) -> str:
        """What records are counted by whose key an earlier interval has."""
        return f"{self.called}: is not unique: an earlier interval has it"

    def told(self) -> dict[str, JSON]:
        """What shapes rows of it, for a fingerprint."""
        over: dict[str, JSON] = {"over": format_duration(self.reach) if self.reach else "history"} if self.is_over_history else {}
        return {"columns": list(self.columns), "keep": self.keep, **over}


@dataclass(frozen=True)
class Referenced:
    """What a column refers to: `dataset` as the user named it, and the column there; None is one of the same name."""

    dataset: object
    column: str | None = None
    history: str | None = None


@dataclass(frozen=True)
class Reference:
    """A column whose values are among those of a column of another dataset. A NULL refers to nothing."""

    column: str
    dataset: str
    field: str

    def told(self) -> dict[str, JSON]:
        return {"column": self.column, "dataset": self.dataset, "field": self.field}


@dataclass(frozen=True)
class Referred:
    """A reference for one interval: `called` is the dataset's full name, and `files` have its rows."""

    reference: Reference
    called: str
    files: tuple[Path, ...]

    @property
    def words(self) -> str:
        return f"is not in {self.called}.{self.reference.field}"

    @property
    def kind(self) -> str:
        return f"{self.reference.column}: {self.words}"


@dataclass(frozen=True)
class Past:
    """The keys that count for one interval beside its own: those of `file`, where there is one, of intervals that start at `since` or later."""

    interval: Interval
    file: Path | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Rules:
    """What is asked of rows that kept their contract: a row that refers to nothing holds no key."""

    unique: tuple[Unique, ...] = ()
    references: tuple[Referred, ...] = ()
    past: Mapping[Unique, Past] = field(default_factory=dict[Unique, Past])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that they speak of, each once."""
        keys = [column for key in self.unique for column in key.columns]
        return tuple(dict.fromkeys([*(one.reference.column for one in self.references), *keys]))


@dataclass(frozen=True)
class Sifted:
    """What was let go of. `kept` rows are left; `reasons` counts those let go of by kind, and `firsts` has the first record of each kind."""

    kept: int
    rejected: int
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
    firsts: Mapping[str, tuple[str, Record]] = field(default_factory=dict[str, tuple[str, Record]])


@runtime_checkable
class Sieve(Protocol):
    """An engine that finds the rows which break a rule."""

    def sift(self, rows: Path, quarantine: Path, rules: Rules, *, files: Sequence[str], records: KeptRecords) -> Sifted:
        """Move rows that break a rule from a source's `rows` to its `quarantine`; both are written again where there are any.

        `files` are those of the source, in their order, which both keep. DataError for a column that is not there.
        """
        ...

    def remember(self, rows: Path, key: Unique, past: Past, target: Path) -> int:
        """Write the keys that count for the next interval, in their order: those of `rows`, and of the past what still counts. How many there are."""
        ...


def unique(*columns: str, keep: Keep = "first", over: str = "interval") -> Unique:
    """A key of a source's rows: no two rows of an interval have the same values in these columns.

    Of records that do, the first is kept, in the order of the files and of their records; the others go to quarantine, and each reason says
    where the record that was kept is, and in which columns it differs. `keep="last"` keeps the last, `keep="none"` none of them. As in SQL, a
    NULL is equal to nothing.

    With `over="history"` a key that an earlier interval has is not unique either: what is kept is what came first. `over="30d"` looks at the
    intervals of the last 30 days, and so does not remember keys for ever.

    >>> unique("invoice_no", "stock_code", keep="last").called
    'invoice_no, stock_code'
    """
    if not columns or not all(columns):
        raise ConfigurationError('unique() names the columns of a key: unique("invoice_no"), or unique("invoice_no", "stock_code").')
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"unique({', '.join(map(repr, columns))}) names `{twice}` twice.")
    if keep not in get_args(Keep):
        raise ConfigurationError(f"unique(keep={keep!r}) is not known. {did_you_mean(str(keep), get_args(Keep))}")
    if over == "interval":
        return Unique(columns, keep)
    if keep != "first":
        raise ConfigurationError(
            f"unique(keep={keep!r}, over={over!r}) would take records out of earlier intervals, which are made and have been read. Over history what "
            'came first is kept: leave keep out, or leave over out and choose among the rows of history in a table (history={"…": "30d"}).'
        )
    return Unique(columns, keep, is_over_history=True, reach=None if over == "history" else _reach(over))


def references(dataset: object, column: str | None = None, *, history: str | None = None) -> Referenced:
    """What a column of a source refers to: a dataset of the pipeline, by what declared it or by its name, and a column there.

    `source(…, references={"customer_id": hr.references(customers, "id")})` puts records into quarantine whose `customer_id` is not among the
    ids of the customers: the rows that a table of the source's interval would read of them. The column has the same name unless it is told.
    With `history="30d"` it is those of the last 30 days.
    """
    if column == "":
        raise ConfigurationError('references() names a dataset and a column of it: references(customers, "id").')
    return Referenced(dataset, column, history)


def keys_of(declared: str | Unique | Sequence[str] | Sequence[Unique] | None) -> tuple[Unique, ...]:
    """What `unique=` was given, as keys: one column, the columns of one key, or keys.

    >>> keys_of(["country", "city"]) == (unique("country", "city"),)
    True
    """
    if declared is None:
        return ()
    if isinstance(declared, Unique):
        return (declared,)
    if isinstance(declared, str):
        return (unique(declared),)
    listed = list(declared) if isinstance(declared, list | tuple) else []
    keys = tuple(one for one in listed if isinstance(one, Unique))
    columns = [one for one in listed if isinstance(one, str)]
    if len(keys) == len(listed) and keys:
        return keys
    if len(columns) == len(listed) and columns:
        return (unique(*columns),)
    raise ConfigurationError(f'unique={declared!r}: write a column, the columns of one key, or hr.unique("invoice_no", keep="last").')


def unknown_columns(columns: Sequence[str], contract: Contract) -> Iterator[str]:
    """What is wrong with the columns that a contract does not have."""
    names = {field.name: field for field in contract.fields}
    aliases = {field.alias: field.name for field in contract.fields}
    for column in columns:
        if column in names:
            continue
        known = f"That is `{aliases[column]}` from the contract on." if column in aliases else did_you_mean(column, names)
        yield f"the contract `{contract.name}` has no field `{column}`. {known}"


def are_comparable(one: str, other: str) -> bool:
    """Whether values of two columns can be equal, by their DuckDB types.

    >>> are_comparable("BIGINT", "DECIMAL(18,2)"), are_comparable("BIGINT", "VARCHAR")
    (True, False)
    """
    return _sort(one) == _sort(other)


def _reach(over: str) -> timedelta:
    try:
        return parse_duration(over)
    except ConfigurationError:
        raise ConfigurationError(f'unique(over={over!r}) is not known. Write "interval", "history", or a duration such as "30d".') from None


def _sort(kind: str) -> str:
    name = kind.partition("(")[0]
    return next((sort for sort, names in _SORTS.items() if name in names), kind)


_SORTS: Mapping[str, tuple[str, ...]] = {
    "number": (
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
        *("FLOAT", "DOUBLE", "DECIMAL"),
    ),
    "moment": ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
}
