"""What is in the quarantine of a source: which records of which interval, why, and how they are shown to people.

Nothing here writes. The invariant: an interval's quarantine is that of the newest thing that happened to it, which is its commit, or a run
that was refused since; and nothing of a record is shown where a masked column may be in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from headrace.core.errors import ConfigurationError, UnknownNameError
from headrace.core.interval import Interval, parse_time
from headrace.core.manifest import Manifest
from headrace.core.ports import JSON
from headrace.core.step import Source
from headrace.run.reading import At
from headrace.run.session import Session

__all__ = [
    "Quarantine",
    "Rejected",
    "examples_of",
    "files_of",
    "masked_in",
    "quarantine_at",
    "quarantines",
    "records_of",
    "safe_text",
    "source_called",
    "told",
]

_BATCH = 1000
_SHOWN = 200
_KIND = r"""array_to_string(columns, ',') || ': ' || regexp_replace(array_to_string(reasons, '; '), '''[^'']*''|\d[\d.]*', '', 'g')"""
_KEPT_OUT = "kept out: the column is masked"


@dataclass(frozen=True)
class Rejected:
    """A record that was not kept. `raw` has the first bytes of the `raw_size` that it had; `offset` counts those of the file, decompressed."""

    file: str
    line: int
    offset: int
    columns: tuple[str, ...]
    reasons: tuple[str, ...]
    raw: bytes
    raw_size: int

    @property
    def is_cut(self) -> bool:
        return len(self.raw) < self.raw_size


@dataclass(frozen=True)
class Quarantine:
    """The quarantine of one interval: of its commit, or, where `is_refused`, of a run whose data were not committed."""

    manifest: Manifest
    is_refused: bool

    @property
    def interval(self) -> Interval:
        return self.manifest.interval

    @property
    def records(self) -> int:
        part = self.manifest.content.part("quarantine")
        return (part.rows or 0) if part else 0

    @property
    def reasons(self) -> dict[str, int]:
        """How many records broke each rule, without their values."""
        told = self.manifest.content.details.get("reasons")
        return {reason: int(cast(int, count)) for reason, count in told.items()} if isinstance(told, Mapping) else {}


def source_called(session: Session, name: str) -> Source:
    """A source that reads files. ConfigurationError for a step of another kind."""
    step = session.graph.step(name)
    if not isinstance(step, Source):
        raise ConfigurationError(f"`{name}` is a {step.kind}: only a source reads files, and has a quarantine.")
    if step.options.is_dataset:
        raise ConfigurationError(
            f"`{name}` takes the rows of {step.options.location} as they are: look into the quarantine of its sources."
        )
    return step


def quarantines(session: Session, source: str, at: At) -> list[Quarantine]:
    """The quarantine of each interval that was asked for (None: all), in time's order. UnknownNameError where nothing was ever read."""
    source_called(session, source)
    own = session.lake.log(session.graph.name, source)
    aside = session.lake.log(session.graph.name, f"{source}.refused")
    versions, refusals = own.versions(None), aside.versions(None)
    asked = [interval for interval in sorted({*versions, *refusals}) if _is_asked(interval, at)]
    for log, known in ((own, versions), (aside, refusals)):
        log.read_ahead([(interval, known[interval][-1]) for interval in asked if interval in known])
    found = []
    for interval in asked:
        current = own.current(interval, versions=versions.get(interval, ()))
        refused = aside.current(interval, versions=refusals.get(interval, ()))
        if refused is not None and refused.kind == "data" and _is_newest(refused, current):
            found.append(Quarantine(refused, is_refused=True))
        elif current is not None and current.kind == "data":
            found.append(Quarantine(current, is_refused=False))
    if not found:
        which = f"at {at}" if isinstance(at, str) else "in that range" if at is not None else "yet"
        raise UnknownNameError(f"{own.name} has read no file {which} in {session.lake.uri}. See: headrace ls {session.file or 'FILE'}")
    return found


def quarantine_at(session: Session, source: str, at: At) -> Quarantine:
    """The one quarantine that has records among those asked for. ConfigurationError where several have."""
    found = [one for one in quarantines(session, source, at) if one.records]
    if not found:
        raise UnknownNameError(f"No record of {session.graph.name}.{source} is in quarantine{'' if at is None else ' there'}.")
    if len(found) > 1:
        labels = ", ".join(one.interval.label for one in found[:5])
        raise ConfigurationError(f"{len(found)} intervals of `{source}` have records in quarantine ({labels}): name one with --at.")
    return found[0]


def records_of(session: Session, quarantine: Quarantine, only: Collection[int] | None = None) -> Iterator[Rejected]:
    """The records of a quarantine in their order, or those of some places in it, from 1; a few at a time, so that memory is bounded."""
    if quarantine.manifest.content.part("quarantine") is None or (only is not None and not only):
        return
    relation = _relation(session, quarantine)
    if "raw_size" not in relation.columns:  # made before places were kept in full
        relation = relation.select("*, -1 AS byte_offset, octet_length(raw) AS raw_size")
    if only is not None:
        relation = relation.select("*, row_number() OVER () AS place").filter(f"place IN ({', '.join(map(str, only))})").order("place")
    for batch in relation.select("file, line, byte_offset, columns, reasons, raw, raw_size").to_arrow_reader(_BATCH):
        for row in batch.to_pylist():
            columns, reasons = tuple(row["columns"]), tuple(row["reasons"])
            yield Rejected(row["file"], row["line"], row["byte_offset"], columns, reasons, row["raw"], row["raw_size"])


def files_of(session: Session, quarantine: Quarantine) -> dict[str, int]:
    """How many records of each file are in a quarantine."""
    if quarantine.manifest.content.part("quarantine") is None:
        return {}
    counted = _relation(session, quarantine).aggregate("file, count(*) AS n", "file").order("file")
    return dict(counted.fetchall())


def examples_of(session: Session, quarantine: Quarantine, most: int, seen: set[str]) -> Iterator[Rejected]:
    """Some records of a quarantine, in their order: the first of each kind that was not `seen`, which is added to, and then the first ones.

    Of one kind are those with the same columns and reasons, whatever the values that the reasons quote.
    """
    if most <= 0 or quarantine.manifest.content.part("quarantine") is None:
        return
    numbered = _relation(session, quarantine).select(f"row_number() OVER () AS place, {_KIND} AS kind")
    kinds = numbered.aggregate("kind, min(place) AS place, count(*) AS n", "kind").order("n DESC, place").limit(most + len(seen)).fetchall()
    new = {kind: place for kind, place, _ in kinds if kind not in seen}
    places = list(new.values())[:most]
    seen.update(list(new)[:most])
    first = [place for place in range(1, min(most, quarantine.records) + 1) if place not in places]
    yield from records_of(session, quarantine, [*places, *first[: most - len(places)]])


def told(session: Session, source: str, found: Sequence[Quarantine], samples: int) -> dict[str, JSON]:
    """What there is to say of some quarantines, as plain values; texts of records are made safe to show."""
    reasons: Counter[str] = Counter()
    intervals: list[JSON] = []
    shown: list[JSON] = []
    masked: dict[str, None] = {}
    kinds: set[str] = set()
    for one in found:
        reasons.update(one.reasons)
        own_mask = masked_in(session, source, one.manifest)
        masked.update(dict.fromkeys(own_mask))
        with session.lake.store.lease():
            shown += [_told(one, record, own_mask) for record in examples_of(session, one, samples - len(shown), kinds)]
            files = files_of(session, one)
        intervals.append(
            {
                "interval": one.interval.label,
                "dataset": one.manifest.name,
                "version": one.manifest.version,
                "refused": one.is_refused,
                "quarantined": one.records,
                "reasons": dict(one.reasons),
                "files": dict(files),
            }
        )
    return {
        "source": f"{session.graph.name}.{source}",
        "quarantined": sum(one.records for one in found),
        "reasons": dict(reasons.most_common()),
        "intervals": intervals,
        "samples": shown,
        "masked": list(masked),
    }


def masked_in(session: Session, source: str, manifest: Manifest) -> tuple[str, ...]:
    """Those of the columns that the settings mask that a source has, by what they are called in its files or from there on."""
    step = session.graph.steps[source]
    names = {column.name for column in manifest.content.columns}
    if isinstance(step, Source) and step.contract:
        names.update(alias for field in step.contract.fields for alias in (field.name, field.alias))
    for listed in (manifest.content.details.get("undeclared"), manifest.content.details.get("inferred")):
        names.update(map(str, listed) if isinstance(listed, Sequence | Mapping) else ())
    return tuple(name for name in session.config.names("mask") if name in names)


def safe_text(raw: bytes | str, most: int = _SHOWN) -> str:
    r"""A text that a terminal shows and does not obey: bounded, what is not printable escaped.

    >>> print(safe_text(b"cake\x1b[2J,cheap"))
    cake\x1b[2J,cheap
    """
    text = raw[: 4 * most].decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    shown = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text[: most + 1])
    return shown if len(shown) <= most and len(text) <= most else f"{shown[: most - 1]}…"


def _told(quarantine: Quarantine, record: Rejected, masked: Sequence[str]) -> dict[str, JSON]:
    """With a masked column nothing of the record is shown as it came, and no reason that may quote the value."""
    is_hidden = bool(masked) and (not record.columns or bool(set(record.columns) & set(masked)))
    return {
        "interval": quarantine.interval.label,
        "file": safe_text(record.file),
        "line": record.line,
        "offset": record.offset,
        "columns": [safe_text(name) for name in record.columns],
        "reasons": [_KEPT_OUT] if is_hidden else [safe_text(reason) for reason in record.reasons],
        "raw": None if masked else safe_text(record.raw),
        "raw_size": record.raw_size,
    }


def _relation(session: Session, quarantine: Quarantine) -> Any:
    return cast(Any, session.engine.read(session.lake.read_paths(quarantine.manifest, "quarantine"), "duckdb"))


def _is_newest(refused: Manifest, current: Manifest | None) -> bool:
    """Whether a run was refused after the source's current version was made."""
    after = refused.receipt.get("after_version")
    if current is None or isinstance(after, int):
        return current is None or current.version <= cast(int, after)
    times = (datetime.fromisoformat(str(one.receipt["created_at"])) for one in (refused, current))
    return next(times) > next(times)


def _is_asked(interval: Interval, at: At) -> bool:
    if at is None:
        return True
    if isinstance(at, tuple):
        start, end = (None if time is None else parse_time(time) for time in at)
        return (start is None or start <= interval.start) and (end is None or interval.start < end)
    return interval.start == parse_time(at)
