"""Avro's codecs undone, however much a byte unfolds to: what is longer than a bound is refused before it is in memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping

import pyarrow as pa

__all__ = ["CODECS", "CodecError", "fold", "unfold"]

_MOST_XZ_BYTES = 128 * 1024 * 1024  # what a decoder may take for itself


class CodecError(ValueError):
    """What is wrong with the bytes, in words."""


def unfold(data: bytes, codec: str, most: int) -> bytes:
    """The bytes of a block without their compression, `most` of them at the most. Raises CodecError."""
    try:
        found, rest = CODECS[codec](data, most + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise CodecError(str(error).partition("\n")[0].rstrip(". ") or "its compression is damaged") from None
    if len(found) > most:
        raise CodecError(f"it unfolds to more than {most} bytes")
    if rest:
        raise CodecError(rest)
    return found


def fold(data: bytes, codec: str) -> bytes:
    """The bytes of a block with their compression."""
    return _FOLDS[codec](data)


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def _snapped(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="snappy", asbytes=True)
    return packed + zlib.crc32(data).to_bytes(4, "big")


def _zstandarded(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


_FOLDS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": _deflated,
    "snappy": _snapped,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstandard": _zstandarded,
}


Found = tuple[bytes, str]
"""What was unfolded, and what is wrong after it, if anything."""


def _null(data: bytes, most: int) -> Found:
    del most
    return data, ""


def _deflate(data: bytes, most: int) -> Found:
    inflater = zlib.decompressobj(-15)
    found = inflater.decompress(data, most)
    rest = inflater.unused_data
    # there are writers that leave bytes of zlib's checksum behind, which is no part of raw deflate
    rest = b"" if zlib.adler32(found).to_bytes(4, "big").startswith(rest) else rest
    return found, _after(is_whole=inflater.eof or len(found) >= most, rest=rest)


def _bzip2(data: bytes, most: int) -> Found:
    decoder = bz2.BZ2Decompressor()
    found = decoder.decompress(data, most)
    return found, _after(is_whole=decoder.eof or len(found) >= most, rest=decoder.unused_data)


def _xz(data: bytes, most: int) -> Found:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_XZ_BYTES)
    found = decoder.decompress(data, most)
    return found, _after(is_whole=decoder.eof or len(found) >= most, rest=decoder.unused_data)


def _zstandard(data: bytes, most: int) -> Found:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        found: bytes = stream.read(most)
    return found, ""


def _snappy(data: bytes, most: int) -> Found:
    """Raw snappy, which begins with the length of what it holds; after it the CRC-32 of that, in four bytes."""
    length = shift = 0
    for byte in data[:5]:
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    if len(data) < 5 or length >= most:
        raise CodecError("it has no length that can be read, or unfolds to too many bytes")
    found: bytes = pa.Codec("snappy").decompress(data[:-4], decompressed_size=length, asbytes=True)
    is_sound = zlib.crc32(found) == int.from_bytes(data[-4:], "big")
    return found, "" if is_sound else "its checksum is another than that of what it holds"


def _after(*, is_whole: bool, rest: bytes) -> str:
    if not is_whole:
        return "its compressed bytes end before their end"
    return f"{len(rest)} bytes follow the end of its compression" if rest else ""


CODECS: Mapping[str, Callable[[bytes, int], Found]] = {
    "null": _null,
    "deflate": _deflate,
    "snappy": _snappy,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstandard": _zstandard,
}
