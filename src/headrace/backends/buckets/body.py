"""The bytes of one object, as it was when it was found, over as many requests as it takes.

Each request is for that version alone (If-Match), and one that breaks off is taken up where it ended. The invariant: what is read is one
object from its first byte to its last, or an error; no more than a few pieces of it are held.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.failures import DeniedError, is_about_another_version, told
from headrace.core.errors import LakeError, SourceError, TransientError
from headrace.core.ports import RawFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import GetOptions

__all__ = ["Body", "RefusedError", "asked"]

_PIECE = 1024 * 1024
_MOST_BREAKS = 5  # without a piece between them


class Body(io.RawIOBase):
    """An object that was found, to be read once from its beginning. It is asked for at once."""

    def __init__(self, client: ObjectStore, place: Address, key: str, file: RawFile) -> None:
        self._client, self._place, self._key, self._file = client, place, key, file
        self._at = 0  # bytes that were received
        self._held = memoryview(b"")
        self._breaks = 0
        self._begin()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._held:
            self._held = self._next()
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._held))
        target[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _begin(self) -> None:
        """Ask for what is still to come."""
        options: GetOptions = {}
        if self._file.mark.startswith('"'):
            options["if_match"] = self._file.mark
        if self._at:
            options["range"] = {"offset": self._at}
        with self._same():
            answer = obstore.get(self._client, self._key, options=options)
        self._size = answer.meta["size"]
        if self._file.size_bytes not in (None, self._size):
            raise _changed(self._file)
        self._pieces = iter(answer.stream(min_chunk_size=_PIECE))

    def _next(self) -> memoryview:
        """The next piece; none at the end of the object."""
        while self._at < self._size:
            try:
                piece = self._piece()
            except _ChangedError:
                raise
            except TransientError:
                self._breaks += 1
                if self._breaks > _MOST_BREAKS:
                    raise
                self._begin()
                continue
            self._breaks = 0
            self._at += len(piece)
            return piece
        return memoryview(b"")

    def _piece(self) -> memoryview:
        with self._same():
            piece = next(self._pieces, None)
        if piece is None:
            raise TransientError(f"`{self._file.uri}` ended after {self._at:,} of its {self._size:,} bytes. Run again.")
        return memoryview(piece)

    @contextmanager
    def _same(self) -> Iterator[None]:
        """An answer that is about another version, or none, is an error."""
        try:
            with asked("read", self._key, self._place):
                try:
                    yield
                except BaseError as error:
                    if is_about_another_version(error):
                        raise _changed(self._file) from None
                    raise
        except KeyError:
            raise _ChangedError(f"`{self._file.uri}` was removed since it was found. Run again later.") from None


@contextmanager
def asked(action: str, key: str, place: Address) -> Iterator[None]:
    """Errors of obstore within become those of an origin: KeyError for what is not there, SourceError or TransientError."""
    try:
        with told(action, key, place):
            yield
    except DeniedError as error:
        raise RefusedError(str(error)) from error.__cause__
    except LakeError as error:
        raise SourceError(str(error)) from error.__cause__


class RefusedError(SourceError):
    """It is not allowed to ask, whether there is something or not."""


class _ChangedError(TransientError):
    """Not to be tried again for the same version: there is none."""


def _changed(file: RawFile) -> _ChangedError:
    return _ChangedError(f"`{file.uri}` changed since it was found: it is still being written. Run again later.")
