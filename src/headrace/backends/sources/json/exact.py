"""A piece of JSON Lines as a table of texts by Python alone: slow, plain, and what the quick way is held against.

The invariant: each record of a piece is in the table once, or said to be odd.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headrace.backends.sources.json.records import NoRecordError, object_in, text_of
from headrace.backends.sources.json.tokens import getter
from headrace.backends.texts.room import Room
from headrace.core.records import Piece

__all__ = ["load_exactly"]


def load_exactly(room: Room, columns: Sequence[str | None], piece: Piece, *, nulls: Collection[str]) -> dict[int, str]:
    """Fill `piece` with the texts of the columns, NULL where there is none; what is wrong with the records that are left out."""
    getters = [None if name is None else getter(name) for name in columns]
    numbers: list[int] = []
    texts: list[list[str | None]] = [[] for _ in columns]
    odd: dict[int, str] = {}
    for n, raw in enumerate(piece.texts(), 1):
        try:
            record = object_in(raw.decode())
        except NoRecordError as error:
            odd[n] = f"record {error}"
            continue
        numbers.append(n)
        for own, get in zip(texts, getters, strict=True):
            value = get(record) if get else None
            text = None if value is None else text_of(value)
            own.append(None if text in nulls else text)
    chosen = "".join(f", unnest(${k + 2}::VARCHAR[]) AS t{k}" for k in range(len(columns)))
    room.connection.execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT unnest($1::BIGINT[]) AS n{chosen}", [numbers, *texts])
    return odd
