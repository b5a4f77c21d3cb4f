"""Files of lines: each is counted as a record while it lands, and is one again when the file is read, apart from what is in it.

The invariant: the counter and the reader see the same bytes cut in the same way, so that their records are the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from headrace.backends.texts.inflating import Inflater, chunks_of
from headrace.core.records import LINES, Kind, Piece, Record, Scanner

__all__ = ["LineCounter", "pieces_of_lines", "places_in"]

_PIECE_BYTES = 2 * 1024 * 1024  # lines become Python objects one by one, which take twenty times their bytes


class LineCounter:
    """Counts the lines of one file from its raw bytes. `look` is shown the first records, and refuses what is no such file."""

    def __init__(self, file: str, kind: Kind, *, skip: int = 0, look: Callable[[Piece], None] | None = None) -> None:
        self._inflater = Inflater(file)
        self._scanner = _scanner(file, kind, skip)
        self._look = look
        self._records = 0

    def feed(self, chunk: bytes) -> None:
        for data in self._inflater.feed(chunk):
            self._add(self._scanner.feed(data))

    def finish(self) -> int:
        for data in self._inflater.finish():
            self._add(self._scanner.feed(data))
        self._add(self._scanner.finish())
        return self._records

    def _add(self, piece: Piece | None) -> None:
        if piece is None:
            return
        if self._look and not self._records and piece.records:
            self._look(piece)
        self._records += piece.records


def pieces_of_lines(path: Path, kind: Kind, *, name: str, skip: int = 0) -> Iterator[Piece]:
    scanner = _scanner(name, kind, skip)
    for chunk in chunks_of(path, name):
        for at in range(0, len(chunk), _PIECE_BYTES):
            piece = scanner.feed(chunk[at : at + _PIECE_BYTES])
            if piece:
                yield piece
    last = scanner.finish()
    if last:
        yield last


def places_in(piece: Piece) -> Callable[[Container[int]], Mapping[int, Record]]:
    return lambda wanted: dict(piece.split(wanted))


def _scanner(file: str, kind: Kind, skip: int) -> Scanner:
    return Scanner(file, replace(LINES, skip_lines=skip), kind)
