"""Records taken out of a file of texts: what is left are the bytes that were there, packed again where the file was packed.

The file is unpacked beside, on the disk, so that memory is bounded. The invariant: what is written is what was there, in order, but for the
stretches that are told.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

import pyarrow as pa

from headrace.backends.texts.transcoding import LONGEST_MARK, encoding_by
from headrace.backends.texts.unpacking import PIECE_BYTES, Unpacker
from headrace.core.ports import JSON, Landed
from headrace.core.records import Record

__all__ = ["erase"]

_LONGEST_END = 4  # bytes: CR and LF in UTF-16
_CHUNK = 1024 * 1024


def erase(
    file: Landed, target: Path, *, options: Mapping[str, JSON], records: Iterable[Record], is_array: bool = False
) -> Sequence[tuple[int, int]]:
    """See `ErasableFormat.erase`. Of an array a comma goes with each element, and of lines the line end."""
    unpacker = Unpacker(file.name, member=str(options.get("member") or ""))
    with TemporaryFile() as plain:
        _unpack(file.path, unpacker, plain)
        size = plain.tell()
        encoding = encoding_by(_read(plain, 0, LONGEST_MARK), file.name, options)
        ends = [end.encode(encoding) for end in ("\r\n", "\n", "\r")]
        if is_array:
            out = _elements(plain, records, encoding)
        else:
            out = [(record.offset, len(record.raw) + _end_after(plain, record, ends)) for record in records]
        with _packed(file.path, target, unpacker) as packed:
            for begin, end in _between(out, size):
                _copy(plain, packed, begin, end)
            if sum(length for _, length in out) == size:
                packed.write(ends[1])  # a file without a byte is refused, and a blank line is no record
    return out


def _unpack(path: Path, unpacker: Unpacker, plain: IO[bytes]) -> None:
    with path.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            plain.writelines(unpacker.feed(data))
    plain.writelines(unpacker.finish())


def _end_after(plain: IO[bytes], record: Record, ends: Sequence[bytes]) -> int:
    """The bytes of the line end that follows a record; 0 where the file ends."""
    after = _read(plain, record.offset + len(record.raw), _LONGEST_END)
    return next((len(end) for end in ends if after.startswith(end)), 0)


def _elements(plain: IO[bytes], records: Iterable[Record], encoding: str) -> list[tuple[int, int]]:
    """The stretches of elements with what is between each and the next; of those at the end, with what is before them."""
    out: list[tuple[int, int]] = []
    gap = frozenset(sign.encode(encoding) for sign in " \t\n\r\f\v,")
    width, last = len(",".encode(encoding)), "]".encode(encoding)
    for record in records:
        begin, end = record.offset, record.offset + len(record.raw)
        after = _passed(plain, end, width, gap)
        if _read(plain, after, width) != last:
            end = after
        else:
            while out and out[-1][0] + out[-1][1] == begin:
                begin = out.pop()[0]
            while begin >= width and _read(plain, begin - width, width) in gap:
                begin -= width
        out.append((begin, end - begin))
    return out


def _passed(plain: IO[bytes], at: int, width: int, signs: frozenset[bytes]) -> int:
    while _read(plain, at, width) in signs:
        at += width
    return at


def _read(plain: IO[bytes], at: int, size: int) -> bytes:
    plain.seek(at)
    return plain.read(size)


def _between(out: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    reached = 0
    for begin, length in out:
        yield reached, begin
        reached = begin + length
    yield reached, size


def _copy(plain: IO[bytes], packed: IO[bytes], begin: int, end: int) -> None:
    plain.seek(begin)
    while begin < end:
        data = plain.read(min(_CHUNK, end - begin))
        packed.write(data)
        begin += len(data)


@contextmanager
def _packed(path: Path, target: Path, unpacker: Unpacker) -> Iterator[IO[bytes]]:
    """Where to write the content of a file that is packed as another is. Other members of an archive are as they were."""
    if unpacker.compression == "zip":
        with zipfile.ZipFile(path) as before, zipfile.ZipFile(target, "w") as after:
            after.comment = before.comment
            for member in before.infolist():
                if member.filename != unpacker.member:
                    with before.open(member) as source, after.open(_like(member), "w") as beside:
                        shutil.copyfileobj(source, beside, _CHUNK)
            with after.open(_like(before.getinfo(unpacker.member)), "w") as own:
                yield own
    elif unpacker.compression == "gzip":
        with target.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif unpacker.compression == "zstd":
        with pa.CompressedOutputStream(str(target), "zstd") as packed:
            yield packed
    elif unpacker.compression == "bzip2":
        with bz2.BZ2File(target, "wb") as packed:
            yield cast(IO[bytes], packed)
    elif unpacker.compression == "xz":
        with lzma.LZMAFile(target, "wb") as packed:
            yield cast(IO[bytes], packed)
    else:
        with target.open("wb") as file:
            yield file


def _like(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(member.filename, member.date_time)
    found.compress_type, found.external_attr, found.comment = member.compress_type, member.external_attr, member.comment
    found.file_size = member.file_size
    return found
