"""What a format of texts gives to be typed: a file that is about to be read, its pieces, and a piece whose texts are at hand.

The invariant: each record of a piece is among its texts once, or said to be odd.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import duckdb

from headrace.backends.texts.room import Room
from headrace.core.ports import JSON
from headrace.core.records import Piece, Record

__all__ = ["Loaded", "Opened", "Places", "Unread", "settled", "weight_of"]

_LIGHTEST = 48  # bytes

Places = Callable[[Container[int]], Mapping[int, Record]]


@dataclass(frozen=True)
class Loaded:
    """A piece whose texts are in `relation`, a table or a query: `n` from 1, then `t0`, `t1`, …. `odd` says of each record that is not
    there what is wrong with it.

    `places` finds records by their numbers, as they are in the file: a piece of text that was cut, or a function. `is_slow` says that they
    were split one by one. `kind_of` is what an oddity is counted by, where it also says a place. A query that has to be proven right by the
    number of its records has another way, `exactly`, for where it is not, or can't be carried out. `hidden` counts, of odd records, the lines in
    them that may be records, too.
    """

    records: int
    odd: Mapping[int, str]
    places: Piece | Places
    is_slow: bool = False
    kind_of: Callable[[str], str] = str
    relation: str = "piece"
    exactly: Callable[[], Loaded] | None = None
    hidden: Mapping[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True)
class Unread:
    """A piece that was cut: what it weighs, and what loads it into a room, in any thread. `t0`, `t1`, … are the columns at the positions that are
    asked for, NULL where there is none.
    """

    weight: int
    load: Callable[[Room, Sequence[int | None]], Loaded]


def weight_of(piece: Piece) -> int:
    """The bytes of a piece of text, a record of a few counted as more: the row that says why it was rejected takes much more than that."""
    return max(len(piece.data), _LIGHTEST * piece.records)


class Opened(Protocol):
    """A file that is about to be read: the names of its columns, and its records piece by piece.

    `names` are the columns that can be asked for. `found` are those that the file has: the same, unless only reading tells. `quoted` are
    columns of which a value is a text by the format's own word; such a column is never taken for numbers. `read_as` tells how the file was
    read, as far as that was decided: its `encoding` is that of the records' bytes.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def found(self) -> tuple[str, ...]: ...

    @property
    def quoted(self) -> Collection[str]: ...

    @property
    def read_as(self) -> Mapping[str, JSON]: ...

    def pieces(self) -> Iterator[Unread]:
        """The file in pieces, in order: cut by one thread, and loaded by any."""
        ...


def settled(room: Room, loaded: Loaded) -> Loaded:
    """The same in the table `piece`, whatever its relation is."""
    if not loaded.exactly:
        return loaded
    try:
        found = room.connection.execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT * FROM {loaded.relation}").fetchall()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return loaded.exactly()
    return loaded if found[0][0] + len(loaded.odd) == loaded.records else loaded.exactly()
