"""Compressed files as the bytes that are in them: gzip, bzip2, xz, zstd and zip, told by their first bytes whatever they are called.

Nothing here knows what the bytes mean. The invariants: memory is bounded, however much a byte unfolds to; and when `finish` is through,
what was given is all that the file holds, since one that is cut short or damaged was refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from headrace.backends.texts import streams
from headrace.backends.texts.streams import PIECE_BYTES, DamagedError
from headrace.backends.texts.zips import Zip
from headrace.backends.texts.zstd import Zstd
from headrace.core.errors import SourceError

__all__ = ["PIECE_BYTES", "Unpacker"]

_LONGEST_START = 10
_STARTS = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "zip": re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"),
}
_FREE_BYTES = 64 * 1024 * 1024  # up to here any ratio is allowed: there are small files that hold one value a thousand times


class _Decoder(Protocol):
    """One kind of compression. EOFError: the bytes ended too early; DamagedError: they can't be unpacked."""

    def feed(self, chunk: bytes) -> Iterator[bytes]: ...

    def finish(self) -> Iterator[bytes]: ...


_BEGIN: dict[str, Callable[[], _Decoder]] = {"gzip": streams.gzip, "bzip2": streams.bzip2, "xz": streams.xz, "zstd": Zstd}


class Unpacker:
    """Takes the bytes of one file in chunks, and gives what is in them; those of a file that is not compressed pass through.

    `member` names a file in a zip archive. With `max_ratio` a file that unfolds to more than that many times its size is refused.
    """

    def __init__(self, file: str, *, member: str = "", max_ratio: int | None = None) -> None:
        self._file, self._wanted, self._max_ratio = file, member, max_ratio
        self._start = b""
        self._decoder: _Decoder | None = None
        self._taken = self._given = 0
        self.compression: str | None = None  # its name; "" for none, and None until enough bytes have come

    @property
    def member(self) -> str:
        """The member of a zip archive that is given."""
        return self._decoder.chosen if isinstance(self._decoder, Zip) else ""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if self.compression is None:
            self._start += chunk
            if len(self._start) < _LONGEST_START:
                return
            chunk = self._begin()
        yield from self._passed(chunk)

    def finish(self) -> Iterator[bytes]:
        if self.compression is None:
            yield from self._passed(self._begin())
        if self._decoder:
            yield from _joined(self._checked(self._decoder.finish()))

    def _begin(self) -> bytes:
        """Tell how the file is packed by the bytes that have come, which are given back."""
        self.compression = next((name for name, start in _STARTS.items() if start.match(self._start)), "")
        if self._wanted and self.compression != "zip":
            raise SourceError(f"`{self._file}` is no zip archive, so it has no member {self._wanted!r}. Leave member= out.")
        if self.compression:
            self._decoder = Zip(self._file, self._wanted) if self.compression == "zip" else _BEGIN[self.compression]()
        start, self._start = self._start, b""
        return start

    def _passed(self, chunk: bytes) -> Iterator[bytes]:
        self._taken += len(chunk)
        if self._decoder:
            yield from _joined(self._checked(self._decoder.feed(chunk)))
        elif chunk:
            yield chunk

    def _checked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        kind = f"{'an' if self.compression == 'xz' else 'a'} {self.compression} {'archive' if self.compression == 'zip' else 'file'}"
        try:
            for piece in pieces:
                self._given += len(piece)
                self._check_ratio(kind)
                yield piece
        except EOFError:
            raise SourceError(
                f"`{self._file}` is {kind} that was cut short: it ends after {self._taken} bytes, before its data do. Fetch it again."
            ) from None
        except DamagedError as error:
            raise SourceError(
                f"`{self._file}` is {kind} that can't be unpacked: {error}. That is within its first {self._taken} bytes. {error.advice}"
            ) from None

    def _check_ratio(self, kind: str) -> None:
        if self._max_ratio and self._given > _FREE_BYTES + self._max_ratio * self._taken:
            raise SourceError(
                f"`{self._file}` is {kind} that unfolds to more than {self._max_ratio} times its size: its first {self._taken} bytes "
                f"made more than {self._given >> 20} MiB. If it is no bomb, allow more with max_ratio=…"
            )


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces as larger ones, since what cuts and loads them takes some time for each."""
    held, size = [], 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)
