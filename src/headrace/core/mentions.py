"""Where a value stands as a word in texts that are no column of a key: in a note, a comment, a list, another file of an archive.

Pure. A value is looked for as it is, and as JSON, CSV, addresses and HTML spell it. What is found is a place and never the text around it. The
invariant: a text in which the value is a word of its own, in one of these spellings, is found; of one that is found nobody knows that it is
about the same person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from headrace.core.ports import JSON, Engine, Landed, SourceFormat
from headrace.core.redaction import encoded

__all__ = [
    "MOST_PLACES",
    "Place",
    "SearchingEngine",
    "SearchingFormat",
    "Unseen",
    "Words",
    "WordsInRows",
    "pattern_of",
    "places_in",
    "spellings",
]

MOST_PLACES = 1000
"""So many places of one file are told apart; a value that is found more often is known to be everywhere."""

_ESCAPE = re.compile(r"(?:\\[abfnrtv0]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2})\Z")
_LONGEST_ESCAPE = 6
_SQL_BEFORE = r"(?:^|[^\p{L}\p{N}_]|\\[abfnrtv0]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2})"
_SQL_AFTER = r"(?:[^\p{L}\p{N}_]|$)"
_LONGEST_LINE = 64 * 1024


class Words:
    """The values of a key, each of which a text has to hold as a word of its own; of a file, several of them on one line."""

    def __init__(self, values: Iterable[str]) -> None:
        self.values = tuple(sorted(set(values), key=lambda value: (-len(value), value)))  # the first is the rarest, more or less
        self.spelt = tuple(spellings(value) for value in self.values)

    @property
    def reach(self) -> int:
        """How many characters before and after a place tell whether the values are there."""
        longest = max(len(one) for spelt in self.spelt for one in spelt) + _LONGEST_ESCAPE + 1
        return longest if len(self.values) == 1 else max(longest, _LONGEST_LINE)

    def at(self, text: str) -> Iterator[int]:
        """Where the first of the values begins in a text, in order; a line that is longer than what is looked at is taken to hold the others."""
        for found in _at(text, self.spelt[0]):
            if len(self.values) == 1 or self._are_beside(text, found):
                yield found

    def are_in(self, text: str) -> bool:
        """Whether all of the values are words of a text, on whatever lines."""
        return all(next(_at(text, spelt), None) is not None for spelt in self.spelt)

    def may_be_in(self, raw: bytes, encoding: str = "utf-8") -> bool:
        """Whether the bytes of a text have the letters of all values: quickly told."""
        return all(any(one.encode(encoding, "replace") in raw for one in spelt) for spelt in self.spelt)

    def hidden(self, text: str) -> str:
        """A text without the values, as it may be told."""
        for one in self._all:
            text = text.replace(one, "***")
        return text

    @cached_property
    def _all(self) -> list[str]:
        return sorted((one for spelt in self.spelt for one in spelt), key=len, reverse=True)

    def _are_beside(self, text: str, at: int) -> bool:
        begin, end = max(0, at - _LONGEST_LINE), at + _LONGEST_LINE
        first = max(text.rfind("\n", begin, at), text.rfind("\r", begin, at)) + 1
        last = min((found for sign in "\r\n" if (found := text.find(sign, at, end)) >= 0), default=len(text))
        if (begin and not first) or last - at > _LONGEST_LINE:
            return True
        line = text[first:last]
        return all(next(_at(line, spelt), None) is not None for spelt in self.spelt[1:])


class Stretch(NamedTuple):
    """A record of a file, by its place and its size: see `headrace.core.records.Record`."""

    line: int
    offset: int
    size: int


@dataclass(frozen=True)
class Place:
    """Where a value stands: a line from 1 and a byte from 0 of a file without its compression, or of another file of its archive.

    Of a file of typed records, `line` is the record's number, and `offset` where the block begins that holds it. `beside` says what it is
    where it is no line of the file that is read: such as a name.
    """

    line: int
    offset: int
    beside: str = ""


@dataclass(frozen=True)
class Unseen:
    """A part of a file that could not be looked into, and why."""

    why: str


@dataclass(frozen=True)
class WordsInRows:
    """In how many rows of a file values stand, in how many of each column, and the numbers of the first of them, from 1."""

    rows: int
    columns: Mapping[str, int]
    first: tuple[int, ...]


@runtime_checkable
class SearchingFormat(SourceFormat, Protocol):
    """A format whose files can be searched for words, also where no record is."""

    def mentions(
        self, file: Landed, words: Words, *, options: Mapping[str, JSON], besides: Sequence[Stretch] = ()
    ) -> Iterator[Place | Unseen]:
        """Where words stand in a file, outside of some records, in order: as it is read, and in all else that is in it."""
        ...


@runtime_checkable
class SearchingEngine(Engine, Protocol):
    """An engine that can search rows for words."""

    def mentions(self, file: Path, words: Words, *, besides: Sequence[Mapping[str, str]] = ()) -> WordsInRows:
        """The rows of a Parquet file that have each of the words in any column, but for those that hold one of some keys, as `find` has them."""
        ...


def spellings(value: str) -> tuple[str, ...]:
    """A value as a text may spell it.

    >>> spellings("17850")
    ('17850',)
    >>> spellings("ann a")
    ('ann a', 'ann%20a', 'ann+a')
    """
    return tuple(dict.fromkeys([value, value.replace('"', '""'), *encoded(value)]))


def pattern_of(spelt: str) -> str:
    """A regular expression of RE2 for a spelling as a word of its own."""
    before = _SQL_BEFORE if _is_of_word(spelt[0]) else ""
    after = _SQL_AFTER if _is_of_word(spelt[-1]) else ""
    return before + re.escape(spelt) + after


def places_in(texts: Iterable[str], words: Words, encoding: str, *, beside: str = "") -> Iterator[Place]:
    """Where words stand in a text that comes in pieces of any size, by the bytes that it has in an encoding."""
    held, begin, line, offset = "", 0, 1, 0  # what was judged before `begin` of what is held is there to be looked at
    for text, is_last in _with_last(texts):
        held += text
        end = len(held) if is_last else max(begin, len(held) - words.reach)
        known, known_line, known_offset = 0, line, offset
        for at in words.at(held):
            if begin <= at < end:
                known_line += _line_ends(held, known, at)
                known_offset += _size(held[known:at], encoding)
                known = at
                yield Place(known_line, known_offset, beside)
        gone = max(0, end - words.reach)
        line, offset = line + _line_ends(held, 0, gone), offset + _size(held[:gone], encoding)
        held, begin = held[gone:], end - gone


# ---------------------------------------------------------------- words


def _at(text: str, spelt: Sequence[str]) -> Iterator[int]:
    """Where a value begins as a word of its own, in any of its spellings, in order and each place once."""
    last = -1
    for found in merge(*(_each(text, one) for one in spelt)):
        if found != last:
            yield found
        last = found


def _each(text: str, spelt: str) -> Iterator[int]:
    found = text.find(spelt)
    while found >= 0:
        if _is_word(text, found, found + len(spelt)):
            yield found
        found = text.find(spelt, found + 1)


def _is_word(text: str, begin: int, end: int) -> bool:
    """Whether no letter or digit is right before or after a stretch that begins or ends in one, but for that of an escape before it."""
    if end < len(text) and _is_of_word(text[end - 1]) and _is_of_word(text[end]):
        return False
    if not begin or not _is_of_word(text[begin]) or not _is_of_word(text[begin - 1]):
        return True
    return _ESCAPE.search(text[max(0, begin - _LONGEST_ESCAPE) : begin]) is not None


def _is_of_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_"


# ---------------------------------------------------------------- pieces


def _with_last(texts: Iterable[str]) -> Iterator[tuple[str, bool]]:
    for text in texts:
        yield text, False
    yield "", True


def _line_ends(text: str, begin: int, end: int) -> int:
    """LF, CRLF and CR each count once; a CRLF is counted with its LF."""
    return text.count("\n", begin, end) + text.count("\r", begin, end) - text.count("\r\n", begin, end + 1)


def _size(text: str, encoding: str) -> int:
    if text.isascii():
        return len(text) * (2 if encoding.startswith("utf-16") else 1)
    return len(text.encode(encoding, "surrogateescape"))
