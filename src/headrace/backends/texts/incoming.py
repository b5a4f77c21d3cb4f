"""The bytes of one file as text in UTF-8: unpacked, then transcoded. What formats of texts begin with, whatever they make of it.

The invariant: the same bytes and options give the same text and the same account of how it was read, however the bytes come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace.backends.texts.transcoding import AUTO, Transcoder
from headrace.backends.texts.unpacking import PIECE_BYTES, Unpacker
from headrace.core.ports import JSON

__all__ = ["Incoming", "texts_of"]

_MAX_RATIO = 200


class Incoming:
    """Takes raw bytes in chunks and gives text. The options are `encoding`, `member` and `max_ratio`, the same in every format.

    A file that has landed was measured against `max_ratio` then, and is not again: `is_measured` is for the first time.
    """

    def __init__(self, file: str, options: Mapping[str, JSON], *, is_measured: bool) -> None:
        most = options.get("max_ratio", _MAX_RATIO)
        self._unpacker = Unpacker(
            file, member=str(options.get("member") or ""), max_ratio=most if is_measured and isinstance(most, int) else None
        )
        self._transcoder = Transcoder(file, str(options.get("encoding", AUTO)))

    @property
    def encoding(self) -> str:
        """The encoding of the file; UTF-8 until enough bytes have come to tell."""
        return self._transcoder.encoding or "utf-8"

    @property
    def read_as(self) -> Mapping[str, JSON]:
        """How the bytes were read, and why so."""
        told: dict[str, JSON] = {
            "compression": self._unpacker.compression or "none",
            "encoding": self.encoding,
            "because": {"compression": "its first bytes", "encoding": self._transcoder.because},
        }
        return {**told, "member": self._unpacker.member} if self._unpacker.member else told

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for data in self._unpacker.feed(chunk):
            yield from self._texts(self._transcoder.feed(data))

    def finish(self) -> Iterator[bytes]:
        for data in self._unpacker.finish():
            yield from self._texts(self._transcoder.feed(data))
        yield from self._texts(self._transcoder.finish())

    def _texts(self, text: bytes) -> Iterator[bytes]:
        if text:
            yield text


def texts_of(path: Path, incoming: Incoming) -> Iterator[bytes]:
    """The text of a file, a stretch at a time."""
    with path.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            yield from incoming.feed(data)
    yield from incoming.finish()
