"""Where rejected records stand is the same whether they are measured as columns or one by one."""

from __future__ import annotations

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


@given(lines=st.lists(st.integers(1, 40_000), min_size=1, max_size=12), ends=st.booleans(), draw=st.data())
def test_a_few_records_among_long_and_short_lines_are_found(lines: list[int], ends: bool, draw: st.DataObject) -> None:
    data = b"\n".join(b"x" * size for size in lines) + (b"\n" if ends else b"")
    piece = Piece(data, len(lines), 7, 100, Dialect())
    wanted = draw.draw(st.lists(st.integers(1, len(lines)), unique=True).map(sorted))
    assert few_in(piece, wanted) == list(piece.places(wanted).values())


def test_a_long_record_is_cut_and_says_how_long_it_was() -> None:
    (piece,) = pieces(b"a\n" + b"b" * 70_000 + b"\n", Dialect())
    table = measured(piece)
    assert table is not None
    assert table["raw"].to_pylist() == [b"a", b"b" * 65536]
    assert table["raw_size"].to_pylist() == [1, 70_000]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le"])
def test_other_encodings_are_not_measured_since_their_bytes_are_others(encoding: str) -> None:
    assert measured(Piece(b"a\n", 1, 1, 0, Dialect(encoding=encoding))) is None
