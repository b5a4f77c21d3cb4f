"""Pieces of landed JSON Lines as tables of texts, each record read by itself.

DuckDB's own JSON is not used: numbers would pass through a float there, and of a key that stands twice one value would be lost in silence.
The invariant: each record of a piece is in the table once, or said to be odd.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from headrace.backends.sources.json.arrays import ElementLines
from headrace.backends.sources.json.landing import MAX_KEYS
from headrace.backends.sources.json.records import NoRecordError, object_in, text_of
from headrace.backends.sources.json.seen import Seen
from headrace.backends.texts.lines import CutLines
from headrace.backends.texts.opened import Loaded, Unread
from headrace.backends.texts.room import Room
from headrace.core.json_paths import at_path, path_of
from headrace.core.ports import JSON, Landed
from headrace.core.records import Piece

__all__ = ["OpenedJson"]

_MOST_UNDECLARED = 1000
Values = list[object]


class OpenedJson:
    """One file that is about to be read: see `headrace.backends.texts.opened.Opened`. `names` are aliases of a contract, or keys."""

    def __init__(self, file: Landed, options: Mapping[str, JSON], names: Sequence[str]) -> None:
        self._file, self._cut = file, CutLines(file.path, "JSON Lines", options, name=file.name, maker=partial(ElementLines, file.name))
        self._nulls = _null_words(options)
        self.names = tuple(names)
        self._keys, self._present, self._quoted = Seen(most=MAX_KEYS), Seen(most=len(self.names)), Seen(most=len(self.names))

    @property
    def found(self) -> tuple[str, ...]:
        """The columns of which some record has a value, and the keys that are none. A file without records has them all, and so has one
        that was mended: what its few records lack says nothing of the source.
        """
        keys = self._keys.in_order()
        if not keys and not self._present:
            return self.names
        declared = set(self.names) | {str(path[0]) for path in map(path_of, self.names) if path}
        present = tuple(name for name in self.names if name in self._present or name in self._keys)
        if self._file.is_mended or len(present) == len(self.names):
            present = self.names
        return present + tuple(key for key in keys if key not in declared)[:_MOST_UNDECLARED]

    @property
    def quoted(self) -> Collection[str]:
        return self._quoted.in_order()

    @property
    def read_as(self) -> Mapping[str, JSON]:
        return self._cut.read_as

    def pieces(self) -> Iterator[Unread]:
        for number, piece in enumerate(self._cut.pieces()):
            yield Unread(len(piece.data), partial(self._load, piece=piece, number=number))

    def _load(self, room: Room, positions: Sequence[int | None], *, piece: Piece, number: int) -> Loaded:
        numbers, objects, odd = self._objects(piece, number)
        chosen = [None if position is None else self.names[position] for position in positions]
        columns = [[None] * len(objects) if name is None else self._texts(name, objects, number) for name in chosen]
        said = "".join(f", unnest(${k + 2}::VARCHAR[]) AS t{k}" for k in range(len(columns)))
        room.connection.execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT unnest($1::BIGINT[]) AS n{said}", [numbers, *columns])
        return Loaded(piece.records, odd, piece, kind_of=_without_place)

    def _objects(self, piece: Piece, number: int) -> tuple[list[int], list[dict[str, Any]], dict[int, str]]:
        numbers: list[int] = []
        objects: list[dict[str, Any]] = []
        odd: dict[int, str] = {}
        keys: dict[str, None] = {}
        for n, raw in enumerate(piece.texts(), 1):
            try:
                found = object_in(raw.decode())
            except NoRecordError as error:
                odd[n] = f"record {error}"
                continue
            numbers.append(n)
            objects.append(found)
            if len(keys) < MAX_KEYS:
                keys.update(dict.fromkeys(found))
        self._keys.add(keys, number)
        return numbers, objects, odd

    def _texts(self, name: str, objects: list[dict[str, Any]], number: int) -> list[str | None]:
        values: Values = list(map(_getter(name), objects))
        if name not in self._quoted and any(type(value) is str for value in values):
            self._quoted.add([name], number)
        texts = [None if value is None else value if type(value) is str else text_of(value) for value in values]
        if name not in self._present and any(text is not None for text in texts):
            self._present.add([name], number)
        nulls = self._nulls
        return [None if text in nulls else text for text in texts] if nulls else texts


def _getter(name: str) -> Callable[[dict[str, Any]], object]:
    path = path_of(name)
    return (lambda record: record.get(name)) if path is None else (lambda record: at_path(record, name, path))


def _without_place(reason: str) -> str:
    return reason.partition(" at character ")[0].partition(": '")[0].partition(': "')[0]


def _null_words(options: Mapping[str, JSON]) -> frozenset[str]:
    words = options.get("null_words", ())
    return frozenset(map(str, words)) if isinstance(words, list | tuple) else frozenset()
