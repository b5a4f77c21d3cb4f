"""Compressed streams of the standard library, one after the other in a file: gzip, bzip2, xz.

The invariant: what is given is the content of each stream, in order, in pieces of at most PIECE_BYTES; bytes that belong to none are an error.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["PIECE_BYTES", "DamagedError", "Inflater", "Stream", "Streams", "bzip2", "gzip", "pieces_of", "xz"]

PIECE_BYTES = 8 * 1024 * 1024
_XZ_MEMORY = 256 * 1024 * 1024  # what xz may take to unpack: `xz -9` asks for 65 MiB
_STEP = 64 * 1024  # what is left behind a stream is copied, so that of many short ones no more than this is


class DamagedError(Exception):
    """Bytes that can't be unpacked: why, and what to do."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        is_too_large = "memory" in why.lower()
        self.advice = "Pack it again with a smaller window or dictionary." if is_too_large else "Fetch it again."


class Stream(Protocol):
    """One compressed stream, as the standard library's decompressors are."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Inflater:
    """zlib's decompressor with the manners of the others: what it has not looked at yet stays inside. `window` is zlib's `wbits`."""

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._is_full and not self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        made = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._is_full = bool(self._inner.unconsumed_tail) or len(made) == max_length
        return made


def pieces_of(stream: Stream, data: bytes) -> Iterator[bytes]:
    """What a stream makes of the next bytes. Raises DamagedError."""
    while not stream.eof:
        try:
            made = stream.decompress(data, PIECE_BYTES)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            raise DamagedError(str(error)) from None
        if made:
            yield made
        if stream.needs_input:
            return
        data = b""


class Streams:
    """Streams of one kind, which may be padded with zeros."""

    def __init__(self, begin: Callable[[], Stream]) -> None:
        self._begin = begin
        self._stream = begin()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for at in range(0, len(chunk), _STEP):
            yield from self._feed(chunk[at : at + _STEP])

    def _feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    return
                self._stream = self._begin()
            yield from pieces_of(self._stream, chunk)
            chunk = self._stream.unused_data if self._stream.eof else b""

    def finish(self) -> Iterator[bytes]:
        if not self._stream.eof:
            raise EOFError
        yield from ()


def gzip() -> Streams:
    return Streams(lambda: Inflater(31))


def bzip2() -> Streams:
    return Streams(bz2.BZ2Decompressor)


def xz() -> Streams:
    return Streams(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
