"""The record of who was forgotten: one commit of dataset `_forgotten` for each thing that was done about it, the newest of which tells all.

It holds keys as salted digests, never their values, and of each which versions held it, which were made in their place, and which were
collected. Whoever lands files asks it, anew each time. The invariant: what was once said to be forgotten stays so; to undo it nothing is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from headrace.core.errors import DamageError
from headrace.core.forgetting import Forgotten, ForgottenKey, forgotten_key, keys_of
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest, digest_of, time_text
from headrace.core.ports import JSON
from headrace.lake.commit import Attempt
from headrace.lake.lake import Lake
from headrace.lake.layout import Slot

__all__ = ["EVER", "FORGOTTEN", "Entry", "Names", "Record", "forgotten_in", "noted", "record_of"]

FORGOTTEN = "_forgotten"
EVER = Interval.of("1970-01-01", "1970-01-02")
"""The one interval of the record, which is about all others."""

State = Literal["begun", "done"]
Names = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One key that was forgotten: since when, by whom, and what was found, made again and collected for it.

    `mentions` counts the places that were told as saying the value besides; None where nobody looked.
    """

    key: ForgottenKey
    asked_at: str
    who: str
    state: State = "begun"
    found: tuple[Slot, ...] = ()
    made: tuple[Slot, ...] = ()
    collected: tuple[Slot, ...] = ()
    ended_at: str = ""
    mentions: int | None = None

    @property
    def columns(self) -> str:
        """The key's columns, by their first names, for people."""
        return ", ".join(column.names[0] for column in self.key)

    def as_json(self) -> dict[str, JSON]:
        """What the record says of it, and people are shown."""
        return {
            "key": [column.as_json() for column in self.key],
            "asked_at": self.asked_at,
            "who": self.who,
            "state": self.state,
            "ended_at": self.ended_at,
            "found": [_slot_json(slot) for slot in self.found],
            "made": [_slot_json(slot) for slot in self.made],
            "collected": [_slot_json(slot) for slot in self.collected],
            **({} if self.mentions is None else {"mentions": self.mentions}),
        }


@dataclass(frozen=True)
class Record:
    """All that was forgotten of a pipeline, in the order in which it was asked for."""

    salt: str
    entries: tuple[Entry, ...] = ()

    @property
    def forgotten(self) -> Forgotten:
        return Forgotten(self.salt, tuple(entry.key for entry in self.entries))

    def entry_of(self, values: Mapping[Names, str]) -> Entry | None:
        """What was done about a key, whatever else its columns were called then."""
        key = forgotten_key(values, self.salt)
        return next((entry for entry in self.entries if _is_same(entry.key, key)), None)

    def with_entry(self, entry: Entry) -> Record:
        others = [entry if _is_same(one.key, entry.key) else one for one in self.entries]
        return replace(self, entries=tuple(others if entry in others else [*others, entry]))


def record_of(lake: Lake, pipeline: str) -> Record | None:
    """What a pipeline forgot; None where that is nobody. One short listing."""
    current = lake.log(pipeline, FORGOTTEN).current(EVER)
    return None if current is None else _record(current)


def forgotten_in(lake: Lake, pipeline: str) -> Forgotten | None:
    found = record_of(lake, pipeline)
    return found.forgotten if found else None


def noted(lake: Lake, pipeline: str, change: Callable[[Record], Record], *, who: str) -> Record:
    """Write the record down with a change, made of what it says now; nothing is written where that changes nothing."""
    log = lake.log(pipeline, FORGOTTEN)
    log.claim({"step": FORGOTTEN, "kind": "record", "every": "ever"})
    fresh = Record(os.urandom(16).hex())

    def work(_: Attempt, current: Manifest | None) -> tuple[Content, Mapping[str, JSON]] | None:
        before = fresh if current is None else _record(current)
        after = change(before)
        if current is not None and after == before:
            return None
        details: dict[str, JSON] = {"salt": after.salt, "keys": [entry.as_json() for entry in after.entries]}
        return Content("data", "record", fingerprint=digest_of(details), details=details), {"who": who}

    return _record(log.commit(EVER, work))


def _record(manifest: Manifest) -> Record:
    source, details = f"{manifest}", manifest.content.details
    told = details.get("keys")
    if not isinstance(told, Sequence) or isinstance(told, str):
        raise DamageError(f"{source} is no record of what was forgotten.")
    return Record(str(details["salt"]), tuple(_entry(one, source) for one in told if isinstance(one, Mapping)))


def _entry(told: Mapping[str, JSON], source: str) -> Entry:
    (key,) = keys_of([told.get("key")], source=source)
    return Entry(
        key=key,
        asked_at=str(told.get("asked_at", "")),
        who=str(told.get("who", "")),
        state="done" if told.get("state") == "done" else "begun",
        found=_slots(told.get("found")),
        made=_slots(told.get("made")),
        collected=_slots(told.get("collected")),
        ended_at=str(told.get("ended_at", "")),
        mentions=mentions if isinstance(mentions := told.get("mentions"), int) else None,
    )


def _slot_json(slot: Slot) -> list[JSON]:
    return [slot.pipeline, slot.dataset, time_text(slot.interval.start), time_text(slot.interval.end), slot.version]


def _slots(told: JSON) -> tuple[Slot, ...]:
    listed = told if isinstance(told, Sequence) and not isinstance(told, str) else ()
    found: list[Slot] = []
    for one in listed:
        if isinstance(one, Sequence) and not isinstance(one, str):
            pipeline, dataset, start, end, version = one
            found.append(Slot(str(pipeline), str(dataset), Interval.of(str(start), str(end)), int(str(version))))
    return tuple(found)


def _is_same(one: ForgottenKey, other: ForgottenKey) -> bool:
    return len(one) == len(other) and all(
        mine.digests == theirs.digests and set(mine.names) & set(theirs.names) for mine, theirs in zip(one, other, strict=True)
    )
