"""The log of one dataset: who owns it, which versions each interval has, which of them is current.

Nothing here is ever rewritten. The invariant: the versions of an interval are 1..n without holes, and the current one is the
highest that is not a fence.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from headrace.core.errors import DamageError, HeadraceError, LakeError, LostRaceError, NotReadyError, TransientError, UnknownNameError
from headrace.core.interval import Interval
from headrace.core.manifest import FORMAT, Content, Kind, Manifest, canonical_json
from headrace.core.ports import JSON
from headrace.core.store import Store
from headrace.lake.commit import Attempt, Lost
from headrace.lake.entry import put_entry
from headrace.lake.files import VanishedError
from headrace.lake.layout import interval_prefix, log_prefix, month_prefixes, owner_key, parse_slot, slot_key
from headrace.lake.parallel import in_parallel
from headrace.lake.premise import OutdatedError, Premise

__all__ = ["DatasetLog", "Work"]

T = TypeVar("T")

Work = Callable[[Attempt, Manifest | None], tuple[Content, Mapping[str, JSON]] | None]
"""Makes a content for an attempt, knowing the current manifest; None to adopt that one."""

_TRIES = 3
_CACHED = 4096


class DatasetLog:
    """The log of `pipeline.dataset`. Any number of threads may use one."""

    def __init__(self, store: Store, pipeline: str, dataset: str, *, clock: Callable[[], datetime], nonces: Callable[[], str]) -> None:
        self.pipeline, self.dataset = pipeline, dataset
        self._store, self._clock, self._nonces = store, clock, nonces
        self._manifests: dict[tuple[Interval, int], Manifest] = {}
        self._packed: dict[tuple[Interval, int], bytes] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return f"{self.pipeline}.{self.dataset}"

    def claim(self, owner: Mapping[str, JSON]) -> None:
        """Say once what this dataset is made by; the same claim again is fine. Raises LakeError for another, naming both."""
        key = owner_key(self.pipeline, self.dataset)
        data = canonical_json({"format": FORMAT, "owner": owner})
        try:
            found: bytes | None = self._store.get(key)  # nearly always there, and cheaper to read than to try to put
        except KeyError:
            found = put_entry(self._store, key, data)
        else:
            self._store.confirm([key])
        if found is not None and found != data:
            theirs = json.loads(found).get("owner")
            raise LakeError(
                f"The dataset {self.name} in {self._store.uri} belongs to {_plain(theirs)}, and this is {_plain(owner)}. "
                "Give the step or the pipeline another name, or use another lake."
            )

    def owner(self) -> Mapping[str, JSON]:
        """What this dataset is made by: `step`, `kind`, `every`; empty while nobody has claimed it."""
        try:
            found = json.loads(self._store.get(owner_key(self.pipeline, self.dataset))).get("owner")
        except KeyError:
            return {}
        return found if isinstance(found, Mapping) else {}

    # ------------------------------------------------ looking

    def first(self) -> Interval | None:
        """The first interval that has an entry. A short listing, however long the log is."""
        found = (parse_slot(key) for key in self._store.keys(log_prefix(self.pipeline, self.dataset)))
        return next((slot.interval for slot in found if slot), None)

    def versions(self, window: Interval | None = None) -> dict[Interval, tuple[int, ...]]:
        """The versions of each interval that starts in a window (None: of all), fences included, in time's order. One listing a month."""
        prefixes = [log_prefix(self.pipeline, self.dataset)] if window is None else [*month_prefixes(self.pipeline, self.dataset, window)]
        found: dict[Interval, list[int]] = {}
        for keys in in_parallel(self._store, lambda prefix: [*self._store.keys(prefix)], prefixes):
            for key in keys:
                slot = parse_slot(key)
                if slot and (window is None or window.start <= slot.interval.start < window.end):
                    found.setdefault(slot.interval, []).append(slot.version)
        return {interval: tuple(sorted(found[interval])) for interval in sorted(found)}

    def versions_of(self, interval: Interval) -> tuple[int, ...]:
        """The versions of one interval, fences included."""
        slots = (parse_slot(key) for key in self._store.keys(interval_prefix(self.pipeline, self.dataset, interval)))
        return tuple(sorted(slot.version for slot in slots if slot))

    def manifest(self, interval: Interval, version: int) -> Manifest:
        """What a version says. Raises UnknownNameError when there is none, NewerFormatError when only a newer headrace can read it."""
        with self._lock:
            cached = self._manifests.get((interval, version))
        if cached:
            return cached
        key = slot_key(self.pipeline, self.dataset, interval, version)
        try:
            data = self._read(interval, version)
        except KeyError:
            raise UnknownNameError(
                f"{self.name} {interval} has no version {version} in {self._store.uri}. See: headrace log {self.name}"
            ) from None
        manifest = Manifest.from_json(data, source=f"`{key}` in {self._store.uri}")
        if (manifest.pipeline, manifest.dataset, manifest.interval, manifest.version) != (self.pipeline, self.dataset, interval, version):
            raise DamageError(f"`{key}` in {self._store.uri} holds the manifest of {manifest}: it was moved or copied there by hand.")
        with self._lock:
            if len(self._manifests) >= _CACHED:
                del self._manifests[next(iter(self._manifests))]
            self._manifests[interval, version] = manifest
        return manifest

    def read_ahead(self, slots: Sequence[tuple[Interval, int]]) -> None:
        """Read many manifests at once where that pays, so that `manifest` has them; what can't be read is told by `manifest`."""
        if self._store.concurrency == 1:
            return
        with self._lock:
            wanted = [slot for slot in slots if slot not in self._packed]
        in_parallel(self._store, self._read_quietly, wanted)

    def current(self, interval: Interval, *, versions: tuple[int, ...] | None = None) -> Manifest | None:
        """The newest version that is not a fence, or None. A `cleared` one counts as absent, an `expired` one as not to be made again.

        `versions` saves the listing when the caller has one.
        """
        for version in sorted(self.versions_of(interval) if versions is None else versions, reverse=True):
            manifest = self.manifest(interval, version)
            if manifest.kind != "fence":
                return manifest
        return None

    def history(self, interval: Interval) -> list[Manifest]:
        """Every version of an interval, fences included, oldest first."""
        return [self.manifest(interval, version) for version in self.versions_of(interval)]

    def read(self, interval: Interval, use: Callable[[Manifest], T]) -> T:
        """Use the current data of an interval. When `use` meets a VanishedError, a collection ran: list again and start over.

        Raises NotReadyError when there is no data, DamageError when files of a version are gone that is still current.
        """
        seen = 0
        for _ in range(_TRIES):
            manifest = self.current(interval)
            if manifest is None or manifest.kind != "data":
                raise NotReadyError(
                    f"{self.name} {interval} {_absence(manifest)} in {self._store.uri}. Make it: headrace run --at {interval.label}"
                )
            try:
                return use(manifest)
            except VanishedError as gone:
                if manifest.version == seen:
                    raise DamageError(
                        f"{gone} Nobody collects what is current: it was deleted by hand. Clear the interval and run again."
                    ) from gone
                seen = manifest.version
        raise TransientError(
            f"Each of {_TRIES} versions of {self.name} {interval} was replaced and collected while it was read. Run again."
        )

    def confirm(self, manifest: Manifest) -> None:
        """Make an entry durable that was seen, before something is built on it or said because of it: adopting it, above all."""
        self._store.confirm([slot_key(manifest.pipeline, manifest.dataset, manifest.interval, manifest.version)])

    # ------------------------------------------------ committing

    def attempt(self, interval: Interval) -> Attempt:
        """Begin a commit. It lists first, so look at the inputs only afterwards. Raises NewerFormatError rather than write above a newer format."""
        seen = self.versions_of(interval)
        return Attempt(
            self._store,
            self.pipeline,
            self.dataset,
            interval,
            seen=seen,
            current=self.current(interval, versions=seen),
            nonce=self._nonces(),
            clock=self._clock,
        )

    def commit(self, interval: Interval, work: Work, *, premise: Premise | None = None) -> Manifest:
        """Commit what `work` makes; start over when another was first, or adopt the other's where its fingerprint is the same.

        `work` gets an attempt and the current manifest and looks at its inputs, and at what it is built on, anew each time. It starts over also
        where the `premise` changed since it began. Raises LostRaceError after three losses.
        """
        for number in range(_TRIES):
            check = _check(premise, f"{self.name} {interval}", is_first=not number)
            attempt = self.attempt(interval)
            made = self._work(attempt, work, check)
            if made is None:
                continue
            if isinstance(made, Manifest):
                return made
            content, receipt = made
            try:
                return self._kept(attempt.commit(content, receipt, check=check))
            except OutdatedError:
                attempt.discard()
            except Lost as lost:
                attempt.discard()
                if lost.winner.kind == "data" and lost.winner.content.fingerprint == content.fingerprint:
                    self.confirm(lost.winner)
                    return lost.winner
        raise LostRaceError(
            f"Other writers were first at {self.name} {interval}, or what it is built on changed, {_TRIES} times. Run again."
        )

    def clear(self, interval: Interval, *, why: str, who: str) -> Manifest:
        """Make an interval count as not made; its versions stay until they are collected. Raises UnknownNameError where nothing was made."""
        return self._mark("cleared", interval, why=why, who=who)

    def expire(self, interval: Interval, *, why: str, who: str) -> Manifest:
        """Give an interval up to retention: it counts as made, is not made again, and its files may be collected."""
        return self._mark("expired", interval, why=why, who=who)

    def fence(self, interval: Interval, version: int, *, why: str) -> Manifest:
        """Spoil a slot that may still be written: what is in it afterwards, which may be the slow writer's own manifest."""
        fence = Attempt(
            self._store, self.pipeline, self.dataset, interval, seen=tuple(range(1, version)), nonce=self._nonces(), clock=self._clock
        )
        try:
            return fence.commit(Content(kind="fence", details={"why": why}))
        except Lost as lost:
            return lost.winner

    def _work(self, attempt: Attempt, work: Work, check: Callable[[], None]) -> Manifest | tuple[Content, Mapping[str, JSON]] | None:
        """What was made; the manifest that was adopted; None when the attempt turned out to be lost, or outdated, while it worked."""
        try:
            made = work(attempt, attempt.current)
        except Exception:
            lost = attempt.rival() is not None or _is_outdated(check)  # whose files, or those that it read, may be gone
            attempt.discard()
            if lost:
                return None
            raise
        if made is None:
            attempt.discard()
            if attempt.current is None:
                raise ValueError(f"there is no version of {self.name} {attempt.interval} to adopt")
            self.confirm(attempt.current)
            return attempt.current
        return made

    def _read(self, interval: Interval, version: int) -> bytes:
        """The bytes of an entry. Where reading them is a request they are kept, packed: entries never change."""
        with self._lock:
            packed = self._packed.get((interval, version))
        if packed is not None:
            return zlib.decompress(packed)
        data = self._store.get(slot_key(self.pipeline, self.dataset, interval, version))
        self._keep(interval, version, data)
        return data

    def _read_quietly(self, slot: tuple[Interval, int]) -> None:
        with suppress(KeyError, HeadraceError):
            self._read(*slot)

    def _keep(self, interval: Interval, version: int, data: bytes) -> None:
        if self._store.concurrency > 1:
            packed = zlib.compress(data, 1)
            with self._lock:
                self._packed[interval, version] = packed

    def _kept(self, made: Manifest) -> Manifest:
        """A commit of our own, whose reading back is spared."""
        self._keep(made.interval, made.version, made.to_json())
        return made

    def _mark(self, kind: Kind, interval: Interval, *, why: str, who: str) -> Manifest:
        def work(_: Attempt, current: Manifest | None) -> tuple[Content, Mapping[str, JSON]] | None:
            if current is None:
                raise UnknownNameError(f"{self.name} {interval} has no version in {self._store.uri}: nothing to mark as {kind}.")
            return None if current.kind == kind else (Content(kind=kind, details={"why": why, "who": who}), {})

        return self.commit(interval, work)


def _check(premise: Premise | None, what: str, *, is_first: bool) -> Callable[[], None]:
    """What asks, when an attempt's files are there, whether its premise is what it is now."""
    if premise is None:
        return lambda: None
    given = premise.begin(is_first=is_first)
    return lambda: premise.check(given, what)


def _is_outdated(check: Callable[[], None]) -> bool:
    try:
        check()
    except OutdatedError:
        return True
    return False


def _absence(manifest: Manifest | None) -> str:
    if manifest is None:
        return "has not been made"
    return (
        f"was cleared in version {manifest.version}"
        if manifest.kind == "cleared"
        else f"is gone by retention since version {manifest.version}"
    )


def _plain(value: JSON) -> str:
    if not isinstance(value, Mapping):
        return repr(value)
    return ", ".join(f"{key} {item}" for key, item in sorted(value.items()))
