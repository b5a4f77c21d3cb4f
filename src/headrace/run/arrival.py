"""What a source's interval waits for, and looking whether it is there: files at their origin, or another pipeline's dataset in the lake.

A look is one listing; nothing is opened. Waiting itself is done by who asks: `headrace.run.waiting` in this process, an orchestrator
in its own way. The invariant: a look depends on what is awaited alone, so that any process can take it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from headrace.core.arrival import Awaited, Sight
from headrace.core.connection import Connection
from headrace.core.graph import Pair
from headrace.core.interval import Interval
from headrace.core.location import resolve
from headrace.core.manifest import digest_of
from headrace.core.plan import Decision
from headrace.core.ports import Origin, RawFile
from headrace.core.step import Source, Step
from headrace.lake.lake import Lake
from headrace.run.access import access_from_afar, plain_access, source_access
from headrace.run.catalog import Catalog
from headrace.run.session import Session, open_lake_at, open_origin
from headrace.run.upstream import look_upstream

__all__ = ["awaited", "awaited_by", "look_for", "look_from_afar"]

_QUIET = timedelta(minutes=1)  # a file that nobody wrote to for so long is taken as whole at the first look


def awaited(session: Session, step: Step, interval: Interval) -> Awaited | None:
    """What a step waits for in an interval; None for a step that does not wait."""
    if not isinstance(step, Source) or step.wait is None:
        return None
    longest_s = step.wait.total_seconds()
    if step.options.is_dataset:
        way_in = session.connections.of_lake()
        connection, access = way_in.id if way_in else "", plain_access(session.config)
        return Awaited(step.name, interval, "dataset", step.options.location, session.lake.uri, longest_s, connection, access)
    location, place = resolve(session.location(step), interval), str(session.folder.absolute())
    connection, access = session.connection_of(step), dict(session.access_to(step))
    return Awaited(step.name, interval, "files", location, place, longest_s, connection, access)


def awaited_by(session: Session, decisions: Sequence[Decision]) -> dict[Pair, Awaited]:
    """What those of some decisions wait for that are about to run. A source whose files landed before is read from there, and does not wait."""
    found = {}
    for decision in decisions:
        step = session.graph.steps[decision.step]
        is_landed = decision.version is not None and not decision.is_forced and isinstance(step, Source) and not step.options.is_dataset
        waits_for = awaited(session, step, decision.interval) if decision.action == "run" and not is_landed else None
        if waits_for is not None:
            found[decision.pair] = waits_for
    return found


def look_for(session: Session, what: Awaited) -> Sight:
    """One look, in a session. Raises what a listing raises."""
    return _look(
        what, session.clock(), lake=lambda: session.lake, origin=lambda: session.origin(cast(Source, session.graph.step(what.step)))
    )


def look_from_afar(what: Awaited, *, now: datetime, connection: Connection | None = None) -> Sight:
    """One look, in a process that has not opened the pipeline, with the connection that is named by what is awaited."""
    return _look(
        what,
        now,
        lake=lambda: open_lake_at(what.place, is_looking=True, access=access_from_afar(what.access, connection)),
        origin=lambda: open_origin(what.location, Path(what.place), source_access(what.access, connection)),
    )


def _look(what: Awaited, now: datetime, *, lake: Callable[[], Lake], origin: Callable[[], Origin]) -> Sight:
    if what.kind == "dataset":
        return _look_into(lake(), what)
    return _look_at(origin().find(what.location), what, now)


def _look_at(files: Sequence[RawFile], what: Awaited, now: datetime) -> Sight:
    if not files:
        return Sight(None, f"there is no file at {what}")
    is_quiet = all(file.modified_at is not None and file.modified_at + _QUIET <= now for file in files)
    size = files[0].size_bytes
    told = "" if size is None else f" with {size:,} bytes"
    said = f"{what} is there{told}, and still changes" if len(files) == 1 else f"{len(files)} files are at {what}, and still change"
    return Sight(digest_of([[file.uri, file.mark, file.size_bytes] for file in files]), said, is_settled=is_quiet)


def _look_into(lake: Lake, what: Awaited) -> Sight:
    pipeline = what.location.partition(".")[0]
    found = look_upstream(Catalog(lake, pipeline), what.location, what.interval)
    if not found.missing:
        return Sight("made", f"{what} is made", is_settled=True)
    others = len(found.missing) - 1
    more = f" and {others} more" if others else ""
    return Sight(None, f"`{what.location}` is not made for {found.missing[0]}{more}")
