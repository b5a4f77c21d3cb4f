"""Words in a file of texts, wherever they stand: in records and outside of them, and in the other files of an archive that it is in.

The file is unpacked and decoded as it is when it is read, a piece at a time. The other members of a zip archive are looked into as UTF-8, or as
UTF-16 where they say so, packed or not. The invariant: what can't be looked into is said; memory is bounded.
"""

from __future__ import annotations

import codecs
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from headrace.backends.texts.stretches import chunks_of
from headrace.backends.texts.transcoding import LONGEST_MARK, encoding_by
from headrace.backends.texts.unpacking import PIECE_BYTES, Unpacker
from headrace.core.errors import SourceError
from headrace.core.mentions import Place, Stretch, Unseen, Words, places_in
from headrace.core.ports import JSON, Landed

__all__ = ["mentions"]

_MOST_RATIO = 1000
_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError)


def mentions(file: Landed, words: Words, *, options: Mapping[str, JSON], besides: Sequence[Stretch] = ()) -> Iterator[Place | Unseen]:
    """See `headrace.core.mentions.SearchingFormat`."""
    unpacker = Unpacker(file.name, member=str(options.get("member") or ""))
    encoding, texts = _texts(chunks_of(file.path, unpacker), file.name, options)
    yield from _outside(places_in(texts, words, encoding), besides)
    if unpacker.member:
        yield from _in_others(file, unpacker.member, words)


def _outside(places: Iterable[Place], records: Sequence[Stretch]) -> Iterator[Place]:
    """The places that are in none of some records."""
    ordered = sorted((record.offset, record.offset + record.size) for record in records)
    for place in places:
        before = bisect_right(ordered, place.offset, key=lambda stretch: stretch[0])
        if not before or ordered[before - 1][1] <= place.offset:
            yield place


def _texts(chunks: Iterable[bytes], name: str, options: Mapping[str, JSON]) -> tuple[str, Iterator[str]]:
    """The encoding of a file, and its text in pieces; bytes that are no text stand for themselves."""
    parts, start = iter(chunks), b""
    while len(start) < LONGEST_MARK and (more := next(parts, None)) is not None:
        start += more
    encoding = encoding_by(start, name, options)
    return encoding, _decoded(chain([start], parts), encoding)


def _decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


# ---------------------------------------------------------------- the other files of an archive


def _in_others(file: Landed, own: str, words: Words) -> Iterator[Place | Unseen]:
    with zipfile.ZipFile(file.path) as archive:
        if words.are_in(archive.comment.decode("utf-8", "surrogateescape")):
            yield Place(0, 0, "the comment of its archive")
        for member in archive.infolist():
            if words.are_in(member.filename) or words.are_in(member.comment.decode("utf-8", "surrogateescape")):
                yield Place(0, 0, f"the name or the comment of `{member.filename}` in its archive")
            if member.filename != own and not member.is_dir():
                yield from _in_member(archive, member, words)


def _in_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, words: Words) -> Iterator[Place | Unseen]:
    try:
        encoding, texts = _texts(_unpacked(archive, member), member.filename, {})
        yield from places_in(texts, words, encoding, beside=f"`{member.filename}` in its archive")
    except (SourceError, *_UNREADABLE) as error:
        yield Unseen(f"`{member.filename}` in its archive can't be looked into: {error}")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    unpacker = Unpacker(member.filename, max_ratio=_MOST_RATIO)
    with archive.open(member) as packed:
        while data := packed.read(PIECE_BYTES):
            yield from unpacker.feed(data)
    yield from unpacker.finish()
