"""The columns that are recorded of a source without contract: what its first files showed, and what a person accepted since.

They lie in a log of their own beside the source's, one slot for all of time and one for each interval from which a person accepted others on;
what is said there holds for one format with its options, since other options give other columns. The invariant: whoever reads an interval reads
it by the same columns as everybody else, in whatever order and however many at once; so what is read first is recorded before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from headrace.core.columns import ColumnsDifferError, Difference, accepted, recorded
from headrace.core.contract import Contract
from headrace.core.errors import ColumnsChangedError, ConfigurationError, NotReadyError
from headrace.core.fingerprint import declaration_of
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest, digest_of
from headrace.core.ports import JSON, Schema
from headrace.core.step import Source
from headrace.lake.commit import Attempt
from headrace.lake.log import DatasetLog
from headrace.run.session import Session
from headrace.steps.landing import Bronze
from headrace.steps.made import Made
from headrace.steps.sources import make_source

__all__ = ["Accepted", "Record", "accept", "has_accepted", "is_read_otherwise", "made_by_record", "record_of"]

_BEGINNING = Interval.of("1000-01-01", "1000-01-02")


@dataclass(frozen=True)
class Record:
    """The columns that hold for an interval, and the entry that says so."""

    contract: Contract
    entry: Manifest

    @property
    def of(self) -> str:
        """The interval whose files showed them."""
        return str(self.entry.content.details.get("of") or self.entry.interval.label)

    @property
    def is_accepted(self) -> bool:
        """Whether a person accepted them in place of others."""
        return bool(self.entry.content.details.get("is_accepted"))

    def __str__(self) -> str:
        if not self.is_accepted:
            return f"what {self.of} had, which was read first"
        who, when = self.entry.receipt.get("who") or "somebody", str(self.entry.receipt.get("created_at", ""))[:10]
        return f"what {who} accepted on {when}, from {self.entry.interval.label} on"


@dataclass(frozen=True)
class Accepted:
    """What a person accepted: from which interval on, and in place of what. Where the files fit what holds then, nothing `is_new`."""

    record: Record
    since: Interval
    difference: Difference | None
    is_new: bool = True

    def as_json(self) -> list[JSON]:
        """What changed, column by column."""
        return [
            {
                "change": one.kind,
                "recorded": [one.before.name, one.before.sql_type] if one.before else None,
                "found": [one.now.name, one.now.field.sql_type if one.now.field else None] if one.now else None,
            }
            for one in (self.difference.changes if self.difference else ())
        ]


def record_of(session: Session, step: Source, interval: Interval) -> Record | None:
    """What an interval is read by: None for a source with a contract, and before anything was read. Nothing is written.

    In a lake of before columns were recorded it is what was read then.
    """
    if not _has_record(step):
        return None
    found = _entry(_log(session, step), _reading(step), interval)
    before = _read_before(session, step, interval) if found is None else None
    return found if before is None else Record(recorded(before.content.columns), before)


def made_by_record(session: Session, step: Source, interval: Interval, attempt: Attempt, make: Callable[[Contract | None], Made]) -> Made:
    """What is made of an interval's files by the columns that are recorded; what is read first is recorded.

    Where another was first meanwhile it is made again, by the other's columns. Raises ColumnsChangedError with what to type.
    """
    record = _kept_record(session, step, interval)
    try:
        made = make(record.contract if record else None)
    except ColumnsDifferError as error:
        assert record is not None
        raise _told(session, step, interval, record, error) from None
    if record is not None or not _has_record(step) or _record_first(session, step, interval, made.schema["rows"]) == made.schema["rows"]:
        return made
    attempt.discard()
    return made_by_record(session, step, interval, attempt, make)


def has_accepted(session: Session, step: Source) -> bool:
    """Whether a person accepted other columns of a source than its first ones, for any interval. One listing."""
    return _has_record(step) and any(slot != _BEGINNING for slot in _log(session, step).versions(None))


def is_read_otherwise(record: Record | None, manifest: Manifest) -> bool:
    """Whether a commit was read by other columns than a person accepted for its interval."""
    return record is not None and record.is_accepted and manifest.kind == "data" and manifest.content.columns != record.contract.schema


def accept(session: Session, step: Source, interval: Interval, since: Interval | None = None) -> Accepted:
    """Record the columns that the files of an interval have now, from it on, or `since` an earlier one. Nothing is read into the lake.

    ConfigurationError for a source with a contract, NotReadyError where nothing is recorded yet; whatever else reading raises.
    """
    if not _has_record(step):
        raise ConfigurationError(f"`{step.name}` has a contract, which says what its columns are: change the contract.")
    since = since or interval
    if since.start > interval.start:
        raise ConfigurationError(f"--since {since.label} is after {interval.label}, whose files are looked at.")
    record = _kept_record(session, step, interval)
    if record is None:
        raise NotReadyError(f"Nothing is recorded of `{step.name}` yet: what its first run reads will be. There is nothing to accept.")
    with session.lake.store.lease():
        told = _difference(session, step, interval, record)
    if told is None and since == interval:
        return Accepted(record, since, None, is_new=False)
    columns = accepted(told).schema if told else record.contract.schema
    log, reading = _log(session, step), _reading(step)
    content = _content(reading, interval, columns, is_accepted=True)

    def work(_: Attempt, current: Manifest | None) -> tuple[Content, Mapping[str, JSON]] | None:
        is_there = current is not None and current.content.fingerprint == content.fingerprint
        return None if is_there else (content, {"who": session.who})

    return Accepted(Record(recorded(columns), log.commit(since, work)), since, told)


def _has_record(step: Source) -> bool:
    """Whether a source is read by what is recorded: it reads files, and has no contract."""
    return step.contract is None and not step.options.is_dataset


# ---------------------------------------------------------------- recording


class _StandingError(Exception):
    """What was to be recorded is recorded already."""


def _kept_record(session: Session, step: Source, interval: Interval) -> Record | None:
    """What an interval is read by, which is recorded now where it was read before there were records."""
    record = record_of(session, step, interval)
    if record is None or record.entry.dataset != step.name:
        return record
    _record_first(session, step, record.entry.interval, record.contract.schema)
    return record_of(session, step, interval)


def _record_first(session: Session, step: Source, interval: Interval, columns: Schema) -> Schema:
    """Record the columns that the files of an interval show, unless others were recorded meanwhile: those that hold then."""
    log, reading = _log(session, step), _reading(step)

    def work(attempt: Attempt, _: Manifest | None) -> tuple[Content, Mapping[str, JSON]] | None:
        if _newest(log, _BEGINNING, attempt.seen, reading) is not None:
            raise _StandingError
        return _content(reading, interval, columns, is_accepted=False), {"who": session.who}

    with suppress(_StandingError):
        log.commit(_BEGINNING, work)
    found = _entry(log, reading, interval)
    assert found is not None
    log.confirm(found.entry)
    return found.contract.schema


def _told(session: Session, step: Source, interval: Interval, record: Record, error: ColumnsDifferError) -> ColumnsChangedError:
    """The difference with what is recorded, and what to type."""
    file = session.file.name if session.file else "FILE"
    profile = "" if session.config.profile == "local" else f" --profile {session.config.profile}"
    return ColumnsChangedError(
        f"{error}\nRecorded is {record}. Nothing was committed. If the files are right, accept their columns from this interval on, and run it again:\n"
        f"  headrace contract {file} {step.name} --accept --at {interval.label}{profile}\n"
        "If they are not, mend them at their origin. A source with a contract takes what its contract says."
    )


# ---------------------------------------------------------------- looking


def _difference(session: Session, step: Source, interval: Interval, record: Record) -> Difference | None:
    """How the files of an interval differ from what is recorded: those at the origin, or those that landed where they are gone."""
    log = session.lake.log(session.graph.name, step.name)
    attempt = log.attempt(interval)
    current = attempt.current if attempt.current is not None and attempt.current.kind == "data" else None
    landed = Bronze(current, lambda files: session.lake.paths_of(current, files)) if current is not None else None
    try:
        make_source(
            step,
            interval,
            attempt=attempt,
            origin=session.origin(step),
            format=session.format(step),
            location=session.location(step),
            now=session.clock(),
            landed=landed,
            recorded=record.contract,
        )
    except ColumnsDifferError as error:
        return error.difference
    finally:
        attempt.discard()
    return None


def _entry(log: DatasetLog, reading: str, interval: Interval) -> Record | None:
    """The newest entry for a reading in the last slot that begins by then."""
    versions = log.versions(None)
    for slot in sorted((one for one in versions if one.start <= interval.start), reverse=True):
        entry = _newest(log, slot, versions[slot], reading)
        if entry is not None:
            return Record(recorded(entry.content.columns), entry)
    return None


def _newest(log: DatasetLog, slot: Interval, versions: Sequence[int], reading: str) -> Manifest | None:
    """The newest entry of a slot for a reading, unless it was cleared since."""
    for version in sorted(versions, reverse=True):
        entry = log.manifest(slot, version)
        if entry.kind == "cleared":
            return None
        if entry.kind == "data" and entry.content.details.get("reading") == reading:
            return entry
    return None


def _read_before(session: Session, step: Source, interval: Interval) -> Manifest | None:
    """In a lake of before columns were recorded: the newest commit before an interval that was read alike, else the first after it."""
    log = session.lake.log(session.graph.name, step.name)
    versions = log.versions(None)
    earlier = [one for one in versions if one.start < interval.start]
    for one in (*reversed(earlier), *(one for one in versions if one.start >= interval.start)):
        manifest = log.current(one, versions=versions[one])
        if manifest is not None and _is_read_alike(step, manifest):
            return manifest
    return None


def _is_read_alike(step: Source, manifest: Manifest) -> bool:
    before = manifest.content.fingerprint_parts.get("declaration")
    if manifest.kind != "data" or "inferred" not in manifest.content.details or not isinstance(before, Mapping):
        return False
    return before.get("contract") is None and digest_of([before.get("format"), before.get("options")]) == _reading(step)


def _log(session: Session, step: Source) -> DatasetLog:
    return session.lake.log(session.graph.name, f"{step.name}._columns")


def _reading(step: Source) -> str:
    """What decides which columns files have besides the files: their format and the options of their reading."""
    declared = declaration_of(step)
    return digest_of([declared["format"], declared["options"]])


def _content(reading: str, of: Interval, columns: Schema, *, is_accepted: bool) -> Content:
    details: dict[str, JSON] = {"reading": reading, "of": of.label, "is_accepted": is_accepted}
    told: list[JSON] = [[column.name, column.type] for column in columns]
    return Content("data", "columns", schema={"rows": columns}, fingerprint=digest_of([reading, told]), details=details)
