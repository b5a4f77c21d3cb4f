"""What is in the lake for one pipeline, looked at once per command: listings a month at a time, manifests as they are needed.

It remembers; it decides nothing. The invariant: what is answered here was true when it was listed, and own commits are added
as they happen; the commit itself lists again (see `DatasetLog.attempt`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.core.ports import JSON
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog
from headrace.lake.parallel import in_parallel

__all__ = ["Catalog"]

T = TypeVar("T")


class Catalog:
    """The slots and manifests of a pipeline's datasets. Any number of threads may use one."""

    def __init__(self, lake: Lake, pipeline: str) -> None:
        self._lake = lake
        self._pipeline = pipeline
        self._months: dict[tuple[str, int], dict[Interval, tuple[int, ...]]] = {}
        self._firsts: dict[str, Interval | None] = {}
        self._owners: dict[str, Mapping[str, JSON]] = {}
        self._lock = threading.Lock()

    def log(self, dataset: str) -> DatasetLog:
        return self._lake.log(self._pipeline, dataset)

    def versions(self, dataset: str, interval: Interval) -> tuple[int, ...]:
        """The versions of one interval, from the listing of its month."""
        return self._month(dataset, interval.start).get(interval, ())

    def current(self, dataset: str, interval: Interval) -> Manifest | None:
        """The current manifest with data, or None: not made, or cleared."""
        found = self.newest(dataset, interval)
        return found if found is not None and found.kind == "data" else None

    def newest(self, dataset: str, interval: Interval) -> Manifest | None:
        """The current manifest of any kind but fence."""
        versions = self.versions(dataset, interval)
        return self.log(dataset).current(interval, versions=versions) if versions else None

    def previous(self, dataset: str, before: Interval) -> Manifest | None:
        """The data of the newest earlier interval that has any, as far back as the start of the month before."""
        month = self._month(dataset, before.start)
        earlier = [i for i in month if i.start < before.start and i.length == before.length]
        if not earlier:
            last = _month_start(_month_index(before.start) - 1)
            earlier = [i for i in self._month(dataset, last) if i.length == before.length]
        for interval in sorted(earlier, reverse=True)[:2]:
            found = self.current(dataset, interval)
            if found is not None:
                return found
        return None

    def newest_by(self, dataset: str, time: datetime) -> Interval | None:
        """The last interval that has an entry and starts before a time, as far back as the start of the month before; else the first that has one."""
        for month in (time, _month_start(_month_index(time) - 1)):
            earlier = [interval for interval in self._month(dataset, month) if interval.start < time]
            if earlier:
                return max(earlier)
        return self.first(dataset)

    def first(self, dataset: str) -> Interval | None:
        """The first interval that has an entry."""
        with self._lock:
            found = self._firsts.get(dataset)
        return found or self._remembered(self._firsts, dataset, self.log(dataset).first())

    def owner(self, dataset: str) -> Mapping[str, JSON]:
        """What a dataset is made by; empty while nobody has claimed it."""
        with self._lock:
            found = self._owners.get(dataset)
        return found or self._remembered(self._owners, dataset, self.log(dataset).owner())

    def all_intervals(self, dataset: str) -> Iterator[Interval]:
        """Every interval that has an entry, in time's order: one listing of the whole log."""
        return iter(sorted(self.log(dataset).versions(None)))

    def read_ahead(self, dataset: str, intervals: Sequence[Interval]) -> None:
        """Look at many intervals at once, where the store says that pays: their months' listings, and their newest manifests."""
        if self._lake.store.concurrency == 1:
            return
        with self._lock:
            unseen = [i for i in sorted({_month_index(one.start) for one in intervals}) if (dataset, i) not in self._months]
        for index, found in zip(unseen, in_parallel(self._lake.store, lambda index: self._listed(dataset, index), unseen), strict=True):
            with self._lock:
                self._months.setdefault((dataset, index), found)
        known = [(interval, self.versions(dataset, interval)) for interval in intervals]
        self.log(dataset).read_ahead([(interval, versions[-1]) for interval, versions in known if versions])

    def list_again(self, dataset: str, intervals: Sequence[Interval]) -> None:
        """Look at some intervals anew: whoever commits does so after fixing the attempt's number, and before reading."""
        if len(intervals) == 1:
            (interval,) = intervals
            self._add(dataset, _month_index(interval.start), {interval: self.log(dataset).versions_of(interval)})
            return
        for index in sorted({_month_index(interval.start) for interval in intervals}):
            self._add(dataset, index, self._listed(dataset, index))

    def note(self, dataset: str, manifest: Manifest) -> None:
        """Add a commit of our own."""
        self._add(dataset, _month_index(manifest.interval.start), {manifest.interval: (manifest.version,)})

    def _remembered(self, known: dict[str, T], dataset: str, found: T) -> T:
        with self._lock:
            if found:
                known[dataset] = found
        return found

    def _month(self, dataset: str, time: datetime) -> dict[Interval, tuple[int, ...]]:
        key = (dataset, _month_index(time))
        with self._lock:
            found = self._months.get(key)
        if found is None:
            found = self._listed(dataset, key[1])
            with self._lock:
                found = self._months.setdefault(key, found)
        return found

    def _add(self, dataset: str, index: int, found: Mapping[Interval, tuple[int, ...]]) -> None:
        """Slots never go away, so what was seen by one thread is added to what another saw meanwhile."""
        known = self._month(dataset, _month_start(index))
        with self._lock:
            for interval, versions in found.items():
                if versions:
                    known[interval] = tuple(sorted({*known.get(interval, ()), *versions}))

    def _listed(self, dataset: str, index: int) -> dict[Interval, tuple[int, ...]]:
        return self.log(dataset).versions(Interval(_month_start(index), _month_start(index + 1)))


def _month_index(time: datetime) -> int:
    return time.year * 12 + time.month - 1


def _month_start(index: int) -> datetime:
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)
