"""Stretches of a file's own bytes, without its compression and in its own encoding, by where they stand.

The invariant: what is given are the bytes at the place that was asked for, all of them; memory is bounded by one stretch and one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headrace.backends.texts.unpacking import PIECE_BYTES, Unpacker
from headrace.core.errors import SourceError
from headrace.core.ports import JSON

__all__ = ["bytes_at", "chunks_of"]


def bytes_at(path: Path, options: Mapping[str, JSON], wanted: Sequence[tuple[int, int]], *, name: str) -> Iterator[bytes]:
    """Stretches of a file, decompressed, by offset and size, in order; SourceError where the file ends before one does."""
    passed, held = 0, b""  # `held` begins at byte `passed`
    parts = chunks_of(path, Unpacker(name, member=str(options.get("member") or "")))
    for offset, size in wanted:
        while passed + len(held) < offset + size:
            if len(held) > (keep := max(passed + len(held) - offset, 0)):
                passed, held = passed + len(held) - keep, held[len(held) - keep :]
            chunk = next(parts, None)
            if chunk is None:
                raise SourceError(f"`{name}` ends before byte {offset + size}, where a rejected record of it does: its bytes were changed.")
            held += chunk
        yield held[offset - passed : offset - passed + size]


def chunks_of(path: Path, unpacker: Unpacker) -> Iterator[bytes]:
    """The bytes of a file without its compression, in its own encoding."""
    with path.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            yield from unpacker.feed(data)
    yield from unpacker.finish()
