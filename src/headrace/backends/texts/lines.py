"""Files of lines: each is counted as a record while it lands, and is one again when the file is read, apart from what is in it.

The invariant: the counter and the reader see the same text cut in the same way, so that their records are the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from headrace.backends.texts.incoming import Incoming, texts_of
from headrace.backends.texts.outline import Extents
from headrace.core.counted import Counted
from headrace.core.encodings import size_in
from headrace.core.ports import JSON
from headrace.core.records import LINES, Kind, Piece, Record, Scanner, counted_with

__all__ = ["CutLines", "LineCounter", "LineMaker", "lines_to_mend", "records_of"]

_PIECE_BYTES, _FIRST_BYTES, _MOST_IN_PIECE = 8 * 1024 * 1024, 256 * 1024, 160_000
_OF_THE_FILES = ("skip", "member")


class LineMaker(Protocol):
    """Makes lines of a text whose records are none yet: by other bytes in the place of some, never by more or fewer."""

    is_array: bool | None

    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class LineCounter:
    """Counts the lines of one file from its raw bytes. `look` is shown the first records, and refuses what is no such file.

    The lines are those that `maker` makes, where there is one. `counted` is what is known up to some of the bytes of their text.
    """

    def __init__(
        self,
        file: str,
        kind: Kind,
        options: Mapping[str, JSON],
        *,
        look: Callable[[Piece], None] | None = None,
        maker: LineMaker | None = None,
    ) -> None:
        self._maker = maker
        self._incoming = Incoming(file, options, is_measured=True)
        self._scanner = _scanner(file, kind, options, "utf-8")  # where a record stands is not asked here
        self._look = look
        self._records = 0
        self.counted: Counted | None = None

    def feed(self, chunk: bytes) -> None:
        for data in self._incoming.feed(chunk):
            self._take(data)

    def finish(self) -> int:
        for data in self._incoming.finish():
            self._take(data)
        if self._maker:
            self._add(self._scanner.feed(self._maker.finish()))
        self._add(self._scanner.finish(), is_last=True)
        return self._records

    def _take(self, data: bytes) -> None:
        self._add(self._scanner.feed(self._maker.feed(data) if self._maker else data))

    def _add(self, piece: Piece | None, *, is_last: bool = False) -> None:
        if piece is None:
            return
        if self._look and not self._records and piece.records:
            self._look(piece)
        self._records += piece.records
        if not is_last:
            self.counted = counted_with(piece, self._records, self.counted)


class CutLines:
    """A file in pieces of whole lines; how they were read, and how many of them are comments, is known as far as they were taken.

    Of its lines it may be known what was `counted` by the same options and the same maker.
    """

    def __init__(
        self,
        path: Path,
        kind: Kind,
        options: Mapping[str, JSON],
        *,
        name: str,
        maker: Callable[[], LineMaker] | None = None,
        counted: Counted | None = None,
    ) -> None:
        self._make, self._counted = maker, counted
        self._is_array = False
        self._path, self._kind, self._options, self._name = path, kind, options, name
        self._incoming = Incoming(name, options, is_measured=False)
        self._comments = 0

    @property
    def read_as(self) -> Mapping[str, JSON]:
        shape: dict[str, JSON] = {"shape": "one array"} if self._is_array else {}
        return {**self._incoming.read_as, **shape, **({"comments": self._comments} if self._options.get("comment") else {})}

    def pieces(self) -> Iterator[Piece]:
        for piece in self._cut():
            self._comments += piece.comments
            yield piece

    def _cut(self) -> Iterator[Piece]:
        texts = texts_of(self._path, self._incoming)
        first = next(texts, b"")  # then the encoding is known
        scanner = _scanner(self._name, self._kind, self._options, self._incoming.encoding, self._counted)
        maker = self._make() if self._make else None
        step = min(_FIRST_BYTES, _PIECE_BYTES)
        for text in chain([first], texts):
            at = 0
            while at < len(text):
                part = text[at : at + step]
                piece = scanner.feed(maker.feed(part) if maker else part)
                at += step
                if piece:
                    step = _bytes_for(piece)
                    yield self._from_its_element(piece, maker)
        for piece in (scanner.feed(maker.finish()) if maker else None, scanner.finish()):
            if piece:
                yield self._from_its_element(piece, maker)

    def _from_its_element(self, piece: Piece, maker: LineMaker | None) -> Piece:
        """The first piece of an array, without what stands before its first element."""
        if maker is None or not maker.is_array or self._is_array:
            return piece
        self._is_array = True
        data = piece.data.lstrip(b" ")
        before = size_in(piece.dialect.encoding, piece.data[: len(piece.data) - len(data)])
        return replace(piece, data=data, offset=piece.offset + before)


def records_of(path: Path, kind: Kind, options: Mapping[str, JSON], *, maker: Callable[[], LineMaker] | None = None) -> Iterator[Record]:
    """Every record of a file with its place and its bytes in the file, in order."""
    for piece in CutLines(path, kind, options, name=path.name, maker=maker).pieces():
        yield from piece.places(range(1, piece.records + 1)).values()


def lines_to_mend(options: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """How a file is read that holds nothing but lines that a person mended: without what says where in a source's files the lines are."""
    return {name: value for name, value in options.items() if name not in _OF_THE_FILES}


def _bytes_for(piece: Piece) -> int:
    """How much text is cut next, after a piece: lines become Python objects where nothing else reads them, so there are not too many in one."""
    return min(_PIECE_BYTES, max(_FIRST_BYTES, _MOST_IN_PIECE * len(piece.data) // max(1, piece.records)))


def _scanner(file: str, kind: Kind, options: Mapping[str, JSON], encoding: str, counted: Counted | None = None) -> Scanner:
    skip, comment = options.get("skip", 0), str(options.get("comment") or "").encode()
    dialect = replace(LINES, skip_lines=skip if isinstance(skip, int) else 0, encoding=encoding, comment=comment)
    return Scanner(file, dialect, kind, extent_of=Extents(), counted=counted)
