"""Pieces of landed JSON Lines as queries of texts: values as they are written go to DuckDB in a file of its own.

DuckDB does not split the lines: numbers would pass through a float there, and of a key that stands twice one value would be lost in silence.
The invariant: each record of a piece is among the texts once, or said to be odd; by its number, else Python reads the piece alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from headrace.backends.sources.json.arrays import ElementLines
from headrace.backends.sources.json.exact import load_exactly
from headrace.backends.sources.json.landing import MAX_KEYS
from headrace.backends.sources.json.seen import Seen
from headrace.backends.sources.json.splitting import Found, Splitter
from headrace.backends.sources.json.tokens import texts_sql, written
from headrace.backends.texts.lines import CutLines
from headrace.backends.texts.opened import Loaded, Unread, weight_of
from headrace.backends.texts.room import Room
from headrace.core.json_paths import path_of
from headrace.core.ports import JSON, Landed
from headrace.core.records import Piece

__all__ = ["OpenedJson"]

_MOST_UNDECLARED = 1000


class OpenedJson:
    """One file that is about to be read: see `headrace.backends.texts.opened.Opened`. `names` are aliases of a contract, or keys."""

    def __init__(self, file: Landed, options: Mapping[str, JSON], names: Sequence[str]) -> None:
        self._file, maker = file, partial(ElementLines, file.name)
        self._cut = CutLines(file.path, "JSON Lines", options, name=file.name, maker=maker, counted=file.counted)
        self._nulls = _null_words(options)
        self.names = tuple(names)
        self._splitter = Splitter(self.names)
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
            yield Unread(weight_of(piece), partial(self._load, piece=piece, number=number))

    def _load(self, room: Room, positions: Sequence[int | None], *, piece: Piece, number: int) -> Loaded:
        found = Found(MAX_KEYS)
        room.write(map(written, self._splitter.rows(piece, found)))
        self._keys.add(found.keys_in_order(), number)
        self._present.add((self.names[column] for column in sorted(found.present)), number)
        self._quoted.add((self.names[column] for column in sorted(found.texts)), number)
        texts = texts_sql(room.file, positions, len(self.names), texts=found.texts, parts=found.parts, nulls=self._nulls)

        def exactly() -> Loaded:
            columns = [None if position is None else self.names[position] for position in positions]
            odd = load_exactly(room, columns, piece, nulls=self._nulls)
            own = replace(piece, records=piece.recounted())  # others than were counted when the bytes were others
            return Loaded(own.records, odd, own, is_slow=True, kind_of=_without_place)

        return Loaded(piece.records, found.odd, piece, kind_of=_without_place, relation=texts, exactly=exactly)


def _without_place(reason: str) -> str:
    return reason.partition(" at character ")[0].partition(": '")[0].partition(': "')[0]


def _null_words(options: Mapping[str, JSON]) -> frozenset[str]:
    words = options.get("null_words", ())
    return frozenset(map(str, words)) if isinstance(words, list | tuple) else frozenset()
