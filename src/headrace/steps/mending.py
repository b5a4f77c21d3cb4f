"""Mended files beside the raw files that they mend: brought into a commit, and the records told apart that count.

They lie in the part `raw` with the files of the origin, under names that say so, and the part `mends` says of each of their records which
one it stands for. The invariant: a mend holds for the bytes that it was made for, whatever is declared later; where other bytes have taken
their place, it holds no more, and that is said.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from headrace.core.counted import counted_by
from headrace.core.errors import ConfigurationError, DamageError, SourceError
from headrace.core.manifest import FileEntry, Manifest, Part
from headrace.core.mending import Mend, MendableFormat, left_out, mends_of, now_standing, pack_mends
from headrace.core.ports import JSON, Landed, SourceFormat
from headrace.lake.commit import Attempt
from headrace.steps.landing import Bronze

__all__ = ["MENDS", "Mended", "MendedFile", "Mending", "mend", "mendable", "mended_by", "mends_part", "name_of_mended"]

MENDS = "mends"
"""The part of a commit that says which records of its raw files were mended, and by which."""

_CHUNK = 1024 * 1024
_LONGEST_NAME = 180  # bytes
_NUMBERED = re.compile(r"mended-\d+-")
_NOT_IN_NAMES = re.compile(r"[\\/\x00-\x1f\x7f]")


@dataclass(frozen=True)
class MendedFile:
    """A mended file: `path` has its bytes, and `entry` says where an earlier commit has them.

    Without one a person brings it now, or it was made again of one, without some of its records.
    """

    mend: Mend
    path: Path
    entry: FileEntry | None = None
    is_made_again: bool = False


@dataclass(frozen=True)
class Mended:
    """The mended files that there are, the oldest first, and what a receipt tells of how they came."""

    files: Sequence[MendedFile] = ()
    told: Sequence[Mapping[str, JSON]] = ()


@dataclass(frozen=True)
class Mending:
    """The files to read, those of the origin first: of each is known which records count. `lost` counts mended records that hold no more."""

    landed: Sequence[Landed]
    mends: Sequence[Mend] = ()
    told: Sequence[Mapping[str, JSON]] = ()
    lost: int = 0

    def origin(self) -> dict[str, JSON]:
        """What the receipt says of how they came, if there are any."""
        return {"mended": list(self.told)} if self.mends else {}

    def details(self) -> dict[str, JSON]:
        """What the manifest says; nothing where nothing was mended."""
        files: list[JSON] = [
            {"name": one.name, "size": one.size_bytes, "sha256": one.sha256, "records": one.records, "counted": one.records_that_count}
            for one in self.landed
            if one.is_mended
        ]
        return {"mended": files} if files else {}

    def remarks(self) -> tuple[str, ...]:
        return (f"{self.lost} records that were mended are not any more: their files were replaced by others",) if self.lost else ()


def mended_by(bronze: Bronze) -> Mended:
    """The mended files of an earlier commit. VanishedError when they were collected."""
    part, raw = bronze.manifest.content.part(MENDS), bronze.manifest.content.part("raw")
    if part is None or raw is None:
        return Mended()
    (packed,) = bronze.paths(part.files)
    mends = mends_of(packed.read_bytes(), source=f"part `{MENDS}` of {bronze.manifest}")
    entries = {file.name: file for file in raw.files}
    own = [entries[mend.name] for mend in mends]
    files = [MendedFile(mend, path, entry) for mend, path, entry in zip(mends, bronze.paths(own), own, strict=True)]
    return Mended(files, _told(bronze.manifest))


def mend(landed: Sequence[Landed], mended: Mended, attempt: Attempt, reader: SourceFormat, options: Mapping[str, JSON]) -> Mending:
    """Bring mended files into an attempt, and leave out of all files what does not count."""
    if not mended.files:
        return Mending(landed)
    now = {one.name: one.sha256 for one in landed}
    taken = set(now)
    standing: list[tuple[MendedFile, Mend]] = []
    for file in mended.files:
        _check_there(file, now)
        found = now_standing(file.mend, now)
        if not any(True for _ in found.places):
            continue
        if found.name in taken:
            found = replace(found, name=name_of_mended(found.name, taken))
        taken.add(found.name)
        standing.append((file, found))
    before, mends = [file.mend for file in mended.files], [found for _, found in standing]
    lost = _counting(before) - _counting(mends)
    format_ = mendable(reader)
    own = [_brought(file, found.name, attempt, reader, format_.mended_options(options)) for file, found in standing]
    if mends:
        attempt.file(MENDS, layer="bronze", name=f"{MENDS}.jsonl.gz").write_bytes(pack_mends(mends))
    out = left_out(mends)
    names = {file.mend.name: found.name for file, found in standing}
    told = [{**one, "name": names[str(one["name"])]} for one in mended.told if one.get("name") in names]
    return Mending([replace(one, left_out=out.get(one.name, frozenset())) for one in [*landed, *own]], mends, told, lost)


def mends_part(attempt: Attempt, mending: Mending) -> tuple[Part, ...]:
    return (attempt.part(MENDS, "bronze"),) if mending.mends else ()


def mendable(reader: SourceFormat) -> MendableFormat:
    """A format whose records can be mended. ConfigurationError for another."""
    if not isinstance(reader, MendableFormat):
        raise ConfigurationError("The records of this format can't be mended in an editor: mend the file at its origin, and run again.")
    return reader


def name_of_mended(given: str, taken: Sequence[str] | set[str]) -> str:
    """What a mended file is called in the lake, where these names are taken.

    >>> name_of_mended("mended.csv", {"sales.csv"}), name_of_mended("mended.csv", {"mended-1-mended.csv"})
    ('mended-1-mended.csv', 'mended-2-mended.csv')
    """
    own = _NUMBERED.sub("", _NOT_IN_NAMES.sub("_", given), count=1)
    while len(own.encode()) > _LONGEST_NAME:
        own = own[1:]
    number = 1 + sum(1 for name in taken if _NUMBERED.match(name))
    while (name := f"mended-{number}-{own}") in taken:
        number += 1
    return name


def _check_there(file: MendedFile, now: Mapping[str, str]) -> None:
    """What a person mended just now has to be of the bytes that are there; what holds no more of an earlier commit is told, not refused."""
    gone = [name for name, digest in file.mend.files.items() if digest not in now.values()]
    if file.entry is None and not file.is_made_again and gone:
        raise SourceError(f"`{gone[0]}` is not as it was when its records were exported: `{file.path.name}` mends other bytes. Run again.")


def _brought(file: MendedFile, name: str, attempt: Attempt, reader: SourceFormat, options: Mapping[str, JSON]) -> Landed:
    counter, digest, size = reader.counter(name, options), sha256(), 0
    with file.path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            counter.feed(chunk)
            digest.update(chunk)
            size += len(chunk)
    if digest.hexdigest() != file.mend.sha256:
        raise DamageError(f"The mended file `{file.path}` is not what it was: its bytes were changed. Nothing was made of it.")
    if file.entry is not None:
        attempt.copy(file.entry, "raw", layer="bronze", name=name)
    else:
        shutil.copyfile(file.path, attempt.file("raw", layer="bronze", name=name))
    return Landed(name, file.path, file.mend.sha256, size, counter.finish(), name, is_mended=True, counted=counted_by(counter))


def _counting(mends: Sequence[Mend]) -> int:
    return len({place for one in mends for _, place in one.places})


def _told(manifest: Manifest) -> Sequence[Mapping[str, JSON]]:
    origin = manifest.receipt.get("origin")
    told = origin.get("mended") if isinstance(origin, Mapping) else None
    return [one for one in told if isinstance(one, Mapping)] if isinstance(told, Sequence) and not isinstance(told, str) else []
