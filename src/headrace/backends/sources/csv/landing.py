"""The text of a CSV file: records counted while they land, and cut into pieces when they are read again.

Nothing here types a field. The invariant: the counter and the cutter see the same text and the same dialect, so
their records are the same ones.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from headrace.backends.texts.incoming import Incoming, texts_of
from headrace.backends.texts.outline import Extents
from headrace.backends.texts.streams import PIECE_BYTES
from headrace.core.counted import Counted
from headrace.core.delimiters import delimiter_advice
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.headers import Verdict, header_among
from headrace.core.ports import JSON
from headrace.core.records import Piece, Record, Scanner, counted_with
from headrace.core.sniffing import AUTO, SAMPLE_BYTES, SniffingScanner

__all__ = ["Counter", "Cut", "cut", "dialect_of", "has_header", "header_of"]

_MAX_COLUMNS = 10_000
_LONGEST_NAME = 5_000
_FIRST_BYTES, _LARGER = 256 * 1024, 1.25
_MOST_IN_PIECE, _MOST_SHORT, _SHORT = 160_000, 60_000, 24  # records, and the bytes below which one is short
_MOST_RECORDS, _FEWEST_RECORDS, _MOST_FIELDS = 200, 5, 20_000  # that a header is held against


def dialect_of(options: Mapping[str, JSON]) -> Dialect:
    """The signs that are said; of those that are to be found, the usual ones until they are."""

    def sign(name: str, default: str) -> bytes:
        said = options.get(name, default)
        return str((default if said == AUTO else said) or "").encode()

    skip = options.get("skip", 0)
    skip_lines = skip if isinstance(skip, int) else 0
    return Dialect(sign("delimiter", ","), sign("quote", '"'), sign("escape", ""), skip_lines, comment=sign("comment", ""))


def has_header(options: Mapping[str, JSON]) -> bool:
    """Whether the first record of a file is none of its data."""
    return not options.get("names") and options.get("header") is not False


class Counter:
    """Counts the data records of one file from its raw bytes, and refuses what is no CSV file. `counted` is what is known up to some of its bytes."""

    def __init__(self, file: str, options: Mapping[str, JSON]) -> None:
        self._incoming = Incoming(file, options, is_measured=True)
        self._scanner = _scanner(file, options, "utf-8")  # where a record stands is not asked here
        self._file, self._has_header = file, has_header(options)
        self._records = 0
        self.counted: Counted | None = None

    def feed(self, chunk: bytes) -> None:
        for data in self._incoming.feed(chunk):
            self._add(self._scanner.feed(data))

    def finish(self) -> int:
        for data in self._incoming.finish():
            self._add(self._scanner.feed(data))
        last = self._scanner.finish()
        self._records += last.records if last else 0
        if self._has_header and not self._records:
            raise SourceError(f"`{self._file}` has only blank lines: there is no header.")
        return self._records - self._has_header

    def _add(self, piece: Piece | None) -> None:
        if piece:
            self._records += piece.records
            self.counted = counted_with(piece, self._records, self.counted)


class Cut:
    """A file in pieces: `names` are its columns, `pieces` its data records; how they were read is known once they have begun.

    `comments` counts the lines that are comments, those before the header among them, as far as the pieces were taken. `header` is the record
    that the names are from, if they are from one.
    """

    def __init__(
        self, names: tuple[str, ...], pieces: Iterator[Piece], incoming: Incoming, comments: int = 0, *, header: Record | None = None
    ) -> None:
        self.names, self.comments, self.header = names, comments, header
        self._pieces, self._incoming = pieces, incoming

    @property
    def pieces(self) -> Iterator[Piece]:
        for piece in self._pieces:
            self.comments += piece.comments
            yield piece

    @property
    def read_as(self) -> Mapping[str, JSON]:
        return self._incoming.read_as

    def verdict(self) -> Verdict | None:
        """Whether the header is one, told from the first records below it. To be asked before the pieces are taken."""
        if self.header is None:
            return None
        ahead, dialect = self._ahead()
        most = max(_FEWEST_RECORDS, min(_MOST_RECORDS, _MOST_FIELDS // len(self.names)))
        texts = [text for piece in ahead for text in _beginning(piece, most)]
        return header_among(_fields(self.header.raw, dialect), [_fields(text, dialect) for text in texts])

    def line_with(self, names: Collection[str]) -> int | None:
        """The line of the first record that has all of some names among its fields, of those that come soon. To be asked before the pieces are taken."""
        ahead, dialect = self._ahead()
        records = (record for piece in ahead for _, record in islice(piece.split(), _MOST_RECORDS))
        return next((record.line for record in records if {text.strip() for text in _fields(record.raw, dialect)} >= {*names}), None)

    def _ahead(self) -> tuple[list[Piece], Dialect]:
        """The pieces up to the first that has a record; they are still to come."""
        ahead = list(islice(self._pieces, 1))
        while ahead and not ahead[-1].records and (more := next(self._pieces, None)):
            ahead.append(more)
        self._pieces = chain(ahead, self._pieces)
        return ahead, ahead[0].dialect if ahead else Dialect()


def cut(path: Path, options: Mapping[str, JSON], *, name: str, counted: Counted | None = None) -> Cut:
    """Begin to read a file, of which it may be known what was counted by the same options. Raises SourceError for a header that can't be one."""
    given = options.get("names")
    incoming = Incoming(name, options, is_measured=False)
    pieces = _pieces(path, incoming, options, name, counted)
    if isinstance(given, list | tuple):
        return Cut(tuple(map(str, given)), pieces, incoming)
    comments = 0
    for piece in pieces:
        header, comments = piece.first(), comments + piece.comments
        if header and not has_header(options):
            return Cut(_numbered(header, piece.dialect, name), chain([piece], pieces), incoming, comments - piece.comments)
        if header:
            rest = piece.after(header)
            return Cut(_names_of(header, piece.dialect, name), chain([rest], pieces), incoming, comments - rest.comments, header=header)
    raise SourceError(f"`{name}` has only blank lines: there is no header.")


def header_of(path: Path, options: Mapping[str, JSON], *, name: str) -> tuple[str, ...]:
    return cut(path, options, name=name).names


def _pieces(path: Path, incoming: Incoming, options: Mapping[str, JSON], name: str, counted: Counted | None) -> Iterator[Piece]:
    texts = texts_of(path, incoming)
    first = next(texts, b"")  # then the encoding is known
    scanner = _scanner(name, options, incoming.encoding, counted)
    step = _FIRST_BYTES
    for chunk in chain([first], texts):
        at = 0
        while at < len(chunk):
            end = at + step if len(chunk) - at > step * _LARGER else len(chunk)  # a sliver would cost as much as a piece does
            piece = scanner.feed(chunk[at:end])
            at = end
            if piece:
                step = _bytes_for(piece)
                yield piece
    last = scanner.finish()
    if last:
        yield last


def _bytes_for(piece: Piece) -> int:
    """How much text is cut next, after a piece: records that have to be split here are Python objects, so there are not too many in one."""
    most = _MOST_SHORT if len(piece.data) < _SHORT * piece.records else _MOST_IN_PIECE
    return max(_FIRST_BYTES, min(PIECE_BYTES, most * len(piece.data) // max(1, piece.records)))


def _scanner(file: str, options: Mapping[str, JSON], encoding: str, counted: Counted | None = None) -> Scanner | SniffingScanner:
    dialect, names = replace(dialect_of(options), encoding=encoding), options.get("names")
    finds = [name for name in ("delimiter", "quote") if options.get(name) == AUTO]
    if not finds:
        return Scanner(file, dialect, extent_of=Extents(), counted=counted)
    width = len(names) if isinstance(names, list | tuple) else None
    return SniffingScanner(file, dialect, width, finds=finds, extent_of=Extents(), counted=counted)


def _beginning(piece: Piece, most: int) -> list[bytes]:
    """The first records of a piece, whole ones only."""
    if len(piece.data) <= SAMPLE_BYTES:
        return piece.texts()[:most]
    return replace(piece, data=piece.data[:SAMPLE_BYTES], line_ends=None).texts()[:-1][:most]


def _fields(raw: bytes, dialect: Dialect) -> list[str]:
    found = fields_of(raw, dialect)
    return [] if isinstance(found, str) else [text.decode("utf-8", "replace") for text, _ in found]


def _numbered(first: Record, dialect: Dialect, file: str) -> tuple[str, ...]:
    """Names for the columns of a file that has none, as many as its first record has fields."""
    fields = fields_of(first.raw, dialect)
    if isinstance(fields, str):
        raise SourceError(
            f"The first record of `{file}` (line {first.line}) can't be read: {fields}. Mend it, or name the columns: names=[…]."
        )
    _check_width(len(fields), dialect, file)
    return tuple(f"column_{n}" for n in range(1, len(fields) + 1))


def _names_of(header: Record, dialect: Dialect, file: str) -> tuple[str, ...]:
    fields = fields_of(header.raw, dialect)
    if isinstance(fields, str):
        advice = delimiter_advice([header.raw.decode("utf-8", "replace")], dialect.delimiter.decode())
        raise SourceError(f"The header of `{file}` (line {header.line}) can't be read: {fields}. {advice}".rstrip())
    _check_width(len(fields), dialect, file)
    if not any(text.strip() for text, _ in fields):
        raise SourceError(
            f"The header of `{file}` (line {header.line}) names no column. If that line is no header, pass over it with skip={header.line}; "
            "or name the columns: names=[…]."
        )
    names = tuple(text.decode().strip() or f"column_{n}" for n, (text, _) in enumerate(fields, 1))
    long = next((name for name in names if len(name) > _LONGEST_NAME), None)
    if long is not None:
        raise SourceError(
            f"The header of `{file}` has a name of {len(long)} characters, and {_LONGEST_NAME} is the most that is read: it begins with {long[:60]!r}. "
            "Is it a header? If not, say skip=…; if it is, name the columns: names=[…] and skip=1."
        )
    twice = [name for name, count in Tally(names).items() if count > 1]
    if twice:
        raise SourceError(
            f"The header of `{file}` has the column {', '.join(f'`{name}`' for name in twice[:5])} more than once. "
            "Give each column a name of its own with names=[…] and skip=1; if that line is a record and no header, without skip=1."
        )
    return names


def _check_width(width: int, dialect: Dialect, file: str) -> None:
    if width > _MAX_COLUMNS:
        raise SourceError(
            f"`{file}` has {width} columns, and {_MAX_COLUMNS} is the most that is read. Is {dialect.delimiter.decode()!r} its delimiter?"
        )
