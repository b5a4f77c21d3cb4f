"""Landing: the bytes of raw files brought into a commit, unchanged, and their records counted on the way.

They come from their origin, several at once where it allows that; or from an earlier commit, where the lake has them already and the
origin says that they are the same. The invariant: what landed are the bytes that were found, each file's as one version of it has them.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal

from headrace.core.counted import counted_by
from headrace.core.errors import DamageError, TransientError
from headrace.core.manifest import FileEntry, Manifest
from headrace.core.ports import JSON, CountedRecords, Landed, Origin, RawFile, SourceFormat
from headrace.lake.commit import Attempt
from headrace.lake.lake import VanishedError

__all__ = [
    "Bronze",
    "Landing",
    "Leave",
    "check_unchanged",
    "is_known_to_be",
    "land",
    "land_again",
    "marks_of",
    "news_in_words",
    "news_of",
    "origin_marks",
]

_CHUNK = 1024 * 1024
_NOT_IN_NAMES = re.compile(r"[\\\x00-\x1f\x7f]")
_LONGEST_NAME = 200  # bytes

News = Literal["new", "changed", "unchanged"]

Leave = Callable[[Landed], Landed | None]
"""What is to land in the place of a file, beside the lake; None for the file as it is."""


@dataclass(frozen=True)
class Bronze:
    """The raw files that an earlier commit landed. `paths` finds the local files of some of them; VanishedError for one that is gone."""

    manifest: Manifest
    paths: Callable[[Sequence[FileEntry]], Sequence[Path]]

    def entries(self) -> dict[str, FileEntry]:
        """What landed, by URI, in the order of reading."""
        raw = self.manifest.content.part("raw")
        by_name = {file.name: file for file in raw.files} if raw else {}
        return {uri: by_name[name] for uri, name in zip(marks_of(self.manifest), _names(self.manifest), strict=True)}


@dataclass(frozen=True)
class Landing:
    """A file as it was found, as it lies in the lake, and what it is beside what was known of it."""

    found: RawFile
    landed: Landed
    news: News = "new"


def land(
    files: Sequence[RawFile],
    attempt: Attempt,
    origin: Origin,
    reader: SourceFormat,
    options: Mapping[str, JSON],
    *,
    known: Bronze | None = None,
    leave: Leave | None = None,
) -> list[Landing]:
    """Bring files into an attempt: those that an earlier commit has from there, the others from their origin."""
    names = _names_for(files)
    before = marks_of(known.manifest) if known else {}
    same = [file for file in files if file.mark and before.get(file.uri) == file.mark]
    try:
        kept = _copied(same, names, attempt, known, reader, options, leave) if known and same else {}
    except VanishedError:  # a collection ran since: then from the origin
        attempt.discard()
        kept = {}
    targets = {file.uri: attempt.file("raw", layer="bronze", name=names[file.uri]) for file in files if file.uri not in kept}
    fetched = _fetched([file for file in files if file.uri in targets], targets, origin, reader, options)
    if leave:
        fetched = {uri: _put(other, one.path) if (other := leave(one)) else one for uri, one in fetched.items()}
    return [Landing(file, kept.get(file.uri) or fetched[file.uri], _news(file, before, is_kept=file.uri in kept)) for file in files]


def land_again(
    landed: Bronze, attempt: Attempt, reader: SourceFormat, options: Mapping[str, JSON], leave: Leave | None = None
) -> list[Landed]:
    """All files of an earlier commit, copied into this one, and their records counted by today's options; in the order of their reading."""
    entries = landed.entries()
    found: list[Landed] = []
    for (uri, entry), path in zip(entries.items(), landed.paths(list(entries.values())), strict=True):
        one = _counted(uri, entry, path, landed.manifest, reader.counter(entry.name, options))
        found.append(_brought(one, entry, attempt, leave))
    return found


def check_unchanged(origin: Origin, location: str, files: Sequence[RawFile]) -> None:
    """TransientError when a file is not what it was when it was found."""
    after = {file.uri: file.mark for file in origin.find(location)}
    for file in files:
        if after.get(file.uri) != file.mark:
            what = "changed" if file.uri in after else "was removed"
            raise TransientError(f"`{file.uri}` {what} while it landed: it is still being written. Run again later.")


def is_known_to_be(files: Sequence[RawFile], marks: Mapping[str, str]) -> bool:
    """Whether files are those of a commit, as far as their origin tells. Those without a mark never are: they have to be read."""
    return all(file.mark for file in files) and {file.uri: file.mark for file in files} == marks


def marks_of(manifest: Manifest) -> dict[str, str]:
    """What a source's commit was made from: the mark of each file by its URI."""
    return origin_marks(manifest.receipt.get("origin"))


def origin_marks(origin: JSON) -> dict[str, str]:
    """The same, of what a receipt tells of the origin."""
    files = origin.get("files") if isinstance(origin, Mapping) else None
    if not isinstance(files, Sequence) or isinstance(files, str):
        return {}
    return {str(file["uri"]): str(file["mark"]) for file in files if isinstance(file, Mapping)}


def news_of(landings: Sequence[Landing], known: Bronze | None) -> dict[str, JSON]:
    """How many files were new, changed, unchanged and gone, beside those of an earlier commit; empty if there was none."""
    if known is None:
        return {}
    counted = Counter(landing.news for landing in landings)
    gone = len(marks_of(known.manifest).keys() - {landing.found.uri for landing in landings})
    return {"new": counted["new"], "changed": counted["changed"], "unchanged": counted["unchanged"], "gone": gone}


def news_in_words(origin: Mapping[str, JSON]) -> str:
    """The same in words, where some files were in the lake already and were not fetched; else nothing.

    >>> news_in_words({"new": 1, "changed": 0, "unchanged": 7, "gone": 0})
    'its files: 1 new, 7 unchanged and not fetched again'
    """
    told = [f"{origin[kind]} {kind}" for kind in ("new", "changed", "gone") if origin.get(kind)]
    same = origin.get("unchanged")
    return f"its files: {', '.join([*told, f'{same} unchanged and not fetched again'])}" if same else ""


# ---------------------------------------------------------------- from the lake


def _copied(
    files: Sequence[RawFile],
    names: Mapping[str, str],
    attempt: Attempt,
    known: Bronze,
    reader: SourceFormat,
    options: Mapping[str, JSON],
    leave: Leave | None,
) -> dict[str, Landed]:
    entries = known.entries()
    own = [entries[file.uri] for file in files]
    found = {}
    for file, entry, path in zip(files, own, known.paths(own), strict=True):
        one = _counted(file.uri, entry, path, known.manifest, reader.counter(file.name, options), name=names[file.uri])
        found[file.uri] = _brought(one, entry, attempt, leave)
    return found


def _brought(one: Landed, entry: FileEntry, attempt: Attempt, leave: Leave | None) -> Landed:
    """A file of the lake in an attempt: a copy inside the lake, or what is left of it."""
    other = leave(one) if leave else None
    if other is None:
        attempt.copy(entry, "raw", layer="bronze", name=one.name)
        return one
    return _put(other, attempt.file("raw", layer="bronze", name=one.name))


def _put(landed: Landed, path: Path) -> Landed:
    shutil.move(landed.path, path)
    return replace(landed, path=path)


def _counted(uri: str, entry: FileEntry, path: Path, manifest: Manifest, counter: CountedRecords, *, name: str = "") -> Landed:
    """A file of the lake, whose bytes have to be those that its entry says."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            counter.feed(chunk)
    if digest.hexdigest() != entry.sha256:
        raise DamageError(f"`{entry.key}` is not what {manifest} says of it: its bytes were changed. Nothing was made of it.")
    return Landed(uri, path, entry.sha256, entry.bytes, counter.finish(), name or entry.name, counted=counted_by(counter))


# ---------------------------------------------------------------- from the origin


def _fetched(
    files: Sequence[RawFile], targets: Mapping[str, Path], origin: Origin, reader: SourceFormat, options: Mapping[str, JSON]
) -> dict[str, Landed]:
    with ThreadPoolExecutor(max(1, min(origin.concurrency, len(files))), thread_name_prefix="headrace-land") as pool:
        landing = {file.uri: pool.submit(_fetch, file, targets[file.uri], origin, reader.counter(file.name, options)) for file in files}
        try:
            return {uri: one.result() for uri, one in landing.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(file: RawFile, path: Path, origin: Origin, counter: CountedRecords) -> Landed:
    """One pass over the bytes: copied, digested, and their records counted."""
    digest, size = sha256(), 0
    with origin.open(file) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            counter.feed(chunk)
    if file.size_bytes is not None and size != file.size_bytes:
        raise TransientError(
            f"`{file.uri}` had {file.size_bytes} bytes when it was found and {size} when it was read: it is still being written. Run again later."
        )
    return Landed(file.uri, path, digest.hexdigest(), size, counter.finish(), path.name, counted=counted_by(counter))


def _news(file: RawFile, before: Mapping[str, str], *, is_kept: bool) -> News:
    if file.uri not in before:
        return "new"
    return "unchanged" if is_kept or (file.mark and before[file.uri] == file.mark) else "changed"


# ---------------------------------------------------------------- names


def _names_for(files: Sequence[RawFile]) -> dict[str, str]:
    """The name of each file in the lake, by URI: its own as far as a key can be that, with a number where several have the same."""
    own = {file.uri: _name_for(file) for file in files}
    counted = Counter(own.values())
    width = len(str(len(files)))
    return {uri: name if counted[name] == 1 else f"{n:0{width}d}-{name}" for n, (uri, name) in enumerate(own.items())}


def _name_for(file: RawFile) -> str:
    """A name without what keys can't have, and not too long for a file: its end tells of what kind it is, so that is kept."""
    name = _NOT_IN_NAMES.sub("_", file.name).lstrip(".") or "file"
    while len(name.encode()) > _LONGEST_NAME:
        name = name[1:].lstrip(".")
    return name


def _names(manifest: Manifest) -> list[str]:
    files = manifest.content.details.get("files")
    listed = files if isinstance(files, Sequence) else ()
    return [str(file["name"]) for file in listed if isinstance(file, Mapping)]
