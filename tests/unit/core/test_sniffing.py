"""A delimiter that is found by itself: only where one sign alone fits, and the same in whatever chunks the text comes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.dialect import Dialect
from headrace.core.errors import SourceError
from headrace.core.records import Piece
from headrace.core.sniffing import SAMPLE_BYTES, SniffingScanner


def scanned(data: bytes, *, chunk: int = 1 << 20, width: int | None = None, dialect: Dialect | None = None) -> list[Piece]:
    scanner = SniffingScanner("file.csv", dialect or Dialect(), width)
    made = [scanner.feed(data[at : at + chunk]) for at in range(0, len(data), chunk)]
    return [piece for piece in [*made, scanner.finish()] if piece]


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        (b"a;b\n1,5;2,25\n", b";"),
        (b"a\tb\n1\tx, y; z\n", b"\t"),
        (b"a|b\n1|2\n", b"|"),
        (b'a,b\n"x;y","z"\n', b","),
        (b'"a,b";c\n1;2\n', b";"),
        (b"one column\nwith, a comma\n", b","),
        (b"a;b\n" + b"1;2\n" * 19 + b"1;2;3\n", b";"),
        (b"\xef\xbb\xbfa;b\n1;2\n", b";"),
    ],
    ids=["decimal comma", "tab", "bar", "quoted", "quoted header", "one column", "a broken record", "byte order mark"],
)
def test_the_sign_that_splits_the_records_alike_is_found(data: bytes, delimiter: bytes) -> None:
    assert {piece.dialect.delimiter for piece in scanned(data)} == {delimiter}


@pytest.mark.parametrize(
    ("data", "width", "message"),
    [
        (b"a,b;c\n1,2;3\n", None, r"more than one sign fits. .* ',' into 2 fields, and 100% of the records alike; ';' into 2 .* with delimiter=…"),
        (b"a;b\n1\n2\n3\n", None, "no sign splits its beginning alike. .* ';' into 2 fields, and 25% of the records alike"),
        (b"1;2\n3;4\n", 3, "no sign splits its beginning into the 3 columns of names= alike"),
        (b"", None, "is empty"),
        (b"<html><body>a;b</body></html>", None, "is HTML or XML"),
        (b'a;b\n"1;2\n', None, "has a quote that never closes: it opens on line 2"),
    ],
    ids=["two", "ragged", "other width", "empty", "html", "quote"],
)  # fmt: skip
def test_in_doubt_the_file_is_refused(data: bytes, width: int | None, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        scanned(data, width=width)


def test_names_tell_how_many_columns_there_are() -> None:
    assert scanned(b"1,2;3,4\n", width=2, dialect=Dialect(quote=b""))[0].dialect.delimiter == b";"


def test_lines_before_the_header_are_not_looked_at() -> None:
    assert scanned(b"made by: a, b, c\na;b\n1;2\n", dialect=Dialect(skip_lines=1))[0].dialect.delimiter == b";"


@given(chunk=st.integers(1, 100_000), size=st.sampled_from([5, 400, 4096, 70_000, SAMPLE_BYTES, SAMPLE_BYTES - 4]))
@settings(max_examples=40)
def test_the_pieces_are_the_text_however_it_comes(chunk: int, size: int) -> None:
    data = (b"a;b\n" + b"1;2\n" * (size // 4))[: size - 1]
    pieces = scanned(data, chunk=max(chunk, size // 50))
    assert b"".join(piece.data for piece in pieces) == data
    assert sum(piece.records for piece in pieces) == len([line for line in data.split(b"\n") if line])
    assert {piece.dialect.delimiter for piece in pieces} == {b";"}
