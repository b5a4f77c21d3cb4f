"""Telling, before a run, that a source has nothing for the interval, and where the nearest is that has."""

from __future__ import annotations

from headrace.core.errors import NotReadyError, SourceError, TransientError
from headrace.core.interval import Interval
from headrace.core.location import resolve
from headrace.core.redaction import public
from headrace.core.step import Source
from headrace.run.session import Session
from headrace.steps.sources import nearest

__all__ = ["check_sources"]


def check_sources(session: Session, interval: Interval, *, is_default: bool) -> str | None:
    """A note where a source by interval has no file for an interval that nobody named.

    NotReadyError when no source has any and none was ever made there: the run would only make empty tables.
    """
    if not is_default:
        return None
    sources = [s for s in session.graph.steps.values() if isinstance(s, Source) and s.options.is_by_interval]
    missing: list[str] = []
    hint = ""
    for source in sources:
        own = session.graph.interval_for(source, interval)
        if own is None or source.wait is not None:
            continue
        location = session.location(source)
        origin = session.origin(source)
        try:
            if origin.find(resolve(location, own)) or session.catalog.current(source.name, own) is not None:
                continue
        except (SourceError, TransientError):  # the step meets it again, and tells it
            continue
        near = nearest(location, origin, own, source.grid)
        where = f"; the nearest interval that has is {near.label}" if near else f": nothing was found that looks like {public(location)}"
        missing.append(f"`{source.name}` has no file for {own.label}{where}")
        if near and not hint:
            hint = f" Run that one: --at {session.graph.grid.at(near.start).label}"
    if not missing:
        return None
    text = "; ".join(missing) + "." + hint
    if len(missing) == len(sources) and not any(session.catalog.previous(s.name, interval) for s in sources):
        raise NotReadyError(f"No --at was given, so this is about the last complete interval, {interval.label}. {text}")
    return text
