"""The bytes of a text file without its compression: gzip, told by its first bytes, is undone, and anything else is passed on.

The invariant: memory is bounded, however much a byte unfolds to, and a stream that was cut short is an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from headrace.core.errors import SourceError

__all__ = ["PIECE_BYTES", "Inflater", "chunks_of"]

PIECE_BYTES = 8 * 1024 * 1024
_GZIP = b"\x1f\x8b"


def chunks_of(path: Path, name: str) -> Iterator[bytes]:
    """The content of a file, which errors call `name`, a stretch at a time."""
    inflater = Inflater(name)
    with path.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            yield from inflater.feed(data)
    yield from inflater.finish()


class Inflater:
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
                yield self._gzip.decompress(chunk, PIECE_BYTES)
                chunk = self._gzip.unconsumed_tail or self._gzip.unused_data
        except zlib.error as error:
            raise SourceError(f"`{self._file}` is a damaged gzip file: {error}. Fetch it again.") from None
