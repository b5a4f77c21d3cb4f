"""What NumPy tells of a text is what is found by patterns, or nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.backends.texts import outline
from headrace.backends.texts.outline import Extents, Look, count
from headrace.backends.texts.places import few_in, measured
from headrace.core.cutting import Extent
from headrace.core.dialect import Dialect
from headrace.core.errors import SourceError
from headrace.core.records import LINES, Piece, Scanner
from headrace.core.swallowed import swallowed

_PARTS = [
    b"a", b",", b",", b'"', b'"', b'""', b'"""', b',"', b'",', b'"\n', b"\n", b"\n", b"\r\n", b"\r", b" ", b' "', "é".encode(), b"1,2\n", b"x,y\r\n",
    b'"a\nb"', b'"\r\n"', b"\n\n", b"\\", b'\\"', b"#", b'"1,2\n' * 7 + b'"',
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(_PARTS), min_size=1, max_size=40).map(b"".join)
DIALECTS = st.sampled_from(
    [Dialect(), Dialect(), Dialect(quote=b""), Dialect(b";", b"'"), Dialect(b" "), Dialect(escape=b"\\"), Dialect(comment=b"#"), LINES]
)


@pytest.fixture(scope="module", autouse=True)
def _short_texts_are_large() -> Iterator[None]:
    """Texts of a few bytes go the way of large ones, and over the borders of blocks."""
    assert np.__name__ == "numpy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outline, "_LARGE", 0)
        patch.setattr(outline, "_BLOCK", 7)
        yield


def pieces(data: bytes, dialect: Dialect, size: int, *, is_fast: bool) -> list[Piece] | str:
    scanner = Scanner("file.csv", dialect, extent_of=Extents() if is_fast else None)
    try:
        found = [scanner.feed(data[at : at + size]) for at in range(0, len(data), size)]
        return [piece for piece in (*found, scanner.finish()) if piece]
    except SourceError as error:
        return str(error)


@given(data=TEXTS, dialect=DIALECTS, size=st.integers(1, 60), start=st.sampled_from([b"", b"first,line\n" * 400]))
@example(data=b'"a""b"\n"c"\n', dialect=Dialect(escape=b"\\"), size=60, start=b"first,line\n" * 400)
def test_a_text_is_cut_alike_with_numpy_and_without(data: bytes, dialect: Dialect, size: int, start: bytes) -> None:
    fast, slow = (pieces(start + data, dialect, max(size, len(start)), is_fast=is_fast) for is_fast in (True, False))
    assert fast == slow
    if not isinstance(fast, str):
        assert [piece.line_ends for piece in fast] == [piece.line_ends for piece in slow if isinstance(piece, Piece)]


@given(data=TEXTS, dialect=DIALECTS, width=st.integers(1, 3))
@example(data=b'"a""b",c\n"d"\n', dialect=Dialect(escape=b"\\"), width=2)
def test_a_piece_is_as_even_with_numpy_as_without_and_its_records_stand_in_the_same_places(
    data: bytes, dialect: Dialect, width: int
) -> None:
    found = pieces(data, dialect, len(data), is_fast=False)
    for piece in () if isinstance(found, str) else found:
        if dialect.delimiter:
            assert Look(piece).is_even(width) == piece.is_even(width)
            assert swallowed(piece, width, is_long=Look(piece).is_long) == swallowed(piece, width)
        places = piece.places(range(1, piece.records + 1))
        few, table = few_in(piece, list(places)), measured(piece)
        assert few is None or few == list(places.values())
        if table is not None:
            told = [(row["line"], row["byte_offset"], row["raw"]) for row in table.to_pylist()]
            assert told == list(places.values())


@given(data=st.lists(st.integers(8, 14), max_size=50).map(bytes), start=st.integers(0, 60), end=st.none() | st.integers(0, 60))
def test_a_byte_is_counted_as_python_does(data: bytes, start: int, end: int | None) -> None:
    assert count(data, b"\n", start, end) == data.count(b"\n", start, len(data) if end is None else end)


def test_a_text_in_quotes_is_told_by_numpy_alone() -> None:
    data = b'a,"b ""c""",d\r\n"x\r\ny",z,"1,2"\r\n' * 20
    assert Extents()(data, Dialect()) == Extent(620, 40, 60)
    told = outline._outline(data, Dialect(), has_delimiters=True)
    assert told is not None
    assert (len(told.ends), int(told.lines[-1]), told.delimiters, told.returns) == (40, 60, 80, 40)


def test_numpy_is_loaded_when_much_has_come_and_not_before() -> None:
    code = """
import sys
from headrace.backends.texts.outline import Extents, count
from headrace.core.dialect import Dialect
text = b'1,"two words",3\\n' * 65_536
extents = Extents()
for megabytes in range(1, 10):
    count(text, b",")
    extents(text, Dialect())
    print(megabytes, "numpy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = [line.split() for line in done.stdout.splitlines()]
    assert [is_loaded for _, is_loaded in told] == ["False"] * 4 + ["True"] * 5
