"""Where the records of a delimited text end, found by patterns; how many there are, and lines, and comments.

Pure functions over bytes, by which pieces are cut and split: `core.records`. A record ends at LF, CRLF or CR outside quotes, and a line
without a byte is no record, nor is a comment. The invariant: what is found are the bytes of the text, in order, each once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from headrace.core.dialect import Dialect, grammar_of

__all__ = [
    "BLANK",
    "BLANK_LINE",
    "Extent",
    "ExtentOf",
    "count_comments",
    "count_lines",
    "extent",
    "open_quote",
    "split",
    "without_line_end",
]

BLANK = frozenset({b"\n", b"\r\n", b"\r"})
BLANK_LINE = re.compile(rb"\n\n")  # a search by pattern takes less than half of what `in` does


class Extent(NamedTuple):
    """The complete records at the beginning of a text: where the last one ends, how many there are, and how many line ends, if those were counted."""

    end: int
    records: int
    line_ends: int | None


ExtentOf = Callable[[bytes, Dialect], Extent | None]
"""A faster way to the extent of a text of which more is to come. None for a text of which it can't tell."""


def extent(data: bytes, dialect: Dialect, *, is_last: bool) -> Extent:
    """The extent of a text that begins with a record. Of one that `is_last`, what is left at its end is a record without a line end."""
    if dialect.quote and dialect.quote in data:
        found, rest = _find(data, dialect, is_last=is_last)
        blank = found.count(b"\n") + found.count(b"\r\n") + found.count(b"\r")
        return Extent(len(data) - rest, len(found) - blank - (count_comments(found, dialect) if dialect.may_comment(data) else 0), None)
    end = len(data)
    if not is_last:
        body = data[:-1] if data.endswith(b"\r") else data
        end = max(body.rfind(b"\n"), body.rfind(b"\r")) + 1
    whole = data[:end]
    records, lines = _count_plain(whole)
    return Extent(end, records - (count_comments(whole.splitlines(), dialect) if dialect.may_comment(whole) else 0), lines)


def _find(data: bytes, dialect: Dialect, *, is_last: bool) -> tuple[list[bytes], int]:
    """The complete records with their line ends, blank lines among them, and how many bytes are left over."""
    pattern = grammar_of(dialect).records_of(data)
    found: list[bytes] = pattern.findall(data)
    if not found or found[-1]:
        return found, 0
    found.pop()
    rest = len(data) - sum(map(len, found))
    if is_last and pattern.findall(data[-rest:] + b"\n") == [data[-rest:] + b"\n"]:
        return [*found, data[-rest:]], 0
    return found, rest


def split(data: bytes, dialect: Dialect) -> list[bytes]:
    """All lines and records of a piece with their ends; the last may have none."""
    if dialect.quote and dialect.quote in data:
        found, rest = _find(data, dialect, is_last=True)
        return [*found, data[-rest:]] if rest else found  # a quote is open at the end of other bytes than were counted
    return data.splitlines(keepends=True)


def open_quote(tail: bytes, dialect: Dialect) -> int | None:
    """Where a quote opens that does not close, in a record that does not end."""
    if not dialect.quote or dialect.quote not in tail:
        return None
    grammar = grammar_of(dialect)
    found = re.match(grammar.body_tight if grammar.is_tight(tail) else grammar.body_loose, tail)
    return tail.find(dialect.quote, found.end() if found else 0)


def _count_plain(data: bytes) -> tuple[int, int]:
    """Lines that are not blank, and line ends, in a text without quotes."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = data.count(b"\n")
    if data.startswith(b"\n") or BLANK_LINE.search(data):
        return sum(map(bool, data.split(b"\n"))), lines
    return lines + (1 if data and not data.endswith(b"\n") else 0), lines


def count_comments(lines: Iterable[bytes], dialect: Dialect) -> int:
    """Of all lines and records of a text, those that are comments."""
    return sum(line.startswith(dialect.comment) for line in lines)


def count_lines(data: bytes) -> int:
    """Line ends: LF, CRLF and CR each count once."""
    if b"\r" not in data:
        return data.count(b"\n")
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def without_line_end(text: bytes) -> bytes:
    if text.endswith(b"\r\n"):
        return text[:-2]
    return text[:-1] if text.endswith((b"\n", b"\r")) else text
