"""Where rejected records stand is the same whether they are measured as columns or one by one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.backends.texts.places import few_in, measured
from headrace.core.dialect import Dialect
from headrace.core.errors import SourceError
from headrace.core.records import LINES, Piece, Scanner

_PARTS = [b"a", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b" ", "é".encode(), b"1\n", b'"a\nb"', b'"\r\n"', b"\n\n", b"x,y\n", b"\\"]


def pieces(data: bytes, dialect: Dialect) -> list[Piece]:
    scanner = Scanner("file.csv", dialect)
    return [piece for piece in (scanner.feed(data), scanner.finish()) if piece]


@given(
    data=st.lists(st.sampled_from(_PARTS), min_size=1, max_size=30).map(b"".join),
    dialect=st.sampled_from([Dialect(), Dialect(quote=b""), Dialect(b";", b"'"), Dialect(escape=b"\\"), LINES]),
    start=st.sampled_from([b"", b"first,line\n" * 400]),
)
def test_measured_records_stand_where_each_one_does(data: bytes, dialect: Dialect, start: bytes) -> None:
    try:
        found = pieces(start + data, dialect)
    except SourceError:
        return
    for piece in found:
        table = measured(piece)
        assert table is not None
        want = piece.places(range(1, piece.records + 1))
        assert list(want) == list(range(1, table.num_rows + 1))
        assert table["line"].to_pylist() == [record.line for record in want.values()]
        assert table["byte_offset"].to_pylist() == [record.offset for record in want.values()]
        assert table["raw"].to_pylist() == [record.raw for record in want.values()]
        assert table["raw_size"].to_pylist() == [len(record.raw) for record in want.values()]
        few = few_in(piece, list(want))
        assert few is None or few == list(want.values())


@given(
    runs=st.lists(
        st.tuples(st.integers(1, 40_000), st.integers(1, 3)) | st.tuples(st.integers(1, 40), st.integers(1, 500)), min_size=1, max_size=12
    ),
    ends=st.booleans(),
    is_known=st.booleans(),
    draw=st.data(),
)
def test_a_few_records_among_long_and_short_lines_are_found(
    runs: list[tuple[int, int]], ends: bool, is_known: bool, draw: st.DataObject
) -> None:
    sizes = [size for size, times in runs for _ in range(times)]
    data = b"\n".join(b"x" * size for size in sizes) + (b"\n" if ends else b"")
    piece = Piece(data, len(sizes), 7, 100, Dialect(), len(sizes) - (not ends) if is_known else None)
    wanted = draw.draw(st.lists(st.integers(1, len(sizes)), unique=True, max_size=20).map(sorted))
    assert few_in(piece, wanted) == list(piece.places(wanted).values())


@given(
    data=st.lists(st.sampled_from(_PARTS), min_size=1, max_size=30).map(b"".join),
    dialect=st.sampled_from([Dialect(), Dialect(quote=b""), Dialect(comment=b"x")]),
)
def test_the_line_ends_that_a_piece_says_are_those_that_it_has(data: bytes, dialect: Dialect) -> None:
    try:
        found = pieces(data, dialect)
    except SourceError:
        return
    for piece in found:
        first = piece.first()
        for one in [piece, piece.bare(), *([piece.after(first)] if first else [])]:
            assert one.line_ends in (None, len(re.findall(rb"\r\n|\n|\r", one.data)))


def test_a_long_record_is_cut_and_says_how_long_it_was() -> None:
    (piece,) = pieces(b"a\n" + b"b" * 70_000 + b"\n", Dialect())
    table = measured(piece)
    assert table is not None
    assert table["raw"].to_pylist() == [b"a", b"b" * 65536]
    assert table["raw_size"].to_pylist() == [1, 70_000]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le"])
def test_other_encodings_are_not_measured_since_their_bytes_are_others(encoding: str) -> None:
    assert measured(Piece(b"a\n", 1, 1, 0, Dialect(encoding=encoding))) is None
