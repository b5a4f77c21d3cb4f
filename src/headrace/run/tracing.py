"""Where the rows of a key come from and where they went: through the versions that each commit says it read, back to the raw records.

Nothing is stored for it: the files of those versions are searched for the key, and of a source the landed bytes are split again, for the
n-th row that was kept is the n-th record that is not in quarantine. The invariant: what is shown for an input is of the version that was
read, current or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from headrace.core.errors import NotReadyError, SourceError
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.core.mending import MendableFormat, left_out
from headrace.core.ports import JSON
from headrace.core.split import ROW_PARTS
from headrace.core.step import Predictions, Source, Table
from headrace.lake.lake import VanishedError
from headrace.run.session import Session
from headrace.steps.landing import Bronze
from headrace.steps.mending import mended_by
from headrace.steps.sifting import kept_records

__all__ = ["Place", "Trace", "traced"]


@dataclass(frozen=True)
class Place:
    """A raw record: in which file of the source, and where in it."""

    file: str
    line: int
    byte_offset: int
    raw: bytes


@dataclass(frozen=True)
class Trace:
    """What one part of one version holds of the key. `direction` is seen from the dataset that was asked about.

    `rows` are the first of `count`; `places` are theirs, of a source's rows. `note` says why there is nothing to show.
    """

    dataset: str
    interval: Interval
    version: int
    part: str
    direction: str
    count: int = 0
    rows: tuple[Mapping[str, object], ...] = ()
    places: tuple[Place, ...] = ()
    note: str = ""


def traced(session: Session, name: str, interval: Interval, column: str, text: str, *, most: int) -> list[Trace]:
    """The rows of a dataset whose `column` holds `text`, those of all that it was made from, and of all that was made from it.

    NotReadyError where the dataset has no data for the interval.
    """
    session.graph.step(name)
    manifest = session.catalog.current(session.dataset(name), interval)
    if manifest is None:
        raise NotReadyError(f"`{name}` has no data for {interval.label}. Make it: headrace run --at {interval.label}, or see: headrace ls")
    search = _Search(session, column, text, most)
    with session.lake.store.lease():
        found = [*search.parts_of(manifest, "here")]
        found[:0] = reversed([*search.upstream(manifest, {_identity(manifest)})])
        return [*found, *search.downstream(name, interval)]


class _Search:
    """Looks for one key."""

    def __init__(self, session: Session, column: str, text: str, most: int) -> None:
        self._session, self._column, self._text, self._most = session, column, text, most

    def upstream(self, manifest: Manifest, seen: set[tuple[str, Interval, int]]) -> Iterator[Trace]:
        for ref in manifest.upstream:
            pipeline, _, dataset = ref.dataset.partition(".")
            log = self._session.lake.log(pipeline, dataset)
            versions = [item for item in ref.versions_of().items() if (ref.dataset, *item) not in seen]
            log.read_ahead(versions)
            seen.update((ref.dataset, *item) for item in versions)
            read = [log.manifest(interval, version) for interval, version in versions]
            self._session.lake.fetch(read, ROW_PARTS)
            for one in read:
                yield from self.parts_of(one, "upstream")
            for one in read:
                yield from self.upstream(one, seen)

    def downstream(self, name: str, interval: Interval) -> Iterator[Trace]:
        graph = self._session.graph
        for step_name in sorted(graph.downstream_of([name]) - {name}, key=list(graph.steps).index):
            step = graph.steps[step_name]
            if not isinstance(step, Table | Predictions):
                continue
            for own in graph.intervals_for(step, graph.grid.at(interval.start)):
                manifest = self._session.catalog.current(self._session.dataset(step_name), own)
                if manifest is not None:
                    yield from self.parts_of(manifest, "downstream")

    def parts_of(self, manifest: Manifest, direction: str) -> Iterator[Trace]:
        """What a commit holds of the key, part by part; one line that says so where it holds nothing or is gone."""
        nothing = ""
        for part in manifest.content.parts:
            if part.name not in ROW_PARTS:
                continue
            try:
                paths = self._session.lake.read_paths(manifest, part.name)
            except VanishedError:
                nothing = "its files were collected"
                continue
            found = self._look(manifest, part.name, direction, paths)
            if found is None:
                nothing = f"it has no column `{self._column}`"
            elif found.count:
                yield found
                nothing = "."
        if nothing not in ("", "."):
            yield Trace(manifest.name, manifest.interval, manifest.version, "rows", direction, note=nothing)

    def _look(self, manifest: Manifest, part: str, direction: str, paths: Sequence[Path]) -> Trace | None:
        count, rows, numbers, before = 0, [], [], 0
        for path, entry in zip(paths, cast(Any, manifest.content.part(part)).files, strict=True):
            found = self._session.engine.find(path, {self._column: self._text}, most=self._most)
            if found is None:
                return None
            count += found.count
            rows += [row for _, row in found.rows]
            numbers += [before + number for number, _ in found.rows]
            before += entry.rows or 0
        places, note = self._places(manifest, numbers[: self._most]) if count else ((), "")
        return Trace(manifest.name, manifest.interval, manifest.version, part, direction, count, tuple(rows[: self._most]), places, note)

    # ------------------------------------------------ raw records

    def _places(self, manifest: Manifest, numbers: Sequence[int]) -> tuple[tuple[Place, ...], str]:
        step = self._session.graph.steps.get(manifest.dataset) if manifest.pipeline == self._session.graph.name else None
        if not isinstance(step, Source) or step.options.is_dataset or manifest.content.part("raw") is None:
            return (), ""
        if cast(Mapping[str, JSON], manifest.content.details.get("options", {})).get("unnest"):
            return (), "its rows are elements of records, which are not told apart by their number: look for the value in the raw files"
        try:
            wanted, found = set(numbers), dict[int, Place]()
            for number, place in enumerate(self._kept_records(step, manifest)):
                if number in wanted:
                    found[number] = place
                if len(found) == len(wanted):
                    break
            return tuple(found[number] for number in numbers), ""
        except (SourceError, VanishedError, KeyError) as error:
            return (), f"its raw records can't be shown: {error}"

    def _kept_records(self, step: Source, manifest: Manifest) -> Iterator[Place]:
        """The records of a source's commit that became its rows, in their order."""
        lake, reader = self._session.lake, self._session.format(step)
        paths = {path.name: path for path in lake.read_paths(manifest, "raw")}
        details = manifest.content.details
        options = cast(Mapping[str, JSON], details.get("options", {}))
        mends = [file.mend for file in mended_by(Bronze(manifest, lambda files: lake.paths_of(manifest, files))).files]
        replaced = left_out(mends)
        own = {mend.name for mend in mends}
        landed = [
            *cast(Sequence[Mapping[str, JSON]], details.get("files", ())),
            *cast(Sequence[Mapping[str, JSON]], details.get("mended", ())),
        ]
        names = [str(told["name"]) for told in landed]
        ways = {name: reader.mended_options(options) if name in own and isinstance(reader, MendableFormat) else options for name in names}
        files = ((name, reader.records(paths[name], ways[name]), replaced.get(name, frozenset())) for name in names)
        for name, record in kept_records(files, self._rejected(manifest)):
            yield Place(name, record.line, record.offset, record.raw)

    def _rejected(self, manifest: Manifest) -> Iterator[tuple[str, int, int]]:
        """The places of the records in quarantine, in their order."""
        if manifest.content.part("quarantine") is None:
            return iter(())
        table = cast(Any, self._session.engine.read(self._session.lake.read_paths(manifest, "quarantine"), "arrow"))
        return zip(*(table.column(name).to_pylist() for name in ("file", "line", "byte_offset")), strict=True)


def _identity(manifest: Manifest) -> tuple[str, Interval, int]:
    return manifest.name, manifest.interval, manifest.version
