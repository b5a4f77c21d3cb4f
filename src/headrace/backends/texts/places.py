"""Where the rejected records of a task stand in their files: line, byte, and the bytes as they came, piece by piece, for the quarantine.

Many are measured as columns, by PyArrow; few are found in Python, for which PyArrow need not be loaded. The invariant: both say what
`Piece.places` does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Union

from headrace.backends.texts.opened import Loaded
from headrace.backends.texts.outline import Outline, count, line_ends, outline_of
from headrace.backends.texts.room import Room
from headrace.core.quarantine import MOST_RAW_BYTES
from headrace.core.records import Piece, Record

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Stand", "few_in", "measured", "numbers_at"]

_FEW = 5000  # records that are quickly found one by one
_FEW_IN = 50  # and those that are one in so many
_NEAR = 16  # line ends that are passed one by one

Found = Union["pa.Table", Sequence[Record]]


class Stand:
    """Where records stand, in the order in which they are given: those of each piece by their numbers, which rise."""

    def __init__(self) -> None:
        self._found: list[tuple[int, Sequence[int], Found]] = []

    def add(self, number: int, loaded: Loaded, wanted: Sequence[int]) -> None:
        """The records of a piece that are wanted."""
        self._found.append((number, wanted, _found(loaded, wanted)))

    def of_last(self, numbers: Iterable[int]) -> dict[int, Record]:
        """Some records of the piece that was added last. Their bytes may be cut."""
        _, wanted, found = self._found[-1]
        at = {n: bisect_left(wanted, n) for n in numbers}
        if isinstance(found, Sequence):
            return {n: found[place] for n, place in at.items()}
        rows = found.take(list(at.values())).to_pylist()
        return {n: Record(row["line"], row["byte_offset"], row["raw"]) for n, row in zip(at, rows, strict=True)}

    def fill(self, room: Room, *, by_number: bool) -> str:
        """What the records are in, as SQL: `line`, `byte_offset`, `raw`, `raw_size`, in order, and if asked `at_piece` and `at_n`. Until `forget`."""
        if all(isinstance(found, Sequence) for _, _, found in self._found):
            _fill_table(room, [(number, n, r) for number, wanted, found in self._found for n, r in zip(wanted, found, strict=True)])
            return "place"
        import pyarrow as pa

        room.connection.register("places", pa.concat_tables([_as_table(*one, by_number=by_number) for one in self._found]))
        return "places"

    def forget(self, room: Room) -> None:
        room.connection.unregister("places")
        was_measured = any(not isinstance(found, Sequence) for _, _, found in self._found)
        self._found.clear()
        if was_measured:
            import pyarrow as pa

            pa.default_memory_pool().release_unused()


def numbers_at(loaded: Loaded, offsets: Collection[int]) -> dict[int, int]:
    """The records that begin at some bytes of the file: their numbers, with the bytes."""
    table = measured(loaded.places) if isinstance(loaded.places, Piece) and loaded.records >= _FEW else None
    if table is None:
        found = _one_by_one(loaded, range(1, loaded.records + 1))
        return {n: record.offset for n, record in found.items() if record.offset in offsets}
    import pyarrow as pa
    import pyarrow.compute as pc

    begins = table["byte_offset"].combine_chunks()
    found_at = pc.indices_nonzero(pc.is_in(begins, pa.array(sorted(offsets), pa.int64())))
    return {at + 1: offset for at, offset in zip(found_at.to_pylist(), begins.take(found_at).to_pylist(), strict=True)}


def few_in(piece: Piece, wanted: Sequence[int]) -> Sequence[Record] | None:
    """A few of the records of a text whose lines are all records, and of one with quotes: only those are cut. None for another text."""
    data, dialect = piece.data, piece.dialect
    if dialect.encoding != "utf-8" or dialect.comment:
        return None
    if (dialect.quote and dialect.quote in data) or b"\r" in data:
        return _few_in_outline(piece, wanted)
    ends = count(data, b"\n") if piece.line_ends is None else piece.line_ends
    if ends + (not data.endswith(b"\n")) != piece.records:
        return None
    found: list[Record] = []
    begin, number, mean = 0, 1, len(data) // piece.records + 1
    for n in wanted:
        begin, number = _after(data, begin, n - number, mean), n
        end = data.find(b"\n", begin)
        found.append(Record(piece.line + n - 1, piece.offset + begin, data[begin : end if end >= 0 else len(data)]))
    return found


def _few_in_outline(piece: Piece, wanted: Sequence[int]) -> Sequence[Record] | None:
    outline = outline_of(piece)
    if outline is None or outline.blank(piece.data):
        return None
    begins = outline.begins(piece.data)
    if len(begins) - 1 != piece.records:
        return None
    found: list[Record] = []
    for n in wanted:
        begin, end, lines = int(begins[n - 1]), int(begins[n]), int(outline.lines[n - 2]) if n > 1 else 0
        raw = piece.data[begin:end].removesuffix(b"\n").removesuffix(b"\r")
        found.append(Record(piece.line + lines, piece.offset + begin, raw))
    return found


def _after(data: bytes, at: int, ends: int, mean: int) -> int:
    """Where the line begins that is so many line ends after another, of lines of `mean` bytes or so: by strides that end before it, then by each end."""
    while ends > _NEAR:
        stride = mean * ends * 7 // 8
        passed = count(data, b"\n", at, at + stride)
        if passed >= ends:
            mean = mean // 2 or 1
            continue
        if 2 * passed < ends:
            mean *= 2
        at, ends = at + stride, ends - passed
    for _ in range(ends):
        at = data.index(b"\n", at) + 1
    return at


def measured(piece: Piece, wanted: Sequence[int] | None = None) -> pa.Table | None:
    """Records of a piece of text in UTF-8, all or those wanted: `line`, `byte_offset`, `raw`, `raw_size`. None where not every one was found so."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if piece.dialect.encoding != "utf-8":
        return None
    whole, begins, lines = _texts_of(piece)
    at = _with_text(whole, piece.records)
    if at is None:
        return None
    if wanted is not None:
        at = at.take(pc.subtract(pa.array(wanted, pa.int64()), pa.scalar(1, pa.int64())))
    lines = at.cast(pa.int64()) if lines is None else lines.take(at)
    starts, found = (begins, whole) if len(at) == len(whole) else (begins.take(at), whole.take(at))
    starts = starts.cast(pa.int64())
    raw = pc.binary_slice(found, 0, -1) if found.type == pa.binary() else pc.ascii_rtrim(found, characters="\r\n").view(pa.binary())
    sizes = pc.binary_length(raw).cast(pa.int64())
    if len(sizes) and pc.max(sizes).as_py() > MOST_RAW_BYTES:
        raw = pc.binary_slice(raw, 0, MOST_RAW_BYTES)
    columns = [pc.add(lines, piece.line), pc.add(starts, piece.offset), raw, sizes]
    return pa.Table.from_arrays(columns, names=["line", "byte_offset", "raw", "raw_size"])


def _found(loaded: Loaded, wanted: Sequence[int]) -> Found:
    piece = loaded.places
    if isinstance(piece, Piece) and loaded.records >= _FEW:
        few = few_in(piece, wanted) if len(wanted) * _FEW_IN <= loaded.records else None
        if few is not None:
            return few
        table = measured(piece, None if len(wanted) == loaded.records else wanted)
        if table is not None:
            return table
    return list(_one_by_one(loaded, set(wanted)).values())


def _one_by_one(loaded: Loaded, wanted: Container[int]) -> Mapping[int, Record]:
    return loaded.places.places(wanted) if isinstance(loaded.places, Piece) else loaded.places(wanted)


def _texts_of(piece: Piece) -> tuple[pa.Array, pa.Array, pa.Array | None]:
    """Each record and blank line of a piece, with its end; where it begins; and the line ends before it, None where each is one line."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_plain = not piece.dialect.quote or piece.dialect.quote not in piece.data
    if is_plain and b"\r" not in piece.data:
        return *_lines(piece.data), None
    outline = outline_of(piece)
    if outline and not outline.blank(piece.data):
        return _outlined(piece.data, outline)
    whole = pa.array(piece.lines(), pa.string())
    return whole, _before(pc.binary_length(whole)), None if is_plain else _before(_line_ends(whole))


def _with_text(whole: pa.Array, records: int) -> pa.Array | None:
    """Which of the records and blank lines are records; None where those are not as many as are known. All are where no line is more."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(whole) == records:
        return pa.arange(0, records)
    if whole.type == pa.binary():
        has_text = pc.greater(pc.binary_length(whole), pa.scalar(1, pa.int32()))
    else:
        has_text = pc.greater(pc.binary_length(pc.ascii_rtrim(whole, characters="\r\n")), pa.scalar(0, pa.int32()))
    return pc.indices_nonzero(has_text) if has_text.true_count == records else None


def _lines(data: bytes) -> tuple[pa.Array, pa.Array]:
    """The lines of a text with their ends, which are all LF, and where each begins; the last gets an end if it has none. No bytes are copied."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not data.endswith(b"\n"):
        data += b"\n"
    bytes_ = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
    found = line_ends(data)
    ends = pa.array(found) if found is not None else pc.indices_nonzero(pc.equal(bytes_, pa.scalar(10, pa.uint8())))
    begins = pa.concat_arrays([pa.array([0], pa.int32()), pc.add(ends.cast(pa.int32()), pa.scalar(1, pa.int32()))])
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, begins.buffers()[1], bytes_.buffers()[1]]), begins[:-1]


def _outlined(data: bytes, outline: Outline) -> tuple[pa.Array, pa.Array, pa.Array]:
    """The records of a text with their ends, where each begins, and the line ends before it. No bytes are copied."""
    import pyarrow as pa

    begins = outline.begins(data)
    offsets, records = pa.array(begins), len(begins) - 1
    lines = pa.concat_arrays([pa.array([0], pa.int64()), pa.array(outline.lines[: records - 1]).cast(pa.int64())])
    return pa.Array.from_buffers(pa.string(), records, [None, offsets.buffers()[1], pa.py_buffer(data)]), offsets[:-1], lines


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


def _as_table(number: int, wanted: Sequence[int], found: Found, *, by_number: bool) -> pa.Table:
    import pyarrow as pa

    own = {"at_piece": pa.repeat(pa.scalar(number, pa.int64()), len(wanted)), "at_n": pa.array(wanted, pa.int64())} if by_number else {}
    if not isinstance(found, Sequence):
        return pa.Table.from_arrays([*own.values(), *found.columns], names=[*own, *found.schema.names])
    columns = {
        "line": pa.array([r.line for r in found], pa.int64()),
        "byte_offset": pa.array([r.offset for r in found], pa.int64()),
        "raw": pa.array([r.raw[:MOST_RAW_BYTES] for r in found], pa.binary()),
        "raw_size": pa.array([len(r.raw) for r in found], pa.int64()),
    }
    return pa.table({**own, **columns})


def _fill_table(room: Room, found: Sequence[tuple[int, int, Record]]) -> None:
    room.connection.execute(
        "CREATE OR REPLACE TEMP TABLE place AS SELECT unnest($1::BIGINT[]) AS at_piece, unnest($2::BIGINT[]) AS at_n, "
        "unnest($3::BIGINT[]) AS line, unnest($4::BIGINT[]) AS byte_offset, unnest($5::BLOB[]) AS raw, unnest($6::BIGINT[]) AS raw_size",
        [
            [number for number, _, _ in found],
            [n for _, n, _ in found],
            [r.line for _, _, r in found],
            [r.offset for _, _, r in found],
            [r.raw[:MOST_RAW_BYTES] for _, _, r in found],
            [len(r.raw) for _, _, r in found],
        ],
    )
