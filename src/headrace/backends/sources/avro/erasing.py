"""Records taken out of an Avro file: its header and the blocks that lose none are copied, the others framed and compressed again.

The invariant: the bytes of a record that is left are those that it had before its block was compressed.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from headrace.backends.sources.avro.codecs import fold
from headrace.backends.sources.avro.file import OpenedAvro

__all__ = ["erase"]


def erase(path: Path, name: str, target: Path, numbers: Container[int]) -> None:
    """Write a file without the records of some numbers, from 1."""
    opened = OpenedAvro(path, name)
    first, reached = 1, 0
    with path.open("rb") as source, target.open("wb") as made:
        for block, stretches in opened.stretches():
            if not reached:
                made.write(source.read(block.offset))
            own = range(first, first + len(stretches))
            first += len(stretches)
            source.seek(block.offset)
            data = source.read(block.size)
            reached = block.offset + block.size
            if not any(n in numbers for n in own):
                made.write(data)
                continue
            kept = [stretch for n, stretch in zip(own, stretches, strict=True) if n not in numbers]
            if kept:
                made.write(_framed(kept, opened.codec) + data[-len(opened.marker) :])
        if not reached:
            made.write(source.read())


def _framed(records: Sequence[bytes], codec: str) -> bytes:
    data = fold(b"".join(records), codec)
    return _number(len(records)) + _number(len(data)) + data


def _number(value: int) -> bytes:
    """Avro's zig-zag number of as many bytes as it needs."""
    rest, found = value << 1, bytearray()
    while rest > 127:
        found.append(rest & 127 | 128)
        rest >>= 7
    found.append(rest)
    return bytes(found)
