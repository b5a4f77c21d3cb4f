"""Records that hold a key which is known by digests only: each value of its columns is hashed once a piece, by whatever opens the file.

Nothing here is kept or counted as read. The invariant: a record that could be split is looked at in the key's columns and nowhere else; of
one that could not, its whole text is searched for the value as a word.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from headrace.backends.texts.opened import Loaded, Opened, settled
from headrace.backends.texts.places import numbers_at
from headrace.backends.texts.room import Room, opened_room
from headrace.core.casts import cast_sql
from headrace.core.contract import Contract, ContractField, Stage
from headrace.core.forgetting import Forgotten, ForgottenKey, KeyColumn
from headrace.core.ports import JSON
from headrace.core.records import Piece, Record
from headrace.core.validation import verdict_of

__all__ = ["ValueSql", "holding", "names_in"]

ValueSql = Callable[[str, int, ContractField | None], tuple[str, str]]
"""SQL of what a column holds, by its name in `piece`, its place in the file and its field in the contract: as a text, and as a number's text."""

_NUMBERS = ("int", "float", "Decimal")
_NONE = "CAST(NULL AS VARCHAR)"


class _Place(NamedTuple):
    """A column of the file that goes by a name of a key's: what it is in `piece`, as a text and as a number, in SQL, and its field."""

    text: str
    number: str
    field: ContractField | None


_Value = tuple[str, str | None, str]
"""What a column holds: as a text, as a number's text, and as what validators make of it."""


class _Column(NamedTuple):
    """A column of a key, and where it is in the file."""

    of: KeyColumn
    places: tuple[_Place, ...]


def names_in(forgotten: Forgotten) -> tuple[str, ...]:
    """All the names of columns that keys have."""
    return tuple(dict.fromkeys(name for key in forgotten.keys for column in key for name in column.names))


def holding(
    opened: Opened,
    forgotten: Forgotten,
    *,
    contract: Contract | None,
    options: Mapping[str, JSON],
    also: Collection[int] = (),
    value_sql: ValueSql | None = None,
) -> Iterator[Record]:
    """See `ErasableFormat.holding`."""
    wanted = [n for n, name in enumerate(opened.names) if name in names_in(forgotten)]
    sql = value_sql or (lambda text, _, field: _texts_sql(text, field, options))
    keys = [found for key in forgotten.keys if (found := _placed(key, opened.names, wanted, contract, sql))]
    if not keys and not also:
        return
    with TemporaryDirectory(prefix="headrace-holding-") as folder, opened_room(Path(folder)) as room:
        for piece in opened.pieces():
            loaded = settled(room, piece.load(room, wanted))
            encoding = str(opened.read_as.get("encoding", "utf-8"))
            values = {place.text: _values(room, place, columns, forgotten) for place, columns in _by_place(keys)}
            numbers = {n for key in keys for n in _holders(room, loaded, key, values, forgotten, encoding)}
            numbers.update(numbers_at(loaded, also) if also else ())
            places = _places(loaded, numbers)
            yield from (places[n] for n in sorted(places))


def _placed(
    key: ForgottenKey, names: Sequence[str], wanted: Sequence[int], contract: Contract | None, sql: ValueSql
) -> list[_Column] | None:
    """Where the columns of a key are in a file; None where it lacks one of them, so that none of its records has the key."""
    fields = {field.alias: field for field in contract.fields} if contract else {}
    found = []
    for column in key:
        own = [(k, position) for k, position in enumerate(wanted) if names[position] in column.names]
        if not own:
            return None
        places = (_Place(*sql(f"t{k}", position, field), field) for k, position in own for field in [fields.get(names[position])])
        found.append(_Column(column, tuple(places)))
    return found


def _by_place(keys: Sequence[Sequence[_Column]]) -> Collection[tuple[_Place, list[KeyColumn]]]:
    """Each column of the file that is looked at, and the columns of keys that go by its name."""
    found: dict[str, tuple[_Place, list[KeyColumn]]] = {}
    for column in (column for key in keys for column in key):
        for place in column.places:
            found.setdefault(place.text, (place, []))[1].append(column.of)
    return found.values()


def _values(room: Room, place: _Place, columns: Sequence[KeyColumn], forgotten: Forgotten) -> Sequence[_Value]:
    """What a column holds that may be of a key, once for all keys."""
    text, number, field = place
    is_seen = field is not None and bool(field.validators) and field.type == "str"
    maybe = "true" if is_seen else forgotten.may_be_sql(columns, text, number)
    found = room.connection.execute(f"SELECT DISTINCT {text}, {number} FROM piece WHERE {text} IS NOT NULL AND ({maybe})").fetchall()
    return [(said, numeral, _validated(field, said) if is_seen and field else said) for said, numeral in found]


def _holders(
    room: Room,
    loaded: Loaded,
    key: Sequence[_Column],
    values: Mapping[str, Sequence[_Value]],
    forgotten: Forgotten,
    encoding: str,
) -> Collection[int]:
    """The numbers of the records of a piece that hold a key."""
    split = set.intersection(*(_of_column(room, column, values, forgotten) for column in key))
    texts = {n: record.raw.decode(encoding, "replace") for n, record in _places(loaded, loaded.odd.keys()).items()}
    return split | {n for n, text in texts.items() if all(forgotten.is_in(column.of, text) for column in key)}


def _places(loaded: Loaded, numbers: Collection[int]) -> Mapping[int, Record]:
    if not numbers:
        return {}
    return loaded.places.places(numbers) if isinstance(loaded.places, Piece) else loaded.places(numbers)


def _of_column(room: Room, column: _Column, values: Mapping[str, Sequence[_Value]], forgotten: Forgotten) -> set[int]:
    found = set[int]()
    for place in column.places:
        for said, number, seen in values[place.text]:
            if forgotten.is_value(column.of, said, number) or (seen != said and forgotten.is_value(column.of, seen)):
                found |= {row[0] for row in room.connection.execute(f"SELECT n FROM piece WHERE {place.text} = $1", [said]).fetchall()}
    return found


def _validated(field: ContractField, text: str) -> str:
    """What validators make of a text, such as the same in small letters; the text itself where they refuse it."""
    stages: tuple[Stage, ...] = ("before", "after")
    for stage in stages:
        if field.has_stage(stage):
            verdict = verdict_of(field, stage, text)
            text = str(verdict.value) if verdict.refused_by is None and verdict.value is not None else text
    return text


def _texts_sql(text: str, field: ContractField | None, options: Mapping[str, JSON]) -> tuple[str, str]:
    """Texts are what stands in the file. They are numbers where the contract says so; without one, those that a number would be written as."""
    if field is None:
        return text, f"CASE WHEN regexp_full_match({text}, '[-+]?(0|[1-9][0-9]*)([.][0-9]*)?') THEN {text} END"
    return text, f"CAST({cast_sql(text, field, options)} AS VARCHAR)" if field.type in _NUMBERS else _NONE
