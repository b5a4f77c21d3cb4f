"""Files that are taken once each: which are new to an interval, and the record of all that were taken so far.

Pure. A file is known by its URI and mark, so one that changed is another. The invariant: what is chosen for an interval was taken by none
before, and what is written at its end or later is left for those after it; so each file is in one interval, whenever it was seen.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from headrace.core.errors import DamageError, SourceError
from headrace.core.ports import RawFile

__all__ = ["Chosen", "Known", "choose", "pack", "unpack"]

Known = tuple[str, str]
"""A file that was taken: its URI and its mark."""


@dataclass(frozen=True)
class Chosen:
    """The files that are new to an interval. Of those, `changed` had been taken with another mark; `left` are too late for it."""

    files: tuple[RawFile, ...]
    changed: tuple[RawFile, ...]
    left: tuple[RawFile, ...]


def choose(found: Sequence[RawFile], taken: AbstractSet[Known], end: datetime) -> Chosen:
    """What an interval that ends then takes of the files that are there. SourceError for one of which the origin does not say what has to be known."""
    uris = {uri for uri, _ in taken}
    new: list[RawFile] = []
    late: list[RawFile] = []
    for file in found:
        if file.modified_at is None or not file.mark:
            raise SourceError(
                f"`{file.uri}` can't be taken once: its origin tells neither when it was written nor by what a change is seen. Leave only_new out."
            )
        if (file.uri, file.mark) not in taken:
            (new if file.modified_at < end else late).append(file)
    return Chosen(tuple(new), tuple(file for file in new if file.uri in uris), tuple(late))


def pack(taken: Iterable[Known]) -> bytes:
    """The record of what was taken: equal bytes for equal sets. About 30 bytes a file: `["uri","mark"]` on a line each, in order, compressed.

    >>> unpack(pack({("s3://shop/b.csv", '"2"'), ("s3://shop/a.csv", '"1"')}), source="here") == {("s3://shop/a.csv", '"1"'), ("s3://shop/b.csv", '"2"')}
    True
    """
    lines = (json.dumps(known, separators=(",", ":")) + "\n" for known in sorted(set(taken)))
    return gzip.compress("".join(lines).encode(), mtime=0)


def unpack(data: bytes, *, source: str) -> frozenset[Known]:
    """What `pack` wrote. DamageError for anything else; `source` says what was read."""
    if not data:  # gzip takes that for nothing, well packed
        raise DamageError(f"{source} is no record of the files that were taken: it is empty")
    try:
        lines = gzip.decompress(data).decode().split("\n")[:-1]
        return frozenset((str(uri), str(mark)) for uri, mark in map(json.loads, lines))
    except (ValueError, TypeError, OSError, EOFError, zlib.error) as cause:
        raise DamageError(f"{source} is no record of the files that were taken: {cause}") from None
