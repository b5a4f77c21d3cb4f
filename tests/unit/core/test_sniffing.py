"""A delimiter that is found by itself: only where one sign alone fits, and the same in whatever chunks the text comes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.records import Piece
from headrace.core.sniffing import SAMPLE_BYTES, SIGNS, SniffingScanner


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


# ---------------------------------------------------------------- quotes


def quoting(data: bytes, *finds: str, escape: bytes = b"") -> tuple[bytes, bytes, bytes]:
    scanner = SniffingScanner("file.csv", Dialect(escape=escape), None, finds=finds or ("quote",))
    pieces = [piece for piece in (scanner.feed(data), scanner.finish()) if piece]
    (dialect,) = {piece.dialect for piece in pieces}
    return dialect.delimiter, dialect.quote, dialect.escape


@pytest.mark.parametrize(
    ("data", "quote", "escape"),
    [
        (b'a,b\n"x, y",1\n', b'"', b""),
        (b"a,b\n'x, y',1\n", b"'", b""),
        (b"a,b\n'it''s',1\n", b"'", b""),
        (b'a,b\n"say ""hi""",1\n', b'"', b""),
        (b'a,b\n"say \\"hi\\", all",1\n', b'"', b"\\"),
        (b"a,b\n'it\\'s, so',1\n", b"'", b"\\"),
        (b'a,b\n"C:\\",1\n"D:\\x",2\n', b'"', b""),
        (b'a,b\n5" pipe,1\n', b'"', b""),
        (b'a,b\n"5"" pipe, it\'s",1\n', b'"', b""),
        (b"a,b\n'tis,1\nit's,2\n", b'"', b""),
        (b'a,b\n" is a quote,1\nx,2\n', b"", b""),
        (b'a,b\n"x" and y,1\n"z" or w,2\n', b"", b""),
        (b'a,b\n"first\nsecond",1\n', b'"', b""),
        (b"a,b\n1,2\n", b'"', b""),
        (b'a,b\n"it\'s","\'quoted\'"\n', b'"', b""),
        (b'"a","b"\n' + b'"x","y"\n' * 19 + b'"x"z,"y"\n', b'"', b""),
    ],
)
def test_quotes_are_those_that_stand_around_fields(data: bytes, quote: bytes, escape: bytes) -> None:
    assert quoting(data)[1:] == (quote, escape)


def test_quotes_and_the_delimiter_are_found_together() -> None:
    assert quoting(b"a;b\n'x; y';1,5\n'z';2\n", "delimiter", "quote") == (b";", b"'", b"")
    assert quoting(b'a\tb\n"x\ty"\t1\n', "delimiter", "quote") == (b"\t", b'"', b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"a,b\n\"x\",'y'\n",
            r"quote='\"' makes \['x', \"'y'\"\] of a record, and quote=\"'\" makes \['\"x\"', 'y'\]\. Say .* with quote=… and escape=…",
        ),
        (b'a,b\n"x" y,1,3\n"z" w,1\n"q" r\n', "neither quotes nor their absence make even records"),
    ],
)
def test_where_quotes_can_be_read_in_two_ways_the_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        quoting(data)


def test_an_escape_that_is_said_is_the_only_one() -> None:
    assert quoting(b"a,b\n'it^'s',1\n", escape=b"^") == (b",", b"'", b"^")


fields = st.text(st.sampled_from("ab ,\"'\\\n;"), max_size=6)


@given(
    rows=st.lists(st.lists(fields, min_size=2, max_size=2), min_size=2, max_size=6),
    quote=st.sampled_from("\"'"),
    style=st.sampled_from("2\\"),
)
@settings(max_examples=300)
def test_what_is_written_in_quotes_is_read_as_it_was_or_refused(rows: list[list[str]], quote: str, style: str) -> None:
    def written(text: str) -> str:
        inside = text.replace(quote, quote * 2) if style == "2" else text.replace("\\", "\\\\").replace(quote, "\\" + quote)
        return f"{quote}{inside}{quote}"

    data = "".join(",".join(map(written, row)) + "\n" for row in rows).encode()
    scanner = SniffingScanner("file.csv", Dialect(), None, finds=("quote",))
    try:
        pieces = [piece for piece in (scanner.feed(data), scanner.finish()) if piece]
    except SourceError:
        return
    dialect = pieces[0].dialect
    if (dialect.quote.decode(), dialect.escape.decode() or "2") != (quote, style):
        assert style == "\\"
        assert b"\\" + quote.encode() not in data or dialect.quote.decode() != quote
        return
    found = [fields_of(text, dialect) for piece in pieces for text in piece.texts()]
    assert [[text.decode() for text, _ in record] for record in found if not isinstance(record, str)] == rows


TEXTS = st.text('ab,;\t|"\n', max_size=6)


@given(
    st.sampled_from(SIGNS), st.integers(2, 5).flatmap(lambda n: st.lists(st.lists(TEXTS, min_size=n, max_size=n), min_size=2, max_size=6))
)
def test_a_sign_that_separates_texts_in_quotes_is_found_whatever_is_in_them(sign: str, table: list[list[str]]) -> None:
    rows = [sign.join('"' + text.replace('"', '""') + '"' for text in row) for row in table]
    pieces = scanned("\n".join(rows).encode())
    assert {piece.dialect.delimiter for piece in pieces} == {sign.encode()}
    found = [fields_of(raw, piece.dialect) for piece in pieces for raw in piece.texts()]
    assert found == [[(text.encode(), True) for text in row] for row in table]
