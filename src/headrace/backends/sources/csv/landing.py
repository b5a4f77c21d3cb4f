"""The bytes of a CSV file: gzip undone, records counted while they land, and cut into pieces when they are read again.

Nothing here types a field. The invariant: the counter and the cutter see the same decompressed bytes and the same dialect, so
their records are the same ones.
"""

from __future__ import annotations

import zlib
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from headrace.core.delimiters import delimiter_advice
from headrace.core.dialect import Dialect, fields_of
from headrace.core.errors import SourceError
from headrace.core.ports import JSON
from headrace.core.records import Piece, Record, Scanner

__all__ = ["Counter", "Cut", "chunks", "cut", "dialect_of", "header_of"]

_PIECE_BYTES = 8 * 1024 * 1024
_MAX_COLUMNS = 10_000
_GZIP = b"\x1f\x8b"


def dialect_of(options: Mapping[str, JSON]) -> Dialect:
    def sign(name: str, default: str) -> bytes:
        return str(options.get(name, default) or "").encode()

    skip = options.get("skip", 0)
    return Dialect(sign("delimiter", ","), sign("quote", '"'), sign("escape", ""), skip if isinstance(skip, int) else 0)


class Counter:
    """Counts the data records of one file from its raw bytes, and refuses what is no CSV file."""

    def __init__(self, file: str, dialect: Dialect, *, has_header: bool) -> None:
        self._inflater = _Inflater(file)
        self._scanner = Scanner(file, dialect)
        self._file, self._has_header = file, has_header
        self._records = 0

    def feed(self, chunk: bytes) -> None:
        for data in self._inflater.feed(chunk):
            self._add(self._scanner.feed(data))

    def finish(self) -> int:
        for data in self._inflater.finish():
            self._add(self._scanner.feed(data))
        self._add(self._scanner.finish())
        if self._has_header and not self._records:
            raise SourceError(f"`{self._file}` has only blank lines: there is no header.")
        return self._records - self._has_header

    def _add(self, piece: Piece | None) -> None:
        if piece:
            self._records += piece.records


class Cut:
    """A file in pieces: `names` are its columns, `pieces` its data records."""

    def __init__(self, names: tuple[str, ...], pieces: Iterable[Piece]) -> None:
        self.names, self.pieces = names, pieces


def cut(path: Path, options: Mapping[str, JSON], *, name: str) -> Cut:
    """Begin to read a file. Raises SourceError for a header that can't be one."""
    dialect, given = dialect_of(options), options.get("names")
    pieces = _pieces(path, dialect, name)
    if isinstance(given, list | tuple):
        return Cut(tuple(map(str, given)), pieces)
    for piece in pieces:
        header = piece.first()
        if header:
            return Cut(_names_of(header, dialect, name), chain([piece.after(header)], pieces))
    raise SourceError(f"`{name}` has only blank lines: there is no header.")


def header_of(path: Path, options: Mapping[str, JSON], *, name: str) -> tuple[str, ...]:
    return cut(path, options, name=name).names


def _pieces(path: Path, dialect: Dialect, name: str) -> Iterator[Piece]:
    scanner = Scanner(name, dialect)
    for chunk in chunks(path, name):
        piece = scanner.feed(chunk)
        if piece:
            yield piece
    last = scanner.finish()
    if last:
        yield last


def chunks(path: Path, name: str) -> Iterator[bytes]:
    """The bytes of a file without its compression."""
    inflater = _Inflater(name)
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            yield from inflater.feed(data)
    yield from inflater.finish()


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


class _Inflater:
    """Undoes gzip where the bytes are gzip, and passes on any others. Memory is bounded, however much a byte unfolds to."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._start = b""
        self._is_known = False
        self._gzip: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if not self._is_known:
            self._start += chunk
            if len(self._start) < len(_GZIP):
                return
            chunk, self._start, self._is_known = self._start, b"", True
            self._gzip = zlib.decompressobj(31) if chunk.startswith(_GZIP) else None
        if self._gzip is None:
            yield chunk
            return
        yield from self._inflate(chunk)

    def finish(self) -> Iterator[bytes]:
        if not self._is_known:
            yield self._start
        elif self._gzip is not None and not self._gzip.eof:
            raise SourceError(f"`{self._file}` is a gzip file that was cut short: it ends before its data do. Fetch it again.")

    def _inflate(self, chunk: bytes) -> Iterator[bytes]:
        assert self._gzip is not None  # for the type checker
        try:
            while chunk:
                if self._gzip.eof:
                    chunk = chunk.lstrip(b"\0")  # padding between members
                    if not chunk:
                        return
                    self._gzip = zlib.decompressobj(31)
                yield self._gzip.decompress(chunk, _PIECE_BYTES)
                chunk = self._gzip.unconsumed_tail or self._gzip.unused_data
        except zlib.error as error:
            raise SourceError(f"`{self._file}` is a damaged gzip file: {error}. Fetch it again.") from None
