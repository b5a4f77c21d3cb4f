"""The columns of a source that has no contract: those that its files show, those that are recorded, and how the two differ.

Pure. What is recorded says how later files are read; where they do not fit, the difference is told as a table. The invariant: columns fit only
if reading them by what is recorded keeps every value as it is, but for the digits of whole numbers that a float can't hold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from headrace.core.column_types import field_of
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import ColumnsChangedError, SourceError
from headrace.core.ports import JSON, Schema

__all__ = [
    "Change",
    "ColumnsDifferError",
    "Difference",
    "Found",
    "accepted",
    "columns_to_read",
    "difference",
    "joined",
    "recorded",
    "shown",
    "uneven",
]

_MOST = 5
_WHOLE_DIGITS = 19  # of a whole number of 64 bits
_NEAR = 0.75
_WERE_TEXTS = ("time", "list", "model")  # before contracts had types for what files without one hold


@dataclass(frozen=True)
class Found:
    """A column that files have: as a field, or None where no contract has a type for it. Without values any type would fit."""

    name: str
    field: ContractField | None
    has_values: bool = True


_NONE = Found("", None)


@dataclass(frozen=True)
class Change:
    """One column that is not as it is recorded. A renamed one is missing and added at once, and `because` says what speaks for it; of a
    changed one, where it is seen.
    """

    kind: Literal["added", "missing", "renamed", "changed"]
    before: ContractField | None
    now: Found | None
    because: str = ""


@dataclass(frozen=True)
class Difference:
    """How the columns that were found differ from those that are recorded."""

    recorded: Contract
    found: tuple[Found, ...]
    changes: tuple[Change, ...]

    def words(self) -> str:
        """All of it in a few words."""
        kinds: dict[str, list[str]] = {}
        for change in self.changes:
            kinds.setdefault(change.kind, []).append((change.before or change.now or _NONE).name)
        return "; ".join(f"{kind}: {', '.join(names[:_MOST])}{' …' if len(names) > _MOST else ''}" for kind, names in kinds.items())

    def table(self) -> str:
        """A line for each column that differs."""
        rows = [("column", "recorded", "found", ""), *map(_row, self.changes)]
        widths = [max(len(row[n]) for row in rows) for n in range(3)]
        return "\n".join(
            "  " + "  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3])).rstrip() for row in rows
        )


class ColumnsDifferError(ColumnsChangedError):
    """What reading finds, before anybody can say what to type."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(f"its columns are not those that are recorded ({difference.words()}):\n{difference.table()}")
        self.difference = difference


def recorded(schema: Schema) -> Contract:
    """The contract that columns were read by which a commit tells of."""
    return Contract("recorded", tuple(_field(column.name, column.type) for column in schema))


def columns_to_read(found: Sequence[Found], record: Contract | None, options: Mapping[str, JSON] | None) -> Contract:
    """The contract to read files by: what is recorded, where they fit; without a record what they show by themselves.

    `options` are those of files of texts, None for files whose values have types. Raises ColumnsDifferError.
    """
    if record is None:
        return Contract("inferred", tuple(column.field for column in found if column.field))
    told = difference(record, found, options)
    if told is not None:
        raise ColumnsDifferError(told)
    return record


def difference(record: Contract, found: Sequence[Found], options: Mapping[str, JSON] | None) -> Difference | None:
    """None where the columns fit, in whatever order they stand."""
    names, before = {column.name: column for column in found}, {field.name: field for field in record.fields}
    changed = [
        Change("changed", field, names[field.name])
        for field in record.fields
        if field.name in names and not _fits(field, names[field.name], options)
    ]
    missing = [field for field in record.fields if field.name not in names]
    added = [column for column in found if column.name not in before and column.field is not None]
    renamed = list(_renamed(missing, added, record, found, options))
    gone, new = {change.before.name for change in renamed if change.before}, {change.now.name for change in renamed if change.now}
    changes = (
        *changed,
        *renamed,
        *(Change("missing", field, None) for field in missing if field.name not in gone),
        *(Change("added", None, column) for column in added if column.name not in new),
    )
    return Difference(record, tuple(found), changes) if changes else None


def accepted(told: Difference) -> Contract:
    """The columns that a person accepts: those that were found, each of the type that is recorded where it fits."""
    changed = {change.now.name for change in told.changes if change.now}
    before = {field.name: field for field in told.recorded.fields}
    kept = ((column, before.get(column.name)) for column in told.found)
    fields = [column.field if column.name in changed or known is None else known for column, known in kept]
    return Contract("recorded", tuple(field for field in fields if field))


def joined(files: Mapping[str, Sequence[Found]], options: Mapping[str, JSON] | None) -> tuple[Found, ...]:
    """The columns of files that are read as one: of each column the type that all of theirs fit. SourceError for files that differ."""
    wanted = {column.name for columns in files.values() for column in columns if column.field}
    names = {file: [column.name for column in columns if column.name in wanted] for file, columns in files.items()}
    if any(set(found) != wanted for found in names.values()):
        raise SourceError(uneven(names))
    found: dict[str, Found] = {}
    for column in (column for columns in files.values() for column in columns):
        wider = _wider(found.get(column.name, column), column, options)
        if wider is None:
            raise SourceError(_of_different_types(column.name, files))
        found[column.name] = wider
    return tuple(found.values())


def uneven(files: Mapping[str, Sequence[str]], record: Contract | None = None) -> str:
    """What is said of files of one interval that have different columns: which of them lacks what, and what it has besides.

    >>> print(uneven({"a.csv": ["id", "price"], "b.csv": ["id", "price"], "c.csv": ["id", "cost"]}).partition(". Give")[0])
    The files have different columns (cost, price): `c.csv` lacks `price`, and has `cost` besides
    """
    sets = Counter(frozenset(names) for names in files.values())
    most = sets.most_common(1)[0][0]
    usual = frozenset(field.name for field in record.fields) if record else most
    odd = sorted({name for names in sets for name in names ^ most})
    told = [_odd(file, names, usual) for file, names in files.items() if frozenset(names) != usual]
    more = f"; and {len(told) - _MOST} more files" if len(told) > _MOST else ""
    return (
        f"The files have different columns ({', '.join(odd)}): {'; '.join(told[:_MOST])}{more}. "
        "Give the source a contract, in which a column that may be absent has a default."
    )


def shown(field: ContractField | None) -> str:
    """A column's type as a contract says it."""
    if field is None:
        return "no type of a contract"
    if field.item:
        return f"list[{shown(field.item)}]"
    if field.inner:
        return f"{{{', '.join(f'{one.name}: {shown(one)}' for one in field.inner)}}}"
    return f"Decimal({field.precision},{field.scale})" if field.type == "Decimal" else field.type


# ---------------------------------------------------------------- whether a column fits


def _fits(before: ContractField, column: Found, options: Mapping[str, JSON] | None) -> bool:
    if not column.has_values:
        return True
    if column.field is None:
        return False
    return _takes(before, column.field, options)


def _takes(before: ContractField, now: ContractField, options: Mapping[str, JSON] | None) -> bool:
    if before.item and now.item:
        return _takes(before.item, now.item, options)
    if before.inner and now.inner:
        parts = {one.name: one for one in now.inner}
        return parts.keys() == {one.name for one in before.inner} and all(_takes(one, parts[one.name], options) for one in before.inner)
    if before.type == "str":
        return now.type == "str" or now.type in _WERE_TEXTS or options is not None
    if before.type == "Decimal":
        return _digits(now) <= before.precision - before.scale and (
            now.type == "int" or (now.type == "Decimal" and now.scale <= before.scale)
        )
    if (before.type, now.type) == ("datetime", "date"):
        return not any((options or {}).get(name) for name in ("date_format", "datetime_format"))
    return before.type == now.type or (before.type, now.type) == ("float", "int")


def _digits(field: ContractField) -> int:
    return _WHOLE_DIGITS if field.type == "int" else field.precision - field.scale


def _wider(one: Found, other: Found, options: Mapping[str, JSON] | None) -> Found | None:
    """Of two columns the one that the other fits. Where no contract has a type for either, nothing is read of them."""
    if one.field is None and other.field is None:
        return one if one.has_values else other
    for wide, narrow in ((one, other), (other, one)):
        if wide.field is not None and _fits(wide.field, narrow, options):
            return wide
    return None


# ---------------------------------------------------------------- columns that seem to have another name now


def _renamed(
    missing: Sequence[ContractField], added: Sequence[Found], record: Contract, found: Sequence[Found], options: Mapping[str, JSON] | None
) -> Iterator[Change]:
    """Pairs of a missing and an added column: of near names first, then of one place and type."""
    places = {field.name: n for n, field in enumerate(record.fields)}
    now = {column.name: n for n, column in enumerate(found)}
    ranked: list[tuple[float, str, str, Change]] = []
    for field in missing:
        for column in added:
            is_there = places[field.name] == now[column.name] and _fits(field, column, options) and shown(field) == shown(column.field)
            near = _nearness(field.name, column.name)
            reasons = [*(["near names"] if near >= _NEAR else []), *(["the same place and type"] if is_there else [])]
            if reasons:
                change = Change("renamed", field, column, ", ".join(reasons))
                ranked.append((-near - is_there, field.name, column.name, change))
    taken: set[str] = set()
    gone: set[str] = set()
    for _, before, name, change in sorted(ranked, key=lambda one: one[:3]):
        if before not in gone and name not in taken:
            gone.add(before)
            taken.add(name)
            yield change


def _nearness(one: str, other: str) -> float:
    plain, plain_other = (re.sub(r"[\W_]+", "", name).casefold() for name in (one, other))
    return 1.0 if plain == plain_other and plain else SequenceMatcher(None, plain, plain_other).ratio()


# ---------------------------------------------------------------- in words


def _row(change: Change) -> tuple[str, str, str, str]:
    before = shown(change.before) if change.before else "-"
    now = shown(change.now.field) if change.now else "-"
    if change.kind == "renamed" and change.before and change.now:
        return f"{change.before.name} -> {change.now.name}", before, now, f"renamed, as it seems: {change.because}"
    return (change.before or change.now or _NONE).name, before, now, f"{change.kind}, {change.because}".removesuffix(", ")


def _odd(file: str, names: Sequence[str], usual: frozenset[str]) -> str:
    lacking, besides = sorted(usual.difference(names)), sorted(set(names) - usual)
    said = [
        *([f"lacks {', '.join(f'`{name}`' for name in lacking)}"] if lacking else []),
        *([f"has {', '.join(f'`{name}`' for name in besides)} besides"] if besides else []),
    ]
    return f"`{file}` {', and '.join(said)}"


def _of_different_types(name: str, files: Mapping[str, Sequence[Found]]) -> str:
    by_type: dict[str, str] = {}
    for file, columns in files.items():
        for column in columns:
            if column.name == name and column.has_values:
                by_type.setdefault(shown(column.field), file)
    told = " and ".join(f"{type_} in `{file}`" for type_, file in by_type.items())
    return f"The files have different columns ({name}), or columns of different types: `{name}` is {told}. Give the source a contract."


def _field(name: str, sql_type: str) -> ContractField:
    return field_of(name, sql_type) or ContractField(name, name, "str", nullable=True)
