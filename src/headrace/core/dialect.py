"""How the fields and records of a delimited text are marked, and the patterns that follow from it.

A quote opens only at the start of a field (spaces before it aside), and what follows the closing one up to the delimiter belongs to the
same field. Nothing here reads bytes in bulk: `core.cutting` does. The invariant: a pattern is possessive, so that where a closing quote
is missing it fails, and never takes a quote for something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

__all__ = ["Dialect", "Grammar", "fields_of", "grammar_of"]


@dataclass(frozen=True)
class Dialect:
    """How fields and records are marked. An empty `quote` means that nothing is quoted; `escape` is the quote itself unless told.

    A line that begins with `comment`, outside quotes, is no record. The text is UTF-8; `encoding` is what it was in the file, where places
    are counted.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""
    skip_lines: int = 0
    encoding: str = "utf-8"
    comment: bytes = b""

    @property
    def quoted(self) -> bytes:
        """A pattern of a quoted field with its quotes. Possessive: when the closing quote is missing nothing else may match."""
        quote, escape = re.escape(self.quote), re.escape(self.escape or self.quote)
        if escape == quote:
            return b"%b((?>[^%b]++|%b%b)*+)%b" % (quote, quote, quote, quote, quote)
        return b"%b((?>[^%b%b]++|%b(?s:.))*+)%b" % (quote, quote, escape, escape, quote)

    def may_comment(self, data: bytes) -> bool:
        """Whether a line of a text that begins with a record begins as a comment does; it may stand in quotes, and be none."""
        return bool(self.comment) and (data.startswith(self.comment) or b"\n" + self.comment in data or b"\r" + self.comment in data)

    @property
    def padding(self) -> bytes:
        """A pattern of the spaces that may stand around quotes."""
        return b"" if self.delimiter == b" " else b"\\x20*+"


class Grammar:
    """The patterns of one dialect that has quotes, compiled once."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.delimiter, self.quote = re.escape(dialect.delimiter), re.escape(dialect.quote)

    @cached_property
    def body_tight(self) -> bytes:
        """A record without its end, where no spaces stand before an opening quote: long runs are passed over at once."""
        d, q = self.delimiter, self.quote
        return b"(?:[^%b\\r\\n]++|(?<![^%b\\r\\n])%b|(?<=[^%b\\r\\n])%b)*+" % (q, d, _no_groups(self.dialect.quoted), d, q)

    @cached_property
    def body_loose(self) -> bytes:
        """A record without its end, field by field."""
        d, q, pad = self.delimiter, self.quote, self.dialect.padding
        one = b"(?:%b%b[^%b\\r\\n]*+|(?!%b%b)[^%b\\r\\n]*+)" % (pad, _no_groups(self.dialect.quoted), d, pad, q, d)
        return b"%b(?:%b%b)*+" % (one, d, one)

    @cached_property
    def quoted(self) -> re.Pattern[bytes]:
        """A quoted field of a record without spaces before its quotes. It begins with the quote, which is searched for at speed, and looks back from there."""
        inside = _no_groups(self.dialect.quoted)[len(self.quote) :]
        return re.compile(b"%b(?<![^%b\\r\\n]%b)%b" % (self.quote, self.delimiter, self.quote, inside))

    @cached_property
    def tight(self) -> re.Pattern[bytes]:
        return _whole(self.body_tight)

    @cached_property
    def loose(self) -> re.Pattern[bytes]:
        return _whole(self.body_loose)

    @cached_property
    def commented(self) -> re.Pattern[bytes]:
        """As `loose`, in a text in which lines may be comments: a quote in one of those opens nothing."""
        sign = re.escape(self.dialect.comment)
        return _whole(b"(?:%b[^\\r\\n]*+|(?!%b)%b)" % (sign, sign, self.body_loose))

    @cached_property
    def field(self) -> re.Pattern[bytes]:
        """One field up to the delimiter or the record's end: the inside of its quotes, or the bare text."""
        d, q, pad = self.delimiter, self.quote, self.dialect.padding
        return re.compile(b"(?:%b%b%b|(?!%b%b)([^%b]*+))(?=%b|\\Z)" % (pad, self.dialect.quoted, pad, pad, q, d, d))

    @cached_property
    def value(self) -> re.Pattern[bytes]:
        """A quoted field anywhere in a record, and the inside of its quotes."""
        return re.compile(b"(?:\\A|%b)%b%b" % (self.delimiter, self.dialect.padding, self.dialect.quoted))

    def records_of(self, data: bytes) -> re.Pattern[bytes]:
        """The pattern that finds the records of a text at the most speed."""
        if self.dialect.may_comment(data):
            return self.commented
        return self.tight if self.is_tight(data) else self.loose

    def is_tight(self, data: bytes) -> bool:
        """Whether no spaces stand before an opening quote: looked for first anywhere, then outside quotes."""
        if self.dialect.delimiter == b" " or not self._has_padded_quote(data):
            return True
        return not self._has_padded_quote(self.quoted.sub(b"x", data))

    def _has_padded_quote(self, data: bytes) -> bool:
        """Whether somewhere only spaces stand between the start of a field and a quote. By hand: a pattern takes ten times as long."""
        padded, starts = b" " + self.dialect.quote, self.dialect.delimiter + b"\r\n"
        at = data.find(padded)
        while at >= 0:
            before = at - 1
            while before >= 0 and data[before] == 0x20:
                before -= 1
            if before < 0 or data[before] in starts:
                return True
            at = data.find(padded, at + 1)
        return False

    def unescape(self, inside: bytes) -> bytes:
        escape = self.dialect.escape or self.dialect.quote
        if escape == self.dialect.quote:
            return inside.replace(escape * 2, escape)
        if escape not in inside:
            return inside
        return re.sub(re.escape(escape) + b"((?s:.))", b"\\1", inside)


@lru_cache(maxsize=8)
def grammar_of(dialect: Dialect) -> Grammar:
    return Grammar(dialect)


def fields_of(raw: bytes, dialect: Dialect) -> list[tuple[bytes, bool]] | str:
    """The fields of one record, each with whether it was quoted; or what is wrong with the record, in words."""
    if not dialect.quote or dialect.quote not in raw:
        return [(field, False) for field in raw.split(dialect.delimiter)]
    grammar = grammar_of(dialect)
    found: list[tuple[bytes, bool]] = []
    at = 0
    while True:
        field = grammar.field.match(raw, at)
        if field is None:
            return f"text after a closing quote in field {len(found) + 1}"
        quoted, plain = field.groups()
        found.append((grammar.unescape(quoted), True) if quoted is not None else (plain, False))
        at = field.end() + 1
        if field.end() == len(raw):
            return found


def _no_groups(pattern: bytes) -> bytes:
    return pattern.replace(b"((?>", b"(?:(?>")


def _whole(body: bytes) -> re.Pattern[bytes]:
    """Complete records as group 1; what is left at the end is one last match without it. A CR at the very end may be half a CRLF."""
    return re.compile(b"(%b(?:\\r\\n|\\n|\\r(?s:(?=.))))|(?s:.)++" % body)
