"""Where a key's value stands as a word outside of the key's columns and records: what forgetting leaves, so that people decide about it.

Looked into are raw files as they are read and all else that is in them, all columns of rows, what is in quarantine, and what the log says. Nothing
is changed, and the text around a place is not told. The invariant: what could not be looked into is said; what is told is bounded, however
often the value is there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from headrace.core.errors import HeadraceError
from headrace.core.manifest import MEMORY, FileEntry, Manifest, Part
from headrace.core.mentions import MOST_PLACES, Place, SearchingEngine, SearchingFormat, Stretch, Unseen, Words
from headrace.core.ports import JSON
from headrace.core.quarantine import encoding_of
from headrace.core.split import ROW_PARTS
from headrace.lake.lake import VanishedError
from headrace.lake.layout import Slot
from headrace.run.holding import Search, Wanted, datasets_of, landed_of, options_of, source_of
from headrace.run.memory import keys_over_history
from headrace.run.quarantined import Quarantine, records_of
from headrace.run.record import RUNS
from headrace.run.session import Session

__all__ = ["Mention", "Mentions", "mentions"]

_SHOWN = 3
_MOST_UNSEARCHED = 20
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.+Z-]*)?")


@dataclass(frozen=True)
class Mention:
    """A part of a dataset, or a column of it, that says the value: how often, each file counted once, and in how many versions.

    `count` is a lower bound where `is_more`. `places` are the first ones, for people.
    """

    dataset: str
    part: str
    column: str
    count: int
    is_more: bool
    versions: int
    places: tuple[str, ...]


@dataclass(frozen=True)
class Mentions:
    """What was found. `told` says what entries of the log say it, which are never written again."""

    found: tuple[Mention, ...] = ()
    unsearched: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return sum(mention.count for mention in self.found)


def mentions(session: Session, wanted: Wanted, *, holders: Collection[Slot] = (), without: Collection[Slot] = ()) -> Mentions:
    """Search all versions of the session's pipeline whose files are there, but for some. Those that hold the key are `holders`."""
    search = _Search(session, wanted, frozenset(holders))
    for dataset in [*datasets_of(session), RUNS]:
        log = session.lake.log(session.graph.name, dataset)
        known = log.versions(None)
        log.read_ahead([(interval, version) for interval, versions in known.items() for version in versions])
        for interval, versions in known.items():
            for version in versions:
                manifest = log.manifest(interval, version)
                search.entry(manifest)
                if manifest.kind == "data" and Slot(manifest.pipeline, dataset, interval, version) not in without:
                    search.version(manifest)
    return search.mentions()


@dataclass
class _Found:
    count: int = 0
    is_more: bool = False
    slots: set[Slot] = field(default_factory=set[Slot])
    places: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class _Hits:
    """What one file has of a column, or of no column."""

    column: str
    count: int
    is_more: bool
    places: tuple[str, ...]


class _Search:
    """Looks for one key's values; files of equal bytes are looked into once."""

    def __init__(self, session: Session, wanted: Wanted, holders: frozenset[Slot]) -> None:
        self._session, self._holders = session, holders
        self._words, self._keys = Words(wanted.values()), Search(session, wanted)
        self._hits: dict[tuple[str, str, str], tuple[_Hits, ...]] = {}  # by dataset, part and the digest of a file
        self._found: defaultdict[tuple[str, str, str], _Found] = defaultdict(_Found)
        self._told: defaultdict[str, tuple[set[str], list[Manifest]]] = defaultdict(lambda: (set(), []))
        self._unsearched: list[str] = []

    def mentions(self) -> Mentions:
        found = (
            Mention(dataset, part, column, one.count, one.is_more, len(one.slots), tuple(one.places))
            for (dataset, part, column), one in sorted(self._found.items())
        )
        told = (
            f"{dataset}: {_counted(len(entries), 'entry', 'entries')} of its log, in {', '.join(f'`{name}`' for name in sorted(names))}"
            for dataset, (names, entries) in sorted(self._told.items())
        )
        more = len(self._unsearched) - _MOST_UNSEARCHED
        return Mentions(tuple(found), (*self._unsearched[:_MOST_UNSEARCHED], *([f"and {more} more"] if more > 0 else [])), tuple(told))

    # ------------------------------------------------ entries of the log

    def entry(self, manifest: Manifest) -> None:
        """What an entry says, but for what the record of a run quotes of errors, which `headrace.run.holding` tells."""
        if not self._words.may_be_in(manifest.to_json()):
            return
        content, receipt = manifest.content, manifest.receipt
        files = [file.name for part in content.parts for file in part.files]
        told: Mapping[str, JSON] = {"name": files, "metrics": content.metrics, "details": content.details, "receipt": receipt}
        names = {name for name, text in _texts(told, "") if name != "error" and not _TIME.fullmatch(text) and self._words.are_in(text)}
        if names:
            known, entries = self._told[manifest.name]
            known.update(map(self._words.hidden, names))
            entries.append(manifest)

    # ------------------------------------------------ files

    def version(self, manifest: Manifest) -> None:
        for part in manifest.content.parts:
            for number, file in enumerate(part.files):
                try:
                    with self._session.lake.store.lease():
                        hits = self._of_file(manifest, part, number, file)
                except VanishedError:
                    continue
                except HeadraceError as error:
                    self._unsearched.append(self._words.hidden(f"{manifest}, part `{part.name}`, `{file.name}`: {error}"))
                    continue
                for hit in hits:
                    self._add(manifest, part, hit)

    def _of_file(self, manifest: Manifest, part: Part, number: int, file: FileEntry) -> Sequence[_Hits]:
        known = (manifest.dataset, part.name, file.sha256)
        if known in self._hits:
            return [_Hits(hit.column, 0, hit.is_more, ()) for hit in self._hits[known]]
        if part.name == "raw":
            found = self._in_raw(manifest, file)
        elif part.name == "quarantine":
            found = [] if number else self._in_quarantine(manifest, file)  # whose records are read as one
        elif part.name in (*ROW_PARTS, MEMORY):
            found = self._in_rows(manifest, part, number, file)
        else:
            found = []
        self._hits[known] = tuple(found)
        return self._hits[known]

    def _add(self, manifest: Manifest, part: Part, hit: _Hits) -> None:
        found = self._found[manifest.name, part.name, hit.column]
        found.count += hit.count
        found.is_more = found.is_more or hit.is_more
        found.slots.add(_slot(manifest))
        where = f"{manifest.interval.label} v{manifest.version}"
        found.places += [self._words.hidden(f"{where} {place}") for place in hit.places][: _SHOWN - len(found.places)]

    def _path(self, manifest: Manifest, file: FileEntry) -> Path:
        (path,) = self._session.lake.paths_of(manifest, [file])
        return path

    # ------------------------------------------------ raw files

    def _in_raw(self, manifest: Manifest, file: FileEntry) -> list[_Hits]:
        step = source_of(self._session, manifest)
        if step is None:
            return []
        reader, landed = self._session.format(step), landed_of(manifest, file, self._path(manifest, file))
        if not isinstance(reader, SearchingFormat):
            raise HeadraceError("files of its format can't be searched for words")
        options = options_of(reader, landed, step, manifest)
        if not any(True for _ in reader.mentions(landed, self._words, options=options)):
            return []
        besides: Sequence[Stretch] = self._keys.raw(manifest).get(file.name, ()) if _slot(manifest) in self._holders else ()
        found = list(islice(reader.mentions(landed, self._words, options=options, besides=besides), MOST_PLACES + 1))
        self._unsearched += [
            self._words.hidden(f"{manifest}, part `raw`, `{file.name}`: {one.why}") for one in found if isinstance(one, Unseen)
        ]
        return _hits("", [_place(file.name, one) for one in found if isinstance(one, Place)])

    # ------------------------------------------------ quarantine

    def _in_quarantine(self, manifest: Manifest, file: FileEntry) -> list[_Hits]:
        self._path(manifest, file)
        places = islice(self._rejected(manifest), MOST_PLACES + 1)
        return _hits("", list(places))

    def _rejected(self, manifest: Manifest) -> Iterator[str]:
        held = set(self._keys.rejected(manifest)) if _slot(manifest) in self._holders else frozenset[int]()
        for number, record in enumerate(records_of(self._session, Quarantine(manifest, is_refused=False))):
            encoding = encoding_of(manifest.content.details, record.file)
            reasons = "\n".join(record.reasons)
            if number in held or not self._words.may_be_in(record.raw + reasons.encode(encoding, "replace"), encoding):
                continue
            if self._words.are_in(f"{record.raw.decode(encoding, 'replace')}\n{reasons}"):
                yield f"`{record.file}` line {record.line:,}"

    # ------------------------------------------------ rows

    def _in_rows(self, manifest: Manifest, part: Part, number: int, file: FileEntry) -> list[_Hits]:
        engine = self._session.engine
        if not isinstance(engine, SearchingEngine):
            raise HeadraceError("the engine can't search rows for words")
        declared = list(keys_over_history(manifest)) if part.name == MEMORY else []
        names = {f"k{n}": column for n, column in enumerate(declared[number])} if number < len(declared) else {}
        columns = names.values() if names else (column.name for column in manifest.content.schema.get(part.name, ()))
        ways = self._keys.ways(list(columns))
        short = {column: name for name, column in names.items()}
        besides = [{short.get(column, column): text for column, text in way.items()} for way in ways]
        found = engine.mentions(self._path(manifest, file), self._words, besides=besides)
        places = tuple(f"row {row:,}" for row in found.first)
        return [_Hits(self._words.hidden(names.get(column, column)), count, False, places) for column, count in found.columns.items()]


def _hits(column: str, places: Sequence[str]) -> list[_Hits]:
    if not places:
        return []
    return [_Hits(column, min(len(places), MOST_PLACES), len(places) > MOST_PLACES, tuple(places[:_SHOWN]))]


def _place(file: str, place: Place) -> str:
    at = f" line {place.line:,} (byte {place.offset:,})" if place.line else ""
    return f"`{file}`{at}{', in ' if at and place.beside else ' ' if place.beside else ''}{place.beside}"


def _texts(told: JSON, name: str) -> Iterator[tuple[str, str]]:
    """The texts in a value of JSON, each with the name that it goes by."""
    if isinstance(told, str):
        yield name, told
    elif isinstance(told, Mapping):
        for key, inner in told.items():
            yield name, key
            yield from _texts(inner, key)
    elif isinstance(told, Iterable):
        for inner in told:
            yield from _texts(inner, name)


def _slot(manifest: Manifest) -> Slot:
    return Slot(manifest.pipeline, manifest.dataset, manifest.interval, manifest.version)


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
