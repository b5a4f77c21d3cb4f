"""Lines split into tokens: by patterns of what the lines before looked like, and what matches none by the parser, which alone says what is wrong.

The invariant: the rows are as many as the lines, in their order, and the same whatever the patterns are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from headrace.backends.sources.json.known import Known
from headrace.backends.sources.json.patterns import Pattern
from headrace.backends.sources.json.records import NoRecordError, object_in
from headrace.backends.sources.json.tokens import ODD, Row, getter, token_of
from headrace.core.records import Piece

__all__ = ["Found", "Splitter"]

_STRETCH = 1024 * 1024  # bytes whose tokens are Python objects at once
_FEWEST = 200  # lines for which a pattern is worth its making
_SAMPLE = 100  # lines that a pattern is made from
_MANY = 20  # one line in so many
_LINE = itemgetter(-1)
_NOTHING = ("", "null")


@dataclass
class Found:
    """What splitting has told of a piece: how many lines it has, what is odd of which, by number from 1, and its keys, each with the record where it
    first stands and its place there; and which columns have any value, which have texts, and which arrays or objects.
    """

    most_keys: int
    lines: int = 0
    odd: dict[int, str] = field(default_factory=dict[int, str])
    keys: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    present: set[int] = field(default_factory=set[int])
    texts: set[int] = field(default_factory=set[int])
    parts: set[int] = field(default_factory=set[int])

    def keys_in_order(self) -> list[str]:
        return sorted(self.keys, key=self.keys.__getitem__)

    def see(self, key: str, n: int, place: int) -> None:
        before = self.keys.get(key)
        if before is None or (n, place) < before:
            self.keys[key] = (n, place)


class Splitter:
    """Splits the lines of one file, in any thread, into the tokens of `names`. What it learns of some makes the others quick."""

    def __init__(self, names: Sequence[str]) -> None:
        self._getters = tuple(map(getter, names))
        self._known = Known(names)

    def rows(self, piece: Piece, found: Found) -> Iterator[Sequence[Row]]:
        """The rows of a piece, a stretch at a time; what else it tells is added to `found`."""
        for text in _stretches(piece.joined()):
            rows = self._split(text, found)
            found.lines += len(rows)
            yield rows

    def _split(self, text: str, found: Found) -> Sequence[Row]:
        begin = found.lines + 1
        numbers: Sequence[int] = range(begin, begin + text.count("\n") + 1)
        if len(numbers) >= _FEWEST and not self._known.patterns:
            self._known.learn(text.split("\n", _SAMPLE)[:_SAMPLE])
        rows: list[Row] = [()] * len(numbers)
        for pattern in self._known.patterns:
            matches: list[Row] = pattern.regex.findall(text)
            fits = _Fits(matches, numbers)
            self._tell(pattern, fits, found)
            ordered = self._ordered(pattern, fits.matches)
            if len(fits.matches) == len(rows):
                return ordered
            for n, row in zip(fits.numbers, ordered, strict=True):
                rows[n - begin] = row
            text, numbers = fits.left, fits.left_numbers
            if not numbers:
                return rows
        lines = text.split("\n")
        for n, line in zip(numbers, lines, strict=True):
            rows[n - begin] = self._parsed(line, n, found)
        if len(lines) * _MANY > len(rows) >= _FEWEST:
            self._known.learn(lines[:: len(lines) // _SAMPLE + 1])
        return rows

    def _ordered(self, pattern: Pattern, matches: Sequence[Row]) -> Sequence[Row]:
        """Groups in the order of the columns. The last, which holds no line here, stands for what a pattern lacks, and says that nothing is odd."""
        order = [pattern.paths.index(path) if path in pattern.paths else -1 for path in self._known.paths]
        if [*order, len(order)] == list(range(len(pattern.paths) + 1)):
            return matches
        return list(map(itemgetter(*order, -1), matches)) if order else [("",)] * len(matches)

    def _tell(self, pattern: Pattern, fits: _Fits, found: Found) -> None:
        """What lines tell that fit a pattern: a look at some of them, mostly."""
        if not fits.matches:
            return
        for place, (name, _) in enumerate(pattern.shape.members or ()):
            first = (
                fits.numbers[0]
                if name in pattern.shape.required
                else None
                if name in found.keys
                else fits.first(pattern.paths.index((name,)))
            )
            if first is not None:
                found.see(name, first, place)
        for column, path in enumerate(self._known.paths):
            shape = pattern.shape.at(path)
            if shape is None:
                continue
            group = pattern.paths.index(path)
            if column not in found.present and any(match[group] not in _NOTHING for match in fits.matches):
                found.present.add(column)
            if column not in found.texts and "text" in shape.kinds and any(match[group][:1] == '"' for match in fits.matches):
                found.texts.add(column)
            if shape.has_parts:
                found.parts.add(column)

    def _parsed(self, line: str, n: int, found: Found) -> Row:
        try:
            record = object_in(line)
        except NoRecordError as error:
            found.odd[n] = f"record {error}"
            return (*[""] * len(self._getters), ODD)
        if len(found.keys) < found.most_keys:
            for place, key in enumerate(record):
                found.see(key, n, place)
        tokens = [token_of(get(record)) for get in self._getters]
        for column, token in enumerate(tokens):
            if token:
                found.present.add(column)
                if token[0] == '"':
                    found.texts.add(column)
                elif token[0] in "[{":
                    found.parts.add(column)
        return (*tokens, "")


class _Fits:
    """What a pattern found in lines of these numbers: the matches of those that fit, and the others as they are, as a text."""

    def __init__(self, matches: Sequence[Row], numbers: Sequence[int]) -> None:
        self.matches, self.numbers = matches, numbers
        self.left, self.left_numbers = "", list[int]()
        if any(map(_LINE, matches)):
            self.left = "\n".join(filter(None, map(_LINE, matches)))
            self.left_numbers = [n for n, match in zip(numbers, matches, strict=True) if match[-1]]
            self.numbers = [n for n, match in zip(numbers, matches, strict=True) if not match[-1]]
            self.matches = [match for match in matches if not match[-1]]

    def first(self, group: int) -> int | None:
        """The first line in which a group is not empty."""
        return next((n for n, match in zip(self.numbers, self.matches, strict=True) if match[group]), None)


def _stretches(lines: bytes) -> Iterator[str]:
    """Some lines at a time, with an LF between them."""
    at = 0
    while at < len(lines):
        end = lines.rfind(b"\n", at, at + _STRETCH)
        if end < 0:
            end = lines.find(b"\n", at + _STRETCH)
        if end < 0 or at + _STRETCH >= len(lines):
            end = len(lines)
        yield lines[at:end].decode()
        at = end + 1
