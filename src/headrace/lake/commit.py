"""An attempt to commit one version of one interval: its files, then its manifest.

An attempt is made by `DatasetLog.attempt`, which lists the slots first: the attempt's number is fixed before any input is looked at.
The invariant: the manifest is put at base + 1 or nowhere, and an attempt's files are deleted only when it is certain that no
manifest names them or ever will.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from headrace.core.errors import LakeError, LostRaceError, TransientError
from headrace.core.interval import Interval
from headrace.core.manifest import Content, FileEntry, InputRef, Manifest, Part, time_text
from headrace.core.ports import JSON
from headrace.core.store import Store
from headrace.lake.entry import put_entry
from headrace.lake.files import VanishedError, sha256_of
from headrace.lake.layout import attempt_folder, slot_key

__all__ = ["Attempt", "Lost"]


class Lost(LostRaceError):  # noqa: N818  # it says what happened to an attempt; whoever made it starts over
    """Another attempt has the slot. `winner` is its manifest (maybe a fence, which only tells us to start over)."""

    def __init__(self, winner: Manifest) -> None:
        self.winner = winner
        super().__init__(f"Another writer committed {winner} first. Run again: its work is used if it was the same.")


class Attempt:
    """One try at one slot. Not for two threads at once, but for `file`."""

    def __init__(
        self,
        store: Store,
        pipeline: str,
        dataset: str,
        interval: Interval,
        *,
        seen: tuple[int, ...],
        nonce: str,
        clock: Callable[[], datetime],
        current: Manifest | None = None,
    ) -> None:
        self.pipeline, self.dataset, self.interval = pipeline, dataset, interval
        self.seen = seen  # the versions that were there when the attempt began, fences included
        self.current = current  # the newest of them that is not a fence
        self.base = max(seen, default=0)
        self.nonce = nonce
        self._store, self._clock = store, clock
        self._staged: dict[str, tuple[str, FileEntry | None]] = {}  # key -> part, and the entry that it is a copy of
        self._state: Literal["open", "unknown", "won", "lost"] = "open"

    @property
    def version(self) -> int:
        return self.base + 1

    @property
    def slot(self) -> str:
        return slot_key(self.pipeline, self.dataset, self.interval, self.version)

    def file(self, part: str, *, layer: str, suffix: str = "parquet", number: int = 0, name: str | None = None) -> Path:
        """A local path to write a file of a part to: `<part>-<number>.<suffix>`, unless a name is given."""
        return self._store.stage(self._add(part, layer, name or f"{part}-{number:04d}.{suffix}", None))

    def copy(self, entry: FileEntry, part: str, *, layer: str, name: str | None = None) -> None:
        """Take a file of another commit into this one, without reading it. Raises VanishedError when it was collected meanwhile."""
        try:
            self._store.copy(entry.key, self._add(part, layer, name or entry.name, entry))
        except KeyError:
            raise VanishedError(
                f"`{entry.key}` was to be copied into version {self.version}, and is gone from {self._store.uri}."
            ) from None

    def part(
        self, name: str, layer: str, *, rows: int | None = None, file_rows: Sequence[int] | None = None, sha256: Sequence[str] | None = None
    ) -> Part:
        """The part made of the files staged for it, in the order of their names.

        `file_rows` (else the rows of copied files, else `rows` for an only file) and `sha256` (else the bytes are read once more) are
        in the same order. Raises LakeError for a file that was never written.
        """
        prefix = self._folder(layer) + "/"
        keys = sorted(key for key, (part, _) in self._staged.items() if part == name and key.startswith(prefix))
        if file_rows is None and len(keys) == 1 and rows is not None:
            file_rows = [rows]
        entries = tuple(
            self._entry(key, file_rows[n] if file_rows is not None else None, sha256[n] if sha256 is not None else None)
            for n, key in enumerate(keys)
        )
        counts = [entry.rows for entry in entries if entry.rows is not None]
        if rows is None and len(counts) == len(entries):
            rows = sum(counts)
        return Part(name, layer, entries, rows)

    def commit(self, content: Content, receipt: Mapping[str, JSON] | None = None, *, check: Callable[[], None] = lambda: None) -> Manifest:
        """Make the version exist: publish the files, then put the manifest at base + 1. What `check` raises in between, nothing was put then.

        When it returns, the version is there for good, and survives a power cut. Raises Lost when the slot is another's, TransientError when
        the outcome is unknown (the files are left then, since the put may still land), and also, before anything is put, when an input is
        older than what the current version was made from: the caller had looked at it before the attempt began.
        """
        self._check(content)
        own: dict[str, JSON] = {
            "nonce": self.nonce,
            "base": self.base,
            "created_at": time_text(self._clock()),
            "host": os.uname().nodename,
        }
        manifest = Manifest(self.pipeline, self.dataset, self.interval, self.version, content, {**(receipt or {}), **own})
        data = manifest.to_json()
        self._publish({file.key: file.sha256 for part in content.parts for file in part.files})
        self._store.confirm([key for ref in content.inputs for key in _input_slots(ref)])
        check()
        self._state = "unknown"
        found = put_entry(self._store, self.slot, data)
        if found is None:
            self._state = "won"
            return manifest
        winner = Manifest.from_json(found, source=f"`{self.slot}` in {self._store.uri}")
        self._state = "lost"
        raise Lost(winner)

    def rival(self) -> Manifest | None:
        """Who has this attempt's slot, if it is lost already: to be asked when files of the attempt are gone before it was committed."""
        try:
            found = self._store.get(self.slot)
        except KeyError:
            return None
        winner = Manifest.from_json(found, source=f"`{self.slot}` in {self._store.uri}")
        return None if winner.nonce == self.nonce else winner

    def discard(self) -> None:
        """Give the attempt's files up if they are certain to be nobody's: it lost, or nothing was put yet. Otherwise leave them."""
        if self._state in ("open", "lost"):
            self._store.discard(list(self._staged))
            self._staged.clear()

    # ------------------------------------------------ the work

    def _folder(self, layer: str) -> str:
        return attempt_folder(layer, self.pipeline, self.dataset, self.interval, self.version, self.nonce)

    def _add(self, part: str, layer: str, name: str, source: FileEntry | None) -> str:
        if "/" in name:
            raise ValueError(f"{name!r} can't be the name of a file in a commit: it has a slash")
        key = f"{self._folder(layer)}/{name}"
        if key in self._staged:
            raise ValueError(f"the commit of {self.pipeline}.{self.dataset} {self.interval} already has a file {name!r} in {layer}")
        self._staged[key] = (part, source)
        return key

    def _entry(self, key: str, rows: int | None, sha256: str | None) -> FileEntry:
        source = self._staged[key][1]
        if source:
            return FileEntry(key, source.sha256, source.bytes, source.rows)
        path = self._store.stage(key)
        try:
            return FileEntry(key, sha256 or sha256_of(path), path.stat().st_size, rows)
        except FileNotFoundError:
            raise LakeError(
                f"The file `{key}` was staged for version {self.version} of {self.pipeline}.{self.dataset} and never written."
            ) from None

    def _check(self, content: Content) -> None:
        if self._state != "open":
            raise ValueError(f"an attempt is committed once, and this one is {self._state}: begin another with `log.attempt`")
        named = {file.key for part in content.parts for file in part.files}
        if named != self._staged.keys():
            odd = ", ".join(sorted(named ^ self._staged.keys()))
            raise ValueError(f"a commit names its own staged files, all of them and no others; these are on one side only: {odd}")
        if self.current:
            _check_not_older(content.inputs, self.current)

    def _publish(self, digests: Mapping[str, str]) -> None:
        try:
            self._store.publish(list(self._staged), digests=digests)
        except KeyError as gone:
            winner = self.rival()
            if winner is None:
                raise LakeError(
                    f"The file {gone} was staged and is gone before it was committed, and nobody has the slot `{self.slot}`."
                ) from None
            self._state = "lost"
            raise Lost(winner) from None


def _check_not_older(inputs: Sequence[InputRef], current: Manifest) -> None:
    before = {ref.dataset: ref for ref in current.content.inputs}
    for ref in inputs:
        known = before.get(ref.dataset, ref)
        if known.runs == ref.runs:
            continue
        newest = known.versions_of()
        for interval, version in ref.versions_of().items():
            if version < newest.get(interval, 0):
                raise TransientError(
                    f"A new version of {current.name} {current.interval} would be made from {ref.dataset} {interval} v{version}, "
                    f"but v{current.version} was made from v{newest[interval]} of it: the listing that was used is old. List again, and run again."
                )


def _input_slots(ref: InputRef) -> Iterator[str]:
    """A slot in each log folder that an input was read from: their names are made durable before something is built on them."""
    pipeline, _, dataset = ref.dataset.partition(".")
    months = {(interval.start.year, interval.start.month): (interval, version) for interval, version in ref.versions_of().items()}
    return (slot_key(pipeline, dataset, interval, version) for interval, version in months.values())
