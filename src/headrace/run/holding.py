"""Where a key is in the lake: every version of every dataset of a pipeline whose files are still there, current or not.

Rows are searched by their columns, and so are the keys that a source remembers of earlier intervals; raw files record by record as their format
splits them, and what is in quarantine by the records that it came from. Nothing is changed. The invariant: what could not be searched is said, and is not taken for free of the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import cast

from headrace.core.errors import ConfigurationError, HeadraceError
from headrace.core.forgetting import ErasableFormat, Forgotten, forgotten_key, is_said_in
from headrace.core.manifest import MEMORY, FileEntry, Manifest, Part
from headrace.core.mending import MendableFormat
from headrace.core.mentions import Stretch
from headrace.core.ports import JSON, Landed, SourceFormat
from headrace.core.quarantine import encoding_of
from headrace.core.split import ROW_PARTS
from headrace.core.step import Source
from headrace.core.unnesting import is_inside
from headrace.lake.lake import VanishedError
from headrace.lake.layout import Slot
from headrace.run.forgotten import FORGOTTEN, Names
from headrace.run.memory import keys_over_history
from headrace.run.quarantined import Quarantine, records_of
from headrace.run.record import RUNS
from headrace.run.session import Session

__all__ = [
    "Holder",
    "Holding",
    "Search",
    "Wanted",
    "datasets_of",
    "holding",
    "holding_in",
    "landed_of",
    "options_of",
    "rejected_in",
    "source_of",
    "versions_of",
    "wanted_of",
]

Wanted = Mapping[Names, str]
"""A key: for each of its columns all the names that it goes by, and the text of its value."""

_SALT = "searching"  # nothing of a search is kept


@dataclass(frozen=True)
class Holder:
    """A part of one version that holds the key, and how many of its rows or records do."""

    slot: Slot
    part: str
    count: int
    is_current: bool


@dataclass
class Holding:
    """What a search found. `unsearched` says what could not be looked into, and why; `told` which entries of the log quote the value."""

    holders: list[Holder] = field(default_factory=list[Holder])
    unsearched: list[str] = field(default_factory=list[str])
    told: list[str] = field(default_factory=list[str])

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(dict.fromkeys(holder.slot for holder in self.holders))


def wanted_of(session: Session, key: Mapping[str, str]) -> Wanted:
    """A key with the names that its columns have in the datasets and in the files of the sources."""
    found: dict[Names, str] = {}
    for column, text in key.items():
        names = {column}
        for step in session.graph.steps.values():
            if isinstance(step, Source) and step.contract:
                _check_is_of_records(step, column)
                names.update(name for f in step.contract.fields if column in (f.name, f.alias) for name in (f.name, f.alias))
        found[tuple(sorted(names))] = text
    return found


def _check_is_of_records(step: Source, column: str) -> None:
    unnest = step.options.options.get("unnest")
    fields = step.contract.fields if step.contract else ()
    if isinstance(unnest, str) and any(is_inside(field, unnest) and column in (field.name, field.alias) for field in fields):
        raise ConfigurationError(
            f"`{column}` is in the elements of `{unnest}` in source `{step.name}`, and records are forgotten whole: name a column of the record."
        )


def holding(session: Session, wanted: Wanted) -> Holding:
    """Search all datasets of the session's pipeline."""
    search = Search(session, wanted)
    for dataset in datasets_of(session):
        search.dataset(dataset)
    search.runs()
    return search.found


def versions_of(session: Session) -> frozenset[Slot]:
    """All versions that the session's pipeline has of its datasets."""
    lake, pipeline = session.lake, session.graph.name
    return frozenset(
        Slot(pipeline, dataset, interval, version)
        for dataset in datasets_of(session)
        for interval, versions in lake.log(pipeline, dataset).versions(None).items()
        for version in versions
    )


def datasets_of(session: Session) -> Iterator[str]:
    """Those that have rows: neither the records of runs nor that of who is forgotten."""
    for name in session.lake.datasets(session.graph.name):
        dataset = name.partition(".")[2]
        if dataset not in (RUNS, FORGOTTEN):
            yield dataset


def holding_in(session: Session, wanted: Wanted, slots: Iterable[Slot]) -> Holding:
    """Search some versions."""
    search = Search(session, wanted)
    for slot in slots:
        search.version(session.lake.log(slot.pipeline, slot.dataset).manifest(slot.interval, slot.version), is_current=True)
    return search.found


class Search:
    """Looks for one key; files of equal bytes are looked into once."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        self._session, self._wanted = session, wanted
        self._forgotten = Forgotten(_SALT, (forgotten_key(wanted, _SALT),))
        self._rows: dict[str, int] = {}  # by the digest of a file of rows
        self._records: dict[str, tuple[Stretch, ...]] = {}  # by that of a raw file
        self.found = Holding()

    def dataset(self, dataset: str) -> None:
        log = self._session.lake.log(self._session.graph.name, dataset)
        known = log.versions(None)
        log.read_ahead([(interval, version) for interval, versions in known.items() for version in versions])
        for interval, versions in known.items():
            current = log.current(interval, versions=versions)
            for version in versions:
                manifest = log.manifest(interval, version)
                if manifest.kind == "data":
                    self.version(manifest, is_current=current is not None and current.version == version)

    def runs(self) -> None:
        """What the records of runs quote of errors: they were kept whole once, and an entry is never written again."""
        log = self._session.lake.log(self._session.graph.name, RUNS)
        known = log.versions(None)
        log.read_ahead([(interval, version) for interval, versions in known.items() for version in versions])
        for interval, versions in known.items():
            for version in versions:
                manifest = log.manifest(interval, version)
                texts = [str(one.get("error") or "") for one in _mappings(manifest.receipt.get("receipts"))]
                if any(all(is_said_in(text, value) for value in self._wanted.values()) for text in texts):
                    self.found.told.append(f"{manifest} quotes it in what it says of an error")

    def version(self, manifest: Manifest, *, is_current: bool) -> None:
        slot = Slot(manifest.pipeline, manifest.dataset, manifest.interval, manifest.version)
        for part in manifest.content.parts:
            try:
                with self._session.lake.store.lease():  # so that this machine has no copy of it longer than it is looked at
                    count = self._part(manifest, part)
            except HeadraceError as error:
                self.found.unsearched.append(f"{manifest}, part `{part.name}`: {error}")
                continue
            if count:
                self.found.holders.append(Holder(slot, part.name, count, is_current))

    def _part(self, manifest: Manifest, part: Part) -> int:
        if part.name in ROW_PARTS:
            return self._in_rows(manifest, part)
        if part.name == MEMORY:
            return self._in_keys(manifest, part)
        if part.name == "raw":
            return sum(len(found) for found in self.raw(manifest).values())
        return self._in_quarantine(manifest, part) if part.name == "quarantine" else 0

    # ------------------------------------------------ rows

    def _in_rows(self, manifest: Manifest, part: Part) -> int:
        ways = self.ways([column.name for column in manifest.content.schema.get(part.name, ())])
        return sum(self._in_file(manifest, file, ways) for file in part.files)

    def _in_keys(self, manifest: Manifest, part: Part) -> int:
        """The keys that are remembered, a file for each that is unique over history, whose columns it calls `k0`, `k1`, …"""
        declared = keys_over_history(manifest)
        if len(declared) != len(part.files):
            raise HeadraceError("nobody knows which columns its keys are of")
        count = 0
        for columns, file in zip(declared, part.files, strict=True):
            ways = [{f"k{columns.index(column)}": text for column, text in way.items()} for way in self.ways(columns)]
            count += self._in_file(manifest, file, ways)
        return count

    def ways(self, columns: Sequence[str]) -> list[dict[str, str]]:
        """The key as columns with some names hold it; nothing where one of its columns is not among them."""
        return [dict(zip(way, self._wanted.values(), strict=True)) for way in product(*(_among(names, columns) for names in self._wanted))]

    def _in_file(self, manifest: Manifest, file: FileEntry, ways: Sequence[Mapping[str, str]]) -> int:
        if ways and file.sha256 not in self._rows:
            try:
                (path,) = self._session.lake.paths_of(manifest, [file])
            except VanishedError:
                return 0
            found = (self._session.engine.find(path, way, most=0) for way in ways)
            self._rows[file.sha256] = max(one.count if one else 0 for one in found)
        return self._rows[file.sha256] if ways else 0

    # ------------------------------------------------ raw files

    def raw(self, manifest: Manifest) -> dict[str, tuple[Stretch, ...]]:
        """The records that hold the key in each raw file that is still there, by its name."""
        raw, step = manifest.content.part("raw"), source_of(self._session, manifest)
        if raw is None or step is None:
            return {}
        found = {}
        for file in raw.files:
            if file.sha256 not in self._records:
                try:
                    (path,) = self._session.lake.paths_of(manifest, [file])
                except VanishedError:
                    continue
                self._records[file.sha256] = tuple(self._in_raw(step, landed_of(manifest, file, path), manifest))
            found[file.name] = self._records[file.sha256]
        return found

    def _in_raw(self, step: Source, file: Landed, manifest: Manifest) -> Iterator[Stretch]:
        reader = self._session.format(step)
        if not isinstance(reader, ErasableFormat):
            raise HeadraceError("its format can't be searched")
        options = options_of(reader, file, step, manifest)
        for record in reader.holding(file, contract=step.contract, options=options, forgotten=self._forgotten):
            yield Stretch(record.line, record.offset, len(record.raw))

    # ------------------------------------------------ quarantine

    def _in_quarantine(self, manifest: Manifest, part: Part) -> int:
        try:
            self._session.lake.paths_of(manifest, part.files)
        except VanishedError:
            return 0
        return sum(1 for _ in self.rejected(manifest))

    def rejected(self, manifest: Manifest) -> Iterator[int]:
        """The numbers, from 0, of the records in a quarantine that hold the key: by the raw files, else by the value as a word in their text."""
        raw = {name: {(record.line, record.offset) for record in found} for name, found in self.raw(manifest).items()}
        for number, record in enumerate(records_of(self._session, Quarantine(manifest, is_refused=False))):
            if record.file in raw:
                is_held = (record.line, record.offset) in raw[record.file]
            else:
                text = record.raw.decode(encoding_of(manifest.content.details, record.file), "replace")
                is_held = all(is_said_in(text, value) for value in self._wanted.values())
            if is_held:
                yield number


def source_of(session: Session, manifest: Manifest) -> Source | None:
    """The source whose files a version has; HeadraceError where it is none of the pipeline's any more."""
    name = manifest.dataset.removesuffix(".refused").removesuffix(".experiment")
    step = session.graph.steps.get(name)
    if isinstance(step, Source) and not step.options.is_dataset:
        return step
    if manifest.content.part("raw") is not None:
        raise HeadraceError("no source of the pipeline is called so any more, so nobody knows how its files are read")
    return None


def landed_of(manifest: Manifest, file: FileEntry, path: Path) -> Landed:
    """A raw file of a version, whose bytes are at a path."""
    mended = {str(one["name"]) for one in cast(Sequence[Mapping[str, JSON]], manifest.content.details.get("mended", ()))}
    return Landed("", path, file.sha256, file.bytes, file.rows or 0, file.name, is_mended=file.name in mended)


def options_of(reader: SourceFormat, file: Landed, step: Source, manifest: Manifest) -> Mapping[str, JSON]:
    """The options by which a raw file of a version is read."""
    options = cast(Mapping[str, JSON], manifest.content.details.get("options", step.options.options))
    return reader.mended_options(options) if file.is_mended and isinstance(reader, MendableFormat) else options


def rejected_in(session: Session, manifest: Manifest, wanted: Wanted) -> list[int]:
    """The numbers of the records in a quarantine that hold a key."""
    with session.lake.store.lease():
        return list(Search(session, wanted).rejected(manifest))


def _mappings(told: JSON) -> list[Mapping[str, JSON]]:
    listed = told if isinstance(told, Sequence) and not isinstance(told, str) else ()
    return [one for one in listed if isinstance(one, Mapping)]


def _among(names: Names, columns: Sequence[str]) -> list[str]:
    return [column for column in columns if column in names]
