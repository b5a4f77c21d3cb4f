"""The framing of Avro's object container files: a header, then blocks, each of which says how many records it has and ends in the file's own marker.

Nothing here reads a record or undoes compression. The invariant: the counter and the reader see the same blocks, and what lies between two
markers is one block, or the file is refused with the byte where the block begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from headrace.backends.sources.avro.codecs import CODECS
from headrace.core.errors import SourceError, did_you_mean

__all__ = ["Block", "BlockCounter", "Blocks", "Header"]

_MAGIC: Final = b"Obj\x01"
_MARKER_BYTES = 16
_MOST_HEADER_BYTES = 16 * 1024 * 1024
_MOST_BLOCK_BYTES = 64 * 1024 * 1024
_LONGEST_NUMBER = 10  # bytes


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its schema, as the JSON that it is, its codec and its marker."""

    schema: object
    codec: str
    marker: bytes


@dataclass(frozen=True)
class Block:
    """One block: where it begins, how many records it says it has, its bytes, compressed, and its size with what frames them."""

    offset: int
    records: int
    data: bytes
    size: int


class _MoreError(Exception):
    """The bytes end before what they began."""


class Blocks:
    """Takes a file in chunks and gives its blocks. Raises SourceError, naming the file, for bytes that are no such file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._pending = bytearray()
        self._offset = 0
        self._enough = 0
        self.header: Header | None = None

    def feed(self, chunk: bytes) -> Iterator[Block]:
        """The next bytes; the blocks that became complete by them."""
        self._pending += chunk
        while len(self._pending) >= self._enough:
            try:
                if self.header is None:
                    self.header = self._read_header()
                else:
                    yield self._read_block(self.header.marker)
            except _MoreError:
                return

    def finish(self) -> None:
        """Raises SourceError when the bytes that came are not a whole file."""
        if not self._offset and not self._pending:
            raise SourceError(f"`{self._file}` is empty: it has no bytes, not even a header.")
        if self.header is None:
            self._check_magic()
            raise SourceError(f"`{self._file}` was cut short: it ends within its header. Fetch it again.")
        if self._pending:
            raise SourceError(f"`{self._file}` was cut short: it ends within the block that begins at byte {self._offset}. Fetch it again.")

    # ------------------------------------------------------------ the header

    def _check_magic(self) -> None:
        if bytes(self._pending[:4]) != _MAGIC[: len(self._pending)]:
            raise SourceError(
                f"`{self._file}` is not an Avro file: it begins with {bytes(self._pending[:16])!r} instead of {_MAGIC!r}. Fetch it again, or say its format."
            )

    def _read_header(self) -> Header:
        self._check_magic()
        try:
            told, at = self._metadata(len(_MAGIC))
            marker, at = self._bytes(at, _MARKER_BYTES)
        except _MoreError:
            if len(self._pending) > _MOST_HEADER_BYTES:
                raise self._damaged("its header does not end within 16 MiB") from None
            self._enough = min(2 * len(self._pending), _MOST_HEADER_BYTES)
            raise
        self._take(at)
        codec = told.get("avro.codec", b"null").decode("utf-8", "replace")
        if codec not in CODECS:
            raise SourceError(f"`{self._file}` is compressed by the codec `{codec}`, which is not read. {did_you_mean(codec, CODECS)}")
        try:
            return Header(json.loads(told["avro.schema"]), codec, marker)
        except (KeyError, ValueError, RecursionError):
            raise self._damaged("its header has no schema that can be read") from None

    def _metadata(self, at: int) -> tuple[dict[str, bytes], int]:
        """A map of names to bytes, in parts each of which says how many entries it has."""
        found: dict[str, bytes] = {}
        while True:
            count, at = self._number(at)
            if not count:
                return found, at
            if count < 0:
                count = -count
                _, at = self._number(at)  # the part's size, which is not needed
            for _ in range(count):
                size, at = self._number(at)
                name, at = self._bytes(at, size)
                size, at = self._number(at)
                found[name.decode("utf-8", "replace")], at = self._bytes(at, size)

    # ------------------------------------------------------------ blocks

    def _read_block(self, marker: bytes) -> Block:
        if not self._pending:
            raise _MoreError
        where = f"the block that begins at byte {self._offset}"
        records, at = self._number(0)
        size, at = self._number(at)
        if records < 0 or size < 0:
            raise self._damaged(f"{where} says that it has {records} records in {size} bytes")
        if size > _MOST_BLOCK_BYTES:
            raise self._damaged(f"{where} would have {size} bytes, and {_MOST_BLOCK_BYTES} is the most that is read")
        if len(self._pending) < at + size + _MARKER_BYTES:
            self._enough = at + size + _MARKER_BYTES
            raise _MoreError
        data, at = self._bytes(at, size)
        found, at = self._bytes(at, _MARKER_BYTES)
        if found != marker:
            raise self._damaged(f"{where} does not end in the file's marker")
        block = Block(self._offset, records, data, at)
        self._take(at)
        return block

    def _take(self, length: int) -> None:
        del self._pending[:length]
        self._offset += length
        self._enough = 0

    def _number(self, at: int) -> tuple[int, int]:
        found = 0
        for n in range(_LONGEST_NUMBER):
            if at + n >= len(self._pending):
                raise _MoreError
            byte = self._pending[at + n]
            found |= (byte & 127) << (7 * n)
            if byte < 128:
                return (found >> 1) ^ -(found & 1), at + n + 1
        raise self._damaged(f"there is no number at byte {self._offset + at}")

    def _bytes(self, at: int, length: int) -> tuple[bytes, int]:
        if length < 0:
            raise self._damaged(f"there is a length below 0 before byte {self._offset + at}")
        if at + length > len(self._pending):
            raise _MoreError
        return bytes(self._pending[at : at + length]), at + length

    def _damaged(self, what: str) -> SourceError:
        return SourceError(f"`{self._file}` is damaged: {what}. Fetch it again.")


class BlockCounter:
    """Counts the records of one file by the headers of its blocks."""

    def __init__(self, file: str) -> None:
        self._blocks = Blocks(file)
        self._records = 0

    def feed(self, chunk: bytes) -> None:
        for block in self._blocks.feed(chunk):
            self._records += block.records

    def finish(self) -> int:
        self._blocks.finish()
        return self._records
