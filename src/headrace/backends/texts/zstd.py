"""zstd by PyArrow, since the standard library has none before Python 3.14.

PyArrow pulls bytes from a file, and here they are pushed. So it pulls on a thread of its own, which runs only while the pushing side
waits for it. The invariant: one of the two runs at a time, and the thread ends when the decoder is dropped.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from io import BytesIO
from threading import Semaphore, Thread

from headrace.backends.texts.streams import PIECE_BYTES, DamagedError

__all__ = ["Zstd"]


class Zstd:
    """Frames of zstd, one after the other."""

    def __init__(self) -> None:
        self._puller = _Puller()
        self._is_begun = False
        weakref.finalize(self, self._puller.drop)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if chunk:
            self._puller.given = BytesIO(chunk)
            yield from self._pull()

    def finish(self) -> Iterator[bytes]:
        self._puller.is_whole = True
        yield from self._pull()

    def _pull(self) -> Iterator[bytes]:
        if not self._is_begun:
            self._is_begun = True
            Thread(target=self._puller.run, name="headrace-zstd", daemon=True).start()
        while made := self._puller.next_piece():
            yield made


class _DroppedError(Exception):
    """Nobody wants the rest."""


class _Puller:
    """The file that PyArrow reads from, and the two sides' meeting place."""

    closed = False

    def __init__(self) -> None:
        self.given = BytesIO()
        self.is_whole = False
        self._made = b""
        self._error: Exception | None = None
        self._is_dropped = self._is_over = False
        self._go, self._done = Semaphore(0), Semaphore(0)

    # ---- the side that pushes

    def next_piece(self) -> bytes:
        """The next piece of what was packed; empty when more bytes have to be given first."""
        if self._is_over:
            return b""
        self._go.release()
        self._done.acquire()
        if self._error:
            raise self._error
        return self._made

    def drop(self) -> None:
        self._is_dropped = True
        self._go.release()

    # ---- the side that pulls

    def run(self) -> None:
        self._go.acquire()
        try:
            self._unpack()
        except _DroppedError:
            return
        except (OSError, MemoryError) as error:
            self._error = EOFError() if "Truncated" in str(error) else DamagedError(str(error))
        except Exception as error:  # noqa: BLE001  # it belongs to the thread that waits
            self._error = error
        self._made, self._is_over = b"", True
        self._done.release()

    def _unpack(self) -> None:
        import pyarrow as pa

        with pa.CompressedInputStream(pa.PythonFile(self, mode="r"), "zstd") as stream:
            while made := stream.read(PIECE_BYTES):
                self._hand_over(made)

    def read(self, size: int) -> bytes:
        """PyArrow asks for more."""
        while not (data := self.given.read(size)) and not self.is_whole:
            self._hand_over(b"")
        return data

    def close(self) -> None:
        """PyArrow closes what it reads from."""

    def _hand_over(self, made: bytes) -> None:
        if self._is_dropped:
            raise _DroppedError
        self._made = made
        self._done.release()
        self._go.acquire()
        if self._is_dropped:
            raise _DroppedError
