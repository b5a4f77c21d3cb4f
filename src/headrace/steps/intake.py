"""Sources that take each file once: a folder that things are dropped into, where an interval is about what is new in it.

The invariant: an interval that has taken files is made of those again, and of no others; and each commit says all that was taken by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from headrace.core.errors import SourceError
from headrace.core.interval import Interval
from headrace.core.manifest import Part
from headrace.core.ports import JSON, Landed, Origin, RawFile, SourceFormat
from headrace.core.step import Source
from headrace.core.taken import Chosen, Known, choose, pack
from headrace.lake.commit import Attempt
from headrace.lake.lake import VanishedError
from headrace.steps.landing import Bronze, Leave, check_unchanged, land, land_again, marks_of

__all__ = ["TAKEN", "Intake", "Past", "intake_in_words", "take_again", "take_new", "taken_part", "told_files"]

TAKEN = "taken"
"""The part of a commit that says which files were taken by the end of its interval."""


@dataclass(frozen=True)
class Past:
    """What earlier intervals took, and what an earlier commit of this one did, if there is any."""

    taken: AbstractSet[Known]
    own: Bronze | None


@dataclass(frozen=True)
class Intake:
    """The files of an interval: as they landed, by what they are known, and what is to be told of them."""

    landed: Sequence[Landed]
    known: tuple[Known, ...]
    origin: dict[str, JSON]
    remarks: tuple[str, ...]


def take_new(
    step: Source, interval: Interval, past: Past, attempt: Attempt, origin: Origin, reader: SourceFormat, leave: Leave | None = None
) -> Intake | None:
    """Land what is new. None when the location names no file at all and nothing was ever taken, which is more likely to be a slip."""
    location, options = step.options.location, step.options.options
    found = origin.find(location)
    if not found and not past.taken and step.missing == "fail":
        return None
    chosen = choose(found, past.taken, interval.end)
    landings = land(chosen.files, attempt, origin, reader, options, leave=leave)
    check_unchanged(origin, location, chosen.files)
    told: dict[str, JSON] = {
        "files": told_files(chosen.files),
        "new": len(chosen.files) - len(chosen.changed),
        "changed": len(chosen.changed),
        "left": len(chosen.left),
    }
    known = tuple((file.uri, file.mark) for file in chosen.files)
    return Intake([one.landed for one in landings], known, told, tuple(_remarks(chosen, interval)))


def take_again(step: Source, past: Bronze, attempt: Attempt, origin: Origin, reader: SourceFormat, leave: Leave | None = None) -> Intake:
    """The files that an earlier commit of the interval took, from the lake, or from their origin where a collection has removed them."""
    known, options = tuple(marks_of(past.manifest).items()), step.options.options
    before = past.manifest.receipt.get("origin")
    told: dict[str, JSON] = {**(before if isinstance(before, Mapping) else {}), "read_again_from_version": past.manifest.version}
    try:
        return Intake(land_again(past, attempt, reader, options, leave), known, told, ())
    except VanishedError:
        attempt.discard()
    there = {(file.uri, file.mark): file for file in origin.find(step.options.location)}
    gone = [uri for uri, mark in known if (uri, mark) not in there]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise SourceError(
            f"This interval took `{gone[0]}`{more}, whose bytes are gone from the lake and not at their origin any more as they were. "
            "Put them back as they were, or restore the lake from a copy."
        )
    files = [there[one] for one in known]
    return Intake([one.landed for one in land(files, attempt, origin, reader, options, leave=leave)], known, told, ())


def taken_part(past: Past, intake: Intake, attempt: Attempt) -> Part:
    """Write down what was taken by the end of the interval."""
    attempt.file(TAKEN, layer="bronze", name=f"{TAKEN}.jsonl.gz").write_bytes(pack({*past.taken, *intake.known}))
    return attempt.part(TAKEN, "bronze")


def told_files(files: Sequence[RawFile]) -> list[JSON]:
    """Where bytes came from, as a receipt has it."""
    return [{"uri": f.uri, "mark": f.mark, "modified_at": f.modified_at.isoformat() if f.modified_at else None} for f in files]


def intake_in_words(origin: Mapping[str, JSON]) -> str:
    """What an interval took, from what is told of its origin.

    >>> intake_in_words({"new": 2, "changed": 0, "left": 1})
    '2 new, 1 left for the next interval'
    """
    taken = [f"{origin[kind]} {kind}" for kind in ("new", "changed") if origin.get(kind)] or ["no new file"]
    return ", ".join([*taken, *([f"{origin['left']} left for the next interval"] if origin.get("left") else [])])


def _remarks(chosen: Chosen, interval: Interval) -> Sequence[str]:
    found = []
    if not chosen.files:
        found.append("no file is new: the interval is empty")
    if chosen.changed:
        found.append(f"{_counted(chosen.changed)} had been taken before and changed since: all of it is taken again, also what it had then")
    if chosen.left:
        found.append(f"{_counted(chosen.left)} came at or after {interval.end:%Y-%m-%dT%H:%M:%SZ} and is left for the next interval")
    return found


def _counted(files: Sequence[RawFile]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"`{files[0].uri}`{more}"
