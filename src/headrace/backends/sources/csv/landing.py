"""The text of a CSV file: records counted while they land, and cut into pieces when they are read again.

Nothing here types a field. The invariant: the counter and the cutter see the same text and the same dialect, so
their records are the same ones.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

from headrace.backends.texts.incoming import Incoming, texts_of
from headrace.core.delimiters import delimiter_advice
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.ports import JSON
from headrace.core.records import Piece, Record, Scanner
from headrace.core.sniffing import AUTO, SniffingScanner

__all__ = ["Counter", "Cut", "cut", "dialect_of", "header_of"]

_MAX_COLUMNS = 10_000


def dialect_of(options: Mapping[str, JSON]) -> Dialect:
    def sign(name: str, default: str) -> bytes:
        return str(options.get(name, default) or "").encode()

    skip = options.get("skip", 0)
    skip_lines = skip if isinstance(skip, int) else 0
    return Dialect(sign("delimiter", ","), sign("quote", '"'), sign("escape", ""), skip_lines, comment=sign("comment", ""))


class Counter:
    """Counts the data records of one file from its raw bytes, and refuses what is no CSV file."""

    def __init__(self, file: str, options: Mapping[str, JSON]) -> None:
        self._incoming = Incoming(file, options, is_measured=True)
        self._scanner = _scanner(file, options, "utf-8")  # where a record stands is not asked here
        self._file, self._has_header = file, not options.get("names")
        self._records = 0

    def feed(self, chunk: bytes) -> None:
        for data in self._incoming.feed(chunk):
            self._add(self._scanner.feed(data))

    def finish(self) -> int:
        for data in self._incoming.finish():
            self._add(self._scanner.feed(data))
        self._add(self._scanner.finish())
        if self._has_header and not self._records:
            raise SourceError(f"`{self._file}` has only blank lines: there is no header.")
        return self._records - self._has_header

    def _add(self, piece: Piece | None) -> None:
        if piece:
            self._records += piece.records


class Cut:
    """A file in pieces: `names` are its columns, `pieces` its data records; how they were read is known once they have begun.

    `comments` counts the lines that are comments, those before the header among them, as far as the pieces were taken.
    """

    def __init__(self, names: tuple[str, ...], pieces: Iterable[Piece], incoming: Incoming, comments: int = 0) -> None:
        self.names, self.comments = names, comments
        self._pieces, self._incoming = pieces, incoming

    @property
    def pieces(self) -> Iterator[Piece]:
        for piece in self._pieces:
            self.comments += piece.comments
            yield piece

    @property
    def read_as(self) -> Mapping[str, JSON]:
        return self._incoming.read_as


def cut(path: Path, options: Mapping[str, JSON], *, name: str) -> Cut:
    """Begin to read a file. Raises SourceError for a header that can't be one."""
    given = options.get("names")
    incoming = Incoming(name, options, is_measured=False)
    pieces = _pieces(path, incoming, options, name)
    if isinstance(given, list | tuple):
        return Cut(tuple(map(str, given)), pieces, incoming)
    comments = 0
    for piece in pieces:
        header, comments = piece.first(), comments + piece.comments
        if header:
            rest = piece.after(header)
            return Cut(_names_of(header, piece.dialect, name), chain([rest], pieces), incoming, comments - rest.comments)
    raise SourceError(f"`{name}` has only blank lines: there is no header.")


def header_of(path: Path, options: Mapping[str, JSON], *, name: str) -> tuple[str, ...]:
    return cut(path, options, name=name).names


def _pieces(path: Path, incoming: Incoming, options: Mapping[str, JSON], name: str) -> Iterator[Piece]:
    texts = texts_of(path, incoming)
    first = next(texts, b"")  # then the encoding is known
    scanner = _scanner(name, options, incoming.encoding)
    for chunk in chain([first], texts):
        piece = scanner.feed(chunk)
        if piece:
            yield piece
    last = scanner.finish()
    if last:
        yield last


def _scanner(file: str, options: Mapping[str, JSON], encoding: str) -> Scanner | SniffingScanner:
    dialect, names = replace(dialect_of(options), encoding=encoding), options.get("names")
    if options.get("delimiter") != AUTO:
        return Scanner(file, dialect)
    return SniffingScanner(file, dialect, len(names) if isinstance(names, list | tuple) else None)


def _names_of(header: Record, dialect: Dialect, file: str) -> tuple[str, ...]:
    fields = fields_of(header.raw, dialect)
    if isinstance(fields, str):
        advice = delimiter_advice([header.raw.decode("utf-8", "replace")], dialect.delimiter.decode())
        raise SourceError(f"The header of `{file}` (line {header.line}) can't be read: {fields}. {advice}".rstrip())
    if len(fields) > _MAX_COLUMNS:
        raise SourceError(
            f"`{file}` has {len(fields)} columns, and {_MAX_COLUMNS} is the most that is read. Is {dialect.delimiter.decode()!r} its delimiter?"
        )
    names = tuple(text.decode().strip() or f"column_{n}" for n, (text, _) in enumerate(fields, 1))
    twice = [name for name, count in Tally(names).items() if count > 1]
    if twice:
        raise SourceError(
            f"The header of `{file}` has the column {', '.join(f'`{name}`' for name in twice[:5])} more than once. "
            "Give each column a name of its own with names=[…] and skip=1."
        )
    return names
