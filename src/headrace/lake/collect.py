"""Collection: deleting the files of attempts that nobody needs. Entries are never deleted.

Any number of collections may run at once, beside any number of writers and readers, and be killed anywhere. The invariant: files are
deleted only when their slot is taken, by an entry that is on the disk, and that is either another attempt's or not kept.
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.core.store import Listed
from headrace.lake.chain import Chain
from headrace.lake.lake import Lake
from headrace.lake.layout import LAYERS, Attempted, Champion, Slot, chain_key, parse_attempt, parse_champion, slot_key
from headrace.lake.log import DatasetLog

__all__ = ["Collection", "Leftover", "Reason", "collect", "plan_collection", "plan_erasure"]

Reason = Literal["superseded", "lost", "unfinished"]

_POLITE = timedelta(days=1)


@dataclass(frozen=True)
class Leftover:
    """The files of one attempt, or of one champion, that are not kept. `decider` is the key of the entry that says so."""

    of: Attempted | Champion
    reason: Reason
    keys: tuple[str, ...]
    size_bytes: int
    decider: str


@dataclass(frozen=True)
class Collection:
    """What a collection would delete, in the order of keys."""

    leftovers: tuple[Leftover, ...]

    @property
    def size_bytes(self) -> int:
        return sum(leftover.size_bytes for leftover in self.leftovers)


def plan_collection(lake: Lake, *, keep: int = 1, pinned: AnyOf[Slot] = (), champions: int = 3, polite: timedelta = _POLITE) -> Collection:
    """What could be deleted now: nothing is.

    Kept are the current version of each interval, the last `keep` with data before it (none before an `expired` one), what is `pinned`
    (by snapshots and the newest run records), and the last `champions` that served of each chain. Attempts with a file younger than
    `polite` are left alone, so that a writer at work is not made to start over.
    """
    groups: dict[Attempted | Champion, list[Listed]] = {}
    for layer in LAYERS:
        for listed in lake.store.list(f"{layer}/"):
            if attempt := parse_attempt(listed.key):
                groups.setdefault(attempt, []).append(listed)
    for listed in lake.store.list("champions/"):
        if champion := parse_champion(listed.key):
            groups.setdefault(champion, []).append(listed)
    judge = _Judge(lake, keep=keep, pinned=frozenset(pinned), champions=champions)
    found: list[Leftover] = []
    for of, files in groups.items():
        young = any(file.modified_at and lake.clock() - file.modified_at < polite for file in files)
        verdict = None if young else judge.attempt(of) if isinstance(of, Attempted) else judge.champion(of)
        if verdict:
            reason, decider = verdict
            found.append(Leftover(of, reason, tuple(file.key for file in files), sum(file.size_bytes for file in files), decider))
    return Collection(tuple(found))


def plan_erasure(lake: Lake, pipeline: str, slots: AnyOf[Slot]) -> Collection:
    """What has to be deleted so that nothing of some versions is left: their files, whoever would keep them, but for those that are current.

    So are the files of all attempts of the pipeline that are lost or unfinished, however young: nobody knows what is in them. A writer that
    is at work is made to start over.
    """
    judge, doomed = _Judge(lake, keep=0, pinned=frozenset(), champions=1), frozenset(slots)
    groups: dict[Attempted, list[Listed]] = {}
    for layer in LAYERS:
        for listed in lake.store.list(f"{layer}/{pipeline}/"):
            if attempt := parse_attempt(listed.key):
                groups.setdefault(attempt, []).append(listed)
    found: list[Leftover] = []
    for of, files in groups.items():
        verdict = judge.attempt(of)
        if verdict and (verdict[0] != "superseded" or Slot(of.pipeline, of.dataset, of.interval, of.version) in doomed):
            found.append(Leftover(of, verdict[0], tuple(file.key for file in files), sum(file.size_bytes for file in files), verdict[1]))
    return Collection(tuple(found))


def collect(lake: Lake, plan: Collection) -> Collection:
    """Delete what was planned, but for what became an entry since: what was deleted, in fact.

    An attempt without an entry is fenced first, so that it can never become one; a writer that is still at it starts over.
    """
    doomed = tuple(leftover for leftover in plan.leftovers if _is_settled(lake, leftover))
    lake.store.confirm([leftover.decider for leftover in doomed])
    lake.store.delete(*(key for leftover in doomed for key in leftover.keys))
    return Collection(doomed)


def _is_settled(lake: Lake, leftover: Leftover) -> bool:
    """Whether the slot is taken, and not by the leftover itself (unless it was an entry when planned, and not kept)."""
    of = leftover.of
    if leftover.reason != "unfinished" or isinstance(of, Champion):
        return True
    holder = lake.log(of.pipeline, of.dataset).fence(of.interval, of.version, why="collected before it was committed")
    return holder.nonce != of.nonce


class _Judge:
    """Says of each attempt whether it is kept, reading each interval's log once."""

    def __init__(self, lake: Lake, *, keep: int, pinned: frozenset[Slot], champions: int) -> None:
        self._lake, self._keep, self._pinned, self._champions = lake, keep, pinned, champions
        self._logs: dict[DatasetLog, dict[Interval, tuple[int, ...]]] = {}
        self._kept: dict[tuple[DatasetLog, Interval], frozenset[int]] = {}
        self._chains: dict[tuple[str, str], tuple[Chain, int, frozenset[int]]] = {}

    def attempt(self, of: Attempted) -> tuple[Reason, str] | None:
        log = self._lake.log(of.pipeline, of.dataset)
        if log not in self._logs:
            self._logs[log] = log.versions()
            log.read_ahead([(interval, version) for interval, found in self._logs[log].items() for version in found])
        versions = self._logs[log].get(of.interval, ())
        slot = slot_key(of.pipeline, of.dataset, of.interval, of.version)
        if of.version not in versions:
            # A writer lists before it numbers: one that is further ahead was not made by headrace, and a fence there would leave a hole.
            return ("unfinished", slot) if of.version == len(versions) + 1 else None
        if log.manifest(of.interval, of.version).nonce != of.nonce:
            return "lost", slot
        kept = self._kept_versions(log, of.interval, versions)
        if of.version in kept or Slot(of.pipeline, of.dataset, of.interval, of.version) in self._pinned:
            return None
        return "superseded", slot_key(of.pipeline, of.dataset, of.interval, max(kept))

    def champion(self, of: Champion) -> tuple[Reason, str] | None:
        name = (of.pipeline, of.model)
        if name not in self._chains:
            self._chains[name] = self._chain(*name)
        chain, head, kept = self._chains[name]
        if of.number > head:
            return None  # a decision on its way: when the next one is in its place, this is collected as lost
        reason: Reason = "superseded" if chain.entry(of.number).nonce == of.nonce else "lost"
        if reason == "superseded" and of.number in kept:
            return None
        return reason, chain_key(of.pipeline, of.model, head)

    def _kept_versions(self, log: DatasetLog, interval: Interval, versions: tuple[int, ...]) -> frozenset[int]:
        if (log, interval) not in self._kept:
            self._kept[log, interval] = frozenset(_kept(log, interval, versions, self._keep))
        return self._kept[log, interval]

    def _chain(self, pipeline: str, model: str) -> tuple[Chain, int, frozenset[int]]:
        chain = self._lake.chain(pipeline, model)
        head = chain.head()
        kept = set[int]()
        number = head.serving if head else None
        while number and len(kept) < max(self._champions, 1):
            kept.add(number)
            number = chain.entry(number).previous
        return chain, head.number if head else 0, frozenset(kept)


def _kept(log: DatasetLog, interval: Interval, versions: tuple[int, ...], keep: int) -> Iterator[int]:
    """The current version, and the last `keep` with data before it."""
    current: Manifest | None = None
    for version in sorted(versions, reverse=True):
        manifest = log.manifest(interval, version)
        if manifest.kind == "fence":
            continue
        if current is None:
            current = manifest
            yield version
            if current.kind == "expired":
                return
        elif manifest.kind == "data" and keep > 0:
            keep -= 1
            yield version
