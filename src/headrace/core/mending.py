"""Mends: which record of a mended file stands in the place of which record of a raw file.

Plain values and their bytes; nothing here opens a file. A record is named by its file and its offset in it. The invariant: each record that
was read counts once, as it came or as the newest mended file has it, so that mending never makes a record more or one less.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Protocol, runtime_checkable

from headrace.core.errors import DamageError
from headrace.core.ports import JSON, SourceFormat

__all__ = ["Mend", "MendableFormat", "Place", "left_out", "mends_of", "now_standing", "pack_mends", "pair", "root_of"]

_FORMAT = 1


@dataclass(frozen=True)
class Place:
    """A record: the name of its file, and where it begins in it, in bytes without compression."""

    file: str
    offset: int


@dataclass(frozen=True)
class Mend:
    """A mended file. `links` has each of its records by offset, and the record that it mends; None where it was left as it came.

    `files` are the raw files that it mends, by name, and their digests: a mend is of these bytes and of no others.
    """

    name: str
    sha256: str
    files: Mapping[str, str]
    links: Mapping[int, Place | None]

    @property
    def places(self) -> Iterator[tuple[int, Place]]:
        """The records that mend one, and which."""
        return ((offset, place) for offset, place in self.links.items() if place is not None)


@runtime_checkable
class MendableFormat(SourceFormat, Protocol):
    """A format whose records are lines of text, so that a person can mend them in an editor, in a file that holds nothing else."""

    def mended_options(self, options: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """How a mended file is read, where its source is read with these options."""
        ...

    def head(self, names: Sequence[str], options: Mapping[str, JSON]) -> bytes:
        """What a file to mend begins with; SourceError for names that can't be said in it."""
        ...

    def bytes_at(self, path: Path, options: Mapping[str, JSON], wanted: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """Stretches of a file's bytes without compression, by offset and size, in order."""
        ...


def left_out(mends: Sequence[Mend]) -> dict[str, frozenset[int]]:
    """The records that do not count, by file: those that were mended, and of mended files those that mend nothing (any more).

    >>> first = Mend("mended-1.csv", "", {"a.csv": ""}, {9: Place("a.csv", 40), 17: None})
    >>> second = Mend("mended-2.csv", "", {"a.csv": ""}, {9: Place("a.csv", 40)})
    >>> sorted(left_out([first]).items())
    [('a.csv', frozenset({40})), ('mended-1.csv', frozenset({17}))]
    >>> sorted(left_out([first, second])["mended-1.csv"])
    [9, 17]
    """
    newest = {place: Place(mend.name, offset) for mend in mends for offset, place in mend.places}
    standing = set(newest.values())
    found: defaultdict[str, set[int]] = defaultdict(set)
    for place in newest:
        found[place.file].add(place.offset)
    for mend in mends:
        found[mend.name] |= {offset for offset in mend.links if Place(mend.name, offset) not in standing}
    return {name: frozenset(offsets) for name, offsets in found.items() if offsets}


def pair(before: Sequence[str], after: Sequence[str]) -> list[int] | int:
    """Which of the records `before` each one `after` was, where all were mended in their places and some were perhaps taken out.

    By digests, in order. Where that is not certain, the number of the first record (from 0) of which nobody can say what it was.

    >>> pair(["a", "b", "c"], ["a", "B", "C"]), pair(["a", "b", "c"], ["A", "b"])
    ([0, 1, 2], [0, 1])
    >>> pair(["a", "b", "c"], ["B"]), pair(["a"], ["a", "x"])
    (0, 1)
    """
    if len(before) == len(after):
        return list(range(len(after)))
    found: list[int] = []
    for what, begin, end, first, last in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what != "delete" and end - begin != last - first:
            return first
        found += range(begin, end) if what != "delete" else ()
    return found


def root_of(place: Place, mends: Iterable[Mend]) -> Place:
    """The record of a raw file that is meant by one that may be of a mended file."""
    for mend in mends:
        if mend.name == place.file:
            return mend.links.get(place.offset) or place
    return place


def now_standing(mend: Mend, files: Mapping[str, str]) -> Mend:
    """A mend as it is of the raw files that are there now, by name and digest; what it mends in others is none any more.

    A file is known by its bytes, since its name in the lake may be another beside other files.
    """
    names = {}
    for name, digest in mend.files.items():
        alike = [other for other, its in files.items() if its == digest]
        if files.get(name) == digest or len(alike) == 1:
            names[name] = name if files.get(name) == digest else alike[0]
    links = {offset: _moved(place, names) for offset, place in mend.links.items()}
    return replace(mend, files={now: mend.files[name] for name, now in names.items()}, links=links)


def pack_mends(mends: Sequence[Mend]) -> bytes:
    """The record of mends: equal bytes for equal ones. A line for each record of a mended file, compressed."""
    return gzip.compress("".join(f"{line}\n" for mend in mends for line in _lines(mend)).encode(), mtime=0)


def mends_of(data: bytes, *, source: str) -> list[Mend]:
    """What `pack_mends` wrote. DamageError for anything else; `source` says what was read."""
    try:
        found: list[Mend] = []
        files: list[str] = []
        links: dict[int, Place | None] = {}
        for line in map(json.loads, gzip.decompress(data).decode().splitlines()):
            if isinstance(line, dict):
                files, links = sorted(line["files"]), {}
                if line["format"] != _FORMAT:
                    raise ValueError(f"format {line['format']}")  # noqa: TRY301  # told as all else that is wrong with it
                found.append(Mend(line["name"], line["sha256"], line["files"], links))
            else:
                offset, *place = line
                links[offset] = Place(files[place[0]], place[1]) if place else None
    except (ValueError, TypeError, KeyError, IndexError, OSError, EOFError, zlib.error) as cause:
        raise DamageError(f"{source} is no record of what was mended: {cause}") from None
    return found


def _lines(mend: Mend) -> Iterator[str]:
    numbers = {name: number for number, name in enumerate(sorted(mend.files))}
    yield json.dumps({"format": _FORMAT, "name": mend.name, "sha256": mend.sha256, "files": dict(mend.files)}, sort_keys=True)
    for offset, place in sorted(mend.links.items()):
        yield json.dumps([offset] if place is None else [offset, numbers[place.file], place.offset], separators=(",", ":"))


def _moved(place: Place | None, names: Mapping[str, str]) -> Place | None:
    return Place(names[place.file], place.offset) if place is not None and place.file in names else None
