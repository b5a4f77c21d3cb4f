"""Records as bytes: where they begin and end, on what line, and what is no delimited text at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.records import Piece, Record, Scanner

COMMA = Dialect()


def pieces(data: bytes, *, dialect: Dialect = COMMA, chunk: int = 1 << 20) -> list[Piece]:
    scanner = Scanner("shop.csv", dialect)
    found = [scanner.feed(data[at : at + chunk]) for at in range(0, len(data), chunk)]
    return [piece for piece in [*found, scanner.finish()] if piece]


def records(data: bytes, *, dialect: Dialect = COMMA, chunk: int = 1 << 20) -> list[Record]:
    return [record for piece in pieces(data, dialect=dialect, chunk=chunk) for _, record in piece.split()]


def state_machine(data: bytes) -> list[bytes] | None:
    """The same rules a byte at a time, as plainly as they can be written; None for a quote that never closes."""
    found, now, state, at = [], b"", "start", 0
    while at < len(data):
        sign = data[at : at + 1]
        if state != "quoted" and sign in b"\r\n":
            found.append(now)
            now, state = b"", "start"
            at += 2 if data[at : at + 2] == b"\r\n" else 1
            continue
        now += sign
        if state == "start":
            state = {b'"': "quoted", b",": "start", b" ": "start"}.get(sign, "bare")
        elif state == "bare" and sign == b",":
            state = "start"
        elif state == "quoted" and sign == b'"':
            if data[at + 1 : at + 2] == b'"':
                now, at = now + b'"', at + 1
            else:
                state = "bare"
        at += 1
    return None if state == "quoted" else [record for record in [*found, now] if record]


@given(
    st.lists(st.sampled_from([b'"', b",", b"\r", b"\n", b" ", b"a", "é".encode()]), min_size=1, max_size=24).map(b"".join),
    st.integers(1, 9),
)
def test_records_end_where_the_state_machine_says(data: bytes, chunk: int) -> None:
    expected = state_machine(data)
    if expected is None:
        with pytest.raises(SourceError, match="a quote that never closes"):
            records(data, chunk=chunk)
        return
    cut = pieces(data, chunk=chunk)
    assert [record.raw for piece in cut for _, record in piece.split()] == expected
    assert sum(piece.records for piece in cut) == len(expected)
    assert b"".join(piece.data for piece in cut) == data


@given(st.lists(st.sampled_from([b'"', b",", b"\r", b"\n", b"a"]), min_size=1, max_size=24).map(b"".join))
def test_a_record_lies_where_it_says_it_does(data: bytes) -> None:
    try:
        found = records(data, chunk=3)
    except SourceError:
        return
    for record in found:
        assert data[record.offset :].startswith(record.raw)
        before = data[: record.offset].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert record.line == before.count(b"\n") + 1


def test_lines_are_counted_through_quoted_newlines_and_mixed_ends() -> None:
    data = b'a,b\r\n1,"x\ny"\n\n2,z\r3,w'
    assert [(record.line, record.raw) for record in records(data)] == [(1, b"a,b"), (2, b'1,"x\ny"'), (5, b"2,z"), (6, b"3,w")]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert records(b"\xef\xbb\xbfa,b\n") == [Record(1, 3, b"a,b")]


def test_lines_before_the_header_are_skipped() -> None:
    assert records(b'report "of\nMay\na,b\n1,2\n', dialect=Dialect(skip_lines=2), chunk=4)[0] == Record(3, 15, b"a,b")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"1,,x", [(b"1", False), (b"", False), (b"x", False)]),
        (b'"a,b","","c""d"', [(b"a,b", True), (b"", True), (b'c"d', True)]),
        (b'5" pipe,"x" , "y"', [(b'5" pipe', False), (b"x", True), (b"y", True)]),
        (b'1,"a"b,2', "text after a closing quote in field 2"),
    ],
)
def test_fields_are_split_at_delimiters_outside_quotes(raw: bytes, expected: object) -> None:
    assert fields_of(raw, COMMA) == expected


def test_an_escape_sign_hides_a_quote() -> None:
    assert fields_of(rb'"a\"b",c', Dialect(escape=b"\\")) == [(b'a"b', True), (b"c", False)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "`shop.csv` is empty: it has no bytes, not even a header"),
        (b"a,b\n1,\x00\n", r"it has a NUL byte at byte 6 \(line 2\)"),
        (b"a,b\n1,caf\xe9\n", r"is not UTF-8: .* \(0xe9\) at byte 9 \(line 2\)"),
        (b"\xff\xfea\x00", "its first bytes are those of UTF-16 text"),
        (b"PK\x03\x04....", "its first bytes are those of a zip archive or an Excel workbook"),
        (b"<!DOCTYPE html><html>", "is HTML or XML under another name"),
        (b"\n <?xml version='1.0'?>", "is HTML or XML under another name"),
        (b'{"error": 1}', "its first bytes are those of JSON"),
        (b'a,b\n1,2\n3,"x\n4,5\n', "has a quote that never closes: it opens on line 3"),
        (b"a\n", "has 2 lines or fewer, and skip=3 passes over all of them"),
    ],
    ids=["empty", "nul", "latin-1", "utf-16", "zip", "html", "xml", "json", "quote", "skip"],
)
def test_what_is_no_delimited_text_is_refused_with_the_place(data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        records(data, dialect=Dialect(skip_lines=3 if data == b"a\n" else 0))


def test_a_line_without_end_is_refused_before_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.core.records.MAX_RECORD_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="a record longer than 1 MiB, which begins on line 2"):
        records(b"a\n" + b"x" * (8 << 20), chunk=65536)
