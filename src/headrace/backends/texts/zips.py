"""Zip archives as a stream: one member of them, which is unpacked while the bytes come.

An archive's directory stands at its end, so members are read by the headers before them, and the directory has to agree with those. The
invariant: when `finish` is through, the directory lists exactly the members that were met, with the sizes and checksums that they had.
"""

from __future__ import annotations

import bz2
import struct
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from headrace.backends.texts.streams import PIECE_BYTES, DamagedError, Inflater, pieces_of
from headrace.core.errors import SourceError

__all__ = ["Zip"]

_LOCAL, _CENTRAL, _DESCRIPTOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x07\x08"
_END, _END_64, _EXTRA_RECORD = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x08"
_LOCAL_HEADER, _CENTRAL_HEADER = struct.Struct("<4x2xHH4xIIIHH"), struct.Struct("<4x4xHH4xIIIHHH12x")
_END_SIZE = 22
_IS_ENCRYPTED, _HAS_DESCRIPTOR, _IS_UTF8 = 0x1, 0x8, 0x800
_IN_EXTRA = 0xFFFFFFFF
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_METHODS = {9: "deflate64", 14: "lzma", 93: "zstd", 95: "xz", 98: "PPMd", 99: "AES encryption"}
_MOST_DIRECTORY = 16 * 1024 * 1024
_MOST_MEMBERS = 10_000
_SHOWN = 20
_OF_RECORDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".log", ".txt")

_Steps = Generator[bytes | None, None, None]


@dataclass(frozen=True)
class _Member:
    """What an archive says of a member, or what was found: its sizes as it is packed and unpacked, and its checksum."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int

    @property
    def figures(self) -> tuple[str, int, int, int]:
        return self.name, self.crc, self.packed, self.unpacked

    @property
    def is_file(self) -> bool:
        """Neither a folder nor what a Mac puts in beside the files."""
        return not self.name.endswith(("/", ".DS_Store")) and not self.name.startswith("__MACOSX/")


class Zip:
    """The one file in an archive, or the one that `wanted` names, which may be a pattern. Errors that say what to choose name `file`.

    The beginning of what was unpacked is held back, so that an archive of several files is said to be one before the first is looked at.
    """

    def __init__(self, file: str, wanted: str) -> None:
        self._file, self._wanted = file, wanted
        self._buffer = b""
        self._met: list[_Member] = []
        self._held: bytearray | None = bytearray()
        self._is_over = False
        self.chosen = ""  # the member that is given
        self._steps = self._read()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self._buffer += chunk
        while made := next(self._steps):
            yield from self._passed_on(made)

    def finish(self) -> Iterator[bytes]:
        if not self._is_over:
            raise EOFError
        listed = _directory_of(self._buffer)
        if [member.figures for member in listed] != [member.figures for member in self._met]:
            raise DamagedError("its directory and its members do not agree")
        self._check_choice()
        if self._held:
            yield bytes(self._held)

    def _passed_on(self, made: bytes) -> Iterator[bytes]:
        if self._held is None:
            yield made
            return
        self._held += made
        if len(self._held) > PIECE_BYTES:
            yield bytes(self._held)
            self._held = None

    def _check_choice(self) -> None:
        files = [member.name for member in self._met if member.is_file]
        chosen = [member.name for member in self._met if self._is_chosen(member)]
        if len(chosen) == 1:
            return
        listed = ", ".join(f"`{name}`" for name in files[:_SHOWN]) + (f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else "")
        if not files:
            raise SourceError(f"`{self._file}` is a zip archive without a file in it. Fetch it again, or mend what makes it.")
        if not self._wanted:
            raise SourceError(
                f"`{self._file}` is a zip archive of {len(files)} files: {listed}. Say which is meant, by name or pattern: member={_likely(files)!r}."
            )
        found = f"has {len(chosen)} files" if chosen else "has no file"
        raise SourceError(f"`{self._file}` {found} that member={self._wanted!r} names. It has: {listed}. Name one of them.")

    def _is_chosen(self, member: _Member) -> bool:
        return member.is_file and (not self._wanted or member.name == self._wanted or fnmatchcase(member.name, self._wanted))

    # ---------------------------------------------------------------- reading: each step gives bytes, or None to wait for more

    def _read(self) -> _Steps:
        has_chosen = False
        yield from self._await(4)
        while self._buffer.startswith(_LOCAL):
            if len(self._met) == _MOST_MEMBERS:
                raise SourceError(f"`{self._file}` is a zip archive of more than {_MOST_MEMBERS} members. Unpack the one that is meant.")
            member = yield from self._header()
            is_chosen = self._is_chosen(member) and not has_chosen
            has_chosen = has_chosen or is_chosen
            self._check_readable(member, is_chosen=is_chosen)
            self.chosen = member.name if is_chosen else self.chosen
            found = yield from self._content(member, is_chosen=is_chosen)
            self._met.append(found)
            yield from self._await(4)
        if not self._buffer.startswith((_CENTRAL, _END, _END_64, _EXTRA_RECORD)):
            raise DamagedError("something else stands between its members")
        self._is_over = True
        while len(self._buffer) <= _MOST_DIRECTORY:
            yield None
        raise DamagedError(f"its directory is longer than {_MOST_DIRECTORY // 2**20} MiB")

    def _await(self, size: int) -> Generator[None, None, None]:
        while len(self._buffer) < size:
            yield None

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _header(self) -> Generator[None, None, _Member]:
        yield from self._await(_LOCAL_HEADER.size)
        *_, name_size, extra_size = _LOCAL_HEADER.unpack_from(self._buffer)
        yield from self._await(_LOCAL_HEADER.size + name_size + extra_size)
        flags, method, crc, packed, unpacked, *_ = _LOCAL_HEADER.unpack(self._take(_LOCAL_HEADER.size))
        return _member(flags, method, crc, packed, unpacked, self._take(name_size), self._take(extra_size))

    def _check_readable(self, member: _Member, *, is_chosen: bool) -> None:
        if member.name == "[Content_Types].xml":
            raise SourceError(f"`{self._file}` is an Excel workbook or another Office document. Save its sheet as CSV.")
        is_measured = not member.flags & _HAS_DESCRIPTOR
        again = "Pack it again with `zip`, or as .gz."
        if member.flags & _IS_ENCRYPTED and (is_chosen or not is_measured):
            raise SourceError(f"`{self._file}`: its member `{member.name}` is encrypted, and no password can be given. Unpack it first.")
        if member.method not in (_STORED, _DEFLATED, _BZIP2) and (is_chosen or not is_measured):
            method = _METHODS.get(member.method, f"method {member.method}")
            raise SourceError(f"`{self._file}`: its member `{member.name}` is packed with {method}, which is not read. {again}")
        if member.method == _STORED and not is_measured:
            raise SourceError(f"`{self._file}`: its member `{member.name}` is stored without saying how long it is. {again}")

    def _content(self, member: _Member, *, is_chosen: bool) -> Generator[bytes | None, None, _Member]:
        if not is_chosen and not member.flags & _HAS_DESCRIPTOR:
            yield from self._raw(member.packed, is_chosen=False)
            return member
        if member.method == _STORED:
            found = yield from self._raw(member.packed, is_chosen=is_chosen)
        else:
            found = yield from self._unpacked(member, is_chosen=is_chosen)
        crc, packed, unpacked = found
        member_found = replace(member, crc=crc, packed=packed, unpacked=unpacked)
        if member.flags & _HAS_DESCRIPTOR:
            yield from self._descriptor(member_found)
        elif member_found != member:
            raise DamagedError(f"its member `{member.name}` has another size or checksum than it says")
        return member_found

    def _raw(self, size: int, *, is_chosen: bool) -> Generator[bytes | None, None, tuple[int, int, int]]:
        crc, left = 0, size
        while left:
            yield from self._await(1)
            part = self._take(min(left, PIECE_BYTES))
            left -= len(part)
            if is_chosen:
                crc = zlib.crc32(part, crc)
                yield part
        return crc, size, size

    def _unpacked(self, member: _Member, *, is_chosen: bool) -> Generator[bytes | None, None, tuple[int, int, int]]:
        stream = Inflater(-15) if member.method == _DEFLATED else bz2.BZ2Decompressor()
        crc = packed = unpacked = 0
        while not stream.eof:
            yield from self._await(1)
            data = self._take(len(self._buffer))
            packed += len(data)
            for made in pieces_of(stream, data):
                crc, unpacked = zlib.crc32(made, crc), unpacked + len(made)
                if is_chosen:
                    yield made
        self._buffer = stream.unused_data
        return crc, packed - len(self._buffer), unpacked

    def _descriptor(self, found: _Member) -> _Steps:
        """What follows a member whose sizes were not known before it: in one of four forms, which only the figures tell apart."""
        yield from self._await(26)  # there always is more: the directory follows
        for form in ("<III", "<IQQ"):
            if form == "<III" and max(found.packed, found.unpacked) >= _IN_EXTRA:
                continue
            figures = struct.pack(form, found.crc, found.packed, found.unpacked)
            for expected in (_DESCRIPTOR + figures, figures):
                rest = self._buffer[len(expected) : len(expected) + 2]
                if self._buffer.startswith(expected) and rest == b"PK":
                    self._take(len(expected))
                    return
        raise DamagedError(f"its member `{found.name}` has another size or checksum than it says")


def _likely(files: Sequence[str]) -> str:
    """The file that is most likely to hold records, by its name."""
    return next((name for ending in _OF_RECORDS for name in files if name.lower().endswith(ending)), files[0])


def _directory_of(data: bytes) -> list[_Member]:
    """The members that the directory lists. Raises EOFError when it is not whole."""
    listed: list[_Member] = []
    if data.startswith(_EXTRA_RECORD):
        data = data[8 + int.from_bytes(data[4:8], "little") :]
    while data.startswith(_CENTRAL):
        if len(data) < _CENTRAL_HEADER.size:
            raise EOFError
        flags, method, crc, packed, unpacked, name_size, extra_size, comment_size = _CENTRAL_HEADER.unpack_from(data)
        begin = _CENTRAL_HEADER.size
        extra = data[begin + name_size : begin + name_size + extra_size]
        listed.append(_member(flags, method, crc, packed, unpacked, data[begin : begin + name_size], extra))
        data = data[begin + name_size + extra_size + comment_size :]
    at = data.find(_END)
    if at < 0 or len(data) < at + _END_SIZE:
        raise EOFError
    comment_size = int.from_bytes(data[at + 20 : at + 22], "little")
    end = at + _END_SIZE + comment_size
    if len(data) < end:
        raise EOFError
    if data[end:].strip(b"\0"):
        raise DamagedError(f"{len(data) - end} bytes stand behind its end, perhaps of another archive")
    return listed


def _member(flags: int, method: int, crc: int, packed: int, unpacked: int, name: bytes, extra: bytes) -> _Member:
    sizes = _large_sizes(extra)
    if unpacked == _IN_EXTRA and sizes:
        unpacked = sizes.pop(0)
    if packed == _IN_EXTRA and sizes:
        packed = sizes.pop(0)
    return _Member(name.decode("utf-8" if flags & _IS_UTF8 else "cp437", "replace"), flags, method, crc, packed, unpacked)


def _large_sizes(extra: bytes) -> list[int]:
    """The sizes of 64 bits in a header's additions."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 1:
            body = extra[4 : 4 + size]
            return [int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body) - 7, 8)]
        extra = extra[4 + size :]
    return []
