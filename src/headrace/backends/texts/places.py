"""Where records of a piece stand in the file, as a table `place` for the quarantine: number, line, byte, and the bytes as they came.

A large piece is measured as columns, by PyArrow; another one record by record, for which PyArrow need not be loaded. The invariant: both
say what `Piece.places` does.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.backends.texts.opened import Loaded
from headrace.backends.texts.room import Room
from headrace.core.quarantine import MOST_RAW_BYTES
from headrace.core.records import Piece, Record

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["measured", "numbers_at", "place_records"]

_FEW = 5000  # records that are quickly found one by one


def place_records(room: Room, loaded: Loaded, wanted: str) -> int:
    """Fill `place` with the records whose numbers the query `wanted` gives, in order; says how many there are."""
    execute = room.connection.execute
    table = measured(loaded.places) if isinstance(loaded.places, Piece) and loaded.records >= _FEW else None
    if table is None:
        return _place_one_by_one(room, _found(loaded, {n for (n,) in execute(wanted).fetchall()}))
    room.connection.register("measured", table)
    sql = f"CREATE OR REPLACE TEMP TABLE place AS SELECT n, line, byte_offset, raw, raw_size FROM measured WHERE n IN ({wanted}) ORDER BY n"
    count = execute(sql).fetchall()[0][0]
    room.connection.unregister("measured")
    return int(count)


def numbers_at(loaded: Loaded, offsets: Collection[int]) -> dict[int, int]:
    """The records that begin at some bytes of the file: their numbers, with the bytes."""
    table = measured(loaded.places) if isinstance(loaded.places, Piece) and loaded.records >= _FEW else None
    if table is None:
        found = _found(loaded, range(1, loaded.records + 1))
        return {n: record.offset for n, record in found.items() if record.offset in offsets}
    import pyarrow as pa
    import pyarrow.compute as pc

    those = table.select(["n", "byte_offset"]).filter(pc.is_in(table["byte_offset"], pa.array(sorted(offsets), pa.int64())))
    return dict(zip(those["n"].to_pylist(), those["byte_offset"].to_pylist(), strict=True))


def measured(piece: Piece) -> pa.Table | None:
    """All records of a piece of text in UTF-8: `n`, `line`, `byte_offset`, `raw`, `raw_size`. None where not every record was found so."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if piece.dialect.encoding != "utf-8":
        return None
    is_plain = not piece.dialect.quote or piece.dialect.quote not in piece.data
    if is_plain and b"\r" not in piece.data:
        texts = pc.split_pattern(pa.array([piece.data], pa.binary()), b"\n").values
        taken = pc.add(pc.binary_length(texts), 1)
        ends = None
    else:
        whole = pa.array(piece.lines(), pa.string())
        texts, taken = pc.ascii_rtrim(whole, characters="\r\n").view(pa.binary()), pc.binary_length(whole)
        ends = None if is_plain else _line_ends(whole)
    sizes = pc.binary_length(texts).cast(pa.int64())
    at = pc.indices_nonzero(sizes)
    if len(at) != piece.records:
        return None
    starts = _before(taken).take(at)
    lines = at.cast(pa.int64()) if ends is None else _before(ends).take(at)
    sizes, raw = sizes.take(at), texts.take(at)
    if len(sizes) and pc.max(sizes).as_py() > MOST_RAW_BYTES:
        raw = pc.binary_slice(raw, 0, MOST_RAW_BYTES)
    columns = [pa.array(range(1, len(at) + 1), pa.int64()), pc.add(lines, piece.line), pc.add(starts, piece.offset), raw, sizes]
    return pa.Table.from_arrays(columns, names=["n", "line", "byte_offset", "raw", "raw_size"])


def _before(counts: pa.Array) -> pa.Array:
    """The sum of all that comes before, for each of some counts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wide = counts.cast(pa.int64())
    return pc.subtract(pc.cumulative_sum(wide), wide)


def _line_ends(texts: pa.Array) -> pa.Array:
    """Line ends in each text: LF, CRLF and CR each count once."""
    import pyarrow.compute as pc

    lf, cr, both = (pc.count_substring(texts, end) for end in ("\n", "\r", "\r\n"))
    return pc.subtract(pc.add(lf, cr), both)


def _found(loaded: Loaded, wanted: Container[int]) -> Mapping[int, Record]:
    return loaded.places.places(wanted) if isinstance(loaded.places, Piece) else loaded.places(wanted)


def _place_one_by_one(room: Room, found: Mapping[int, Record]) -> int:
    records: Sequence[Record] = list(found.values())
    room.connection.execute(
        "CREATE OR REPLACE TEMP TABLE place AS SELECT unnest($1::BIGINT[]) AS n, unnest($2::BIGINT[]) AS line, "
        "unnest($3::BIGINT[]) AS byte_offset, unnest($4::BLOB[]) AS raw, unnest($5::BIGINT[]) AS raw_size",
        [
            list(found),
            [r.line for r in records],
            [r.offset for r in records],
            [r.raw[:MOST_RAW_BYTES] for r in records],
            [len(r.raw) for r in records],
        ],
    )
    return len(records)
