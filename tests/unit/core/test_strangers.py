"""What a file is told to be that is not the text it is called."""

from __future__ import annotations

import pytest

from headrace.core.strangers import Kind, nul_advice, problem_of_start, utf8_advice


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", "is empty: it has no bytes, not even a header"),
        (b"\xef\xbb\xbf<html>", "is HTML or XML under another name"),
        (b"\x89PNG\r\n", "a picture (PNG)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Save its sheet as CSV"),
        (b"\x1f\x8b\x08", "It was packed twice: unpack it once"),
        (b"PAR1", "Read it with hr.parquet(…)"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "`git lfs pull`"),
        (b"a.csv".ljust(257, b"\0") + b"ustar", "a tar archive"),
        (b'{\n "a":1}', "read it with hr.json(…)"),
        (b'[\n {"a":1}]', "read it with hr.json(…)"),
        (b"sep=;\r\na;b", 'hr.csv(…, delimiter=";", skip=1)'),
        (b"sep=\t\na\tb", 'hr.csv(…, delimiter="\\t", skip=1)'),
    ],
)
def test_a_stranger_is_told_by_how_it_begins_and_what_to_do_is_said(start: bytes, said: str) -> None:
    assert said in problem_of_start("file.csv", start, "CSV", is_header=True)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"a,b\n", "CSV"),
        (b"[id],[name]\n", "CSV"),
        (b"{a},b\n", "CSV"),
        (b"sep,oct\n", "CSV"),
        (b'{"a":1}', "JSON Lines"),
        (b"<34>Oct 1", "log"),
    ],
)
def test_what_may_be_such_a_text_is_none(start: bytes, kind: Kind) -> None:
    assert problem_of_start("file", start, kind, is_header=True) == ""


def test_excels_line_is_no_problem_where_lines_are_passed_over() -> None:
    assert problem_of_start("file.csv", b"sep=;\na;b", "CSV", is_header=False) == ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("id,näme\n1,a\n".encode("utf-16-le"), 'encoding="utf-16-le"'),
        ("id,näme\n1,a\n".encode("utf-16-be"), 'encoding="utf-16-be"'),
        ("id,näme\n1,a\n".encode("utf-32-le"), "UTF-32"),
        ("id,näme\n1,a\n".encode("utf-32-be"), "UTF-32"),
        (b"id,name\n1,\0a\n", "It is binary, or damaged"),
        (b"id,name\n" * 99 + b"\0", "It is binary, or damaged"),
        (b"\0" * 999, "It is binary, or damaged"),
        (bytes(range(256)) * 4, "It is binary, or damaged"),
    ],
)
def test_where_nul_bytes_stand_tells_an_encoding(data: bytes, said: str) -> None:
    assert said in nul_advice(data, data.index(b"\0"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a,Zo\xeb\n", 'encoding="cp1252"'),
        ("a,Zoë\n".encode() + b"b,Zo\xeb\n", "1 character beyond ASCII that is UTF-8: two encodings are mixed"),
        ("a,Zoë".encode()[:-1], "cut short in the middle of a character"),
    ],
)
def test_what_is_not_utf_8_is_told_by_what_stands_before_it(data: bytes, said: str) -> None:
    with pytest.raises(UnicodeDecodeError) as failed:
        data.decode()
    assert said in utf8_advice(data[: failed.value.start], failed.value)
