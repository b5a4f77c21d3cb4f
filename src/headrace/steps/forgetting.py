"""Keys that are forgotten, left out of what lands: files of which a record holds one are made again without it, before they are read.

It is so wherever the bytes come from, the origin or the lake, so nobody comes back by a file that is fetched again. A record that was mended
goes with the one that it mends, whichever of the two holds a key. The invariant: what is left of a file was counted again, and is what there was
but for what was taken out.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from weakref import finalize

from headrace.core.contract import Contract
from headrace.core.counted import counted_by
from headrace.core.errors import ConfigurationError, SourceError
from headrace.core.forgetting import ErasableFormat, Forgotten
from headrace.core.mending import Mend, Place
from headrace.core.ports import JSON, CountedRecords, Landed, SourceFormat
from headrace.core.records import Record
from headrace.steps.landing import Leave
from headrace.steps.made import Made
from headrace.steps.mending import Mended, MendedFile, mendable

__all__ = ["Forgetting", "begun", "left_of", "saying"]

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class _Rest:
    """A file without what was taken out of it: which records, by where they began, and which stretches of its bytes."""

    sha256: str
    gone: AbstractSet[int]
    out: Sequence[tuple[int, int]]

    def moved(self, offset: int) -> int:
        """Where a record begins now."""
        return offset - sum(length for begin, length in self.out if begin < offset)


class Forgetting:
    """Leaves keys out while one interval of a source is made. For one making; `records` is how many were left out so far."""

    def __init__(self, forgotten: Forgotten, reader: SourceFormat, options: Mapping[str, JSON], contract: Contract | None) -> None:
        if not isinstance(reader, ErasableFormat):
            raise ConfigurationError("Nothing can be taken out of files of this format, and the pipeline has keys that are forgotten.")
        self._forgotten, self._reader, self._options, self._contract = forgotten, reader, options, contract
        self._folder = Path(mkdtemp(prefix="headrace-forgetting-"))
        finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._rests: dict[str, _Rest] = {}  # by the digest of what a file was
        self._roots: defaultdict[str, set[int]] = defaultdict(set)  # records whose mended ones hold a key, by the digest of their file
        self._held: dict[str, set[int]] = {}  # by the name of a mended file
        self.records = 0

    def begin(self, mended: Mended) -> None:
        """Look into the mended files, since what they mend goes with them."""
        for file in mended.files:
            self._held[file.mend.name] = {record.offset for record in self._found(_landed(file), self._options_of_mended)}
            for offset in self._held[file.mend.name]:
                place = file.mend.links.get(offset)
                if place is not None:
                    self._roots[file.mend.files[place.file]].add(place.offset)

    def without(self, landed: Landed) -> Landed | None:
        """A file without the records of forgotten keys, beside the lake; None for one that holds none of them."""
        records = list(self._found(landed, self._options, self._roots.get(landed.sha256, frozenset())))
        return self._rest(landed, records, self._options) if records else None

    def mended(self, mended: Mended) -> Mended:
        """The mended files as they are of what is left."""
        return replace(mended, files=[self._mended(file) for file in mended.files]) if self._rests or any(self._held.values()) else mended

    def origin(self) -> dict[str, JSON]:
        """What the receipt says of it, if there is anything to say."""
        return {"forgotten": self.records} if self.records else {}

    def remarks(self) -> tuple[str, ...]:
        what = "1 record of a forgotten key was" if self.records == 1 else f"{self.records} records of forgotten keys were"
        return (f"{what} left out",) if self.records else ()

    # ------------------------------------------------ the work

    @property
    def _options_of_mended(self) -> Mapping[str, JSON]:
        return mendable(self._reader).mended_options(self._options)

    def _found(self, landed: Landed, options: Mapping[str, JSON], also: AbstractSet[int] = frozenset()) -> Iterator[Record]:
        assert isinstance(self._reader, ErasableFormat)
        return self._reader.holding(landed, contract=self._contract, options=options, forgotten=self._forgotten, also=also)

    def _rest(self, landed: Landed, records: Sequence[Record], options: Mapping[str, JSON]) -> Landed:
        assert isinstance(self._reader, ErasableFormat)
        target = self._folder / str(len(list(self._folder.iterdir())))
        out = self._reader.erase(landed, target, options=options, records=records)
        counter = self._reader.counter(landed.name, options)
        digest, size, counted = _counted(target, counter)
        if not landed.is_mended and counted != landed.records - len(records):
            raise SourceError(
                f"`{landed.name}` has {landed.records} records, {len(records)} of them of forgotten keys, and without those it would have "
                f"{counted}: nothing was committed. That is a defect of headrace: please report it with the file."
            )
        self._rests[landed.sha256] = _Rest(digest, {record.offset for record in records}, out)
        self.records += 0 if landed.is_mended else len(records)  # a mended record is the one that it stands for
        rest = replace(landed, path=target, called=landed.name, sha256=digest, size_bytes=size, records=counted)
        return replace(rest, counted=counted_by(counter))

    def _mended(self, file: MendedFile) -> MendedFile:
        before, name = file.mend, file.mend.name
        gone = self._held[name] | {offset for offset, place in before.places if self._is_gone(before, place)}
        links = {offset: self._moved(before, place) for offset, place in before.links.items() if offset not in gone}
        digests = {raw: self._rests[digest].sha256 if digest in self._rests else digest for raw, digest in before.files.items()}
        if not gone:
            return replace(file, mend=replace(before, links=links, files=digests))
        records = list(self._found(_landed(file), self._options_of_mended, gone))
        made = self._rest(_landed(file), records, self._options_of_mended)
        rest = self._rests[before.sha256]
        moved = {rest.moved(offset): place for offset, place in links.items()}
        return MendedFile(Mend(name, made.sha256, digests, moved), made.path, is_made_again=True)

    def _is_gone(self, mend: Mend, place: Place) -> bool:
        rest = self._rests.get(mend.files[place.file])
        return rest is not None and place.offset in rest.gone

    def _moved(self, mend: Mend, place: Place | None) -> Place | None:
        rest = self._rests.get(mend.files[place.file]) if place is not None else None
        return replace(place, offset=rest.moved(place.offset)) if place is not None and rest is not None else place


def begun(forgetting: Forgetting | None, mended: Mended) -> Leave | None:
    """What is to be asked of each file that lands, if anything is; the mended ones are looked into first."""
    if forgetting is None:
        return None
    forgetting.begin(mended)
    return forgetting.without


def left_of(forgetting: Forgetting | None, mended: Mended) -> Mended:
    """The mended files beside what has landed."""
    return mended if forgetting is None else forgetting.mended(mended)


def saying(forgetting: Forgetting | None, made: Made) -> Made:
    """What was made, and how many records were left out of it."""
    if forgetting is None:
        return made
    return replace(made, origin={**made.origin, **forgetting.origin()}, remarks=(*made.remarks, *forgetting.remarks()))


def _landed(file: MendedFile) -> Landed:
    return Landed(file.mend.name, file.path, file.mend.sha256, file.path.stat().st_size, 0, file.mend.name, is_mended=True)


def _counted(path: Path, counter: CountedRecords) -> tuple[str, int, int]:
    digest, size = sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            counter.feed(chunk)
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size, counter.finish()
