"""What is known of a source that takes each file once, before it takes those of an interval: what earlier intervals took, and what this one did.

The invariant: what an interval takes is decided by its first commit that holds data. Whoever makes it again makes it of the same files,
and whoever makes the next one starts from what that commit says; so two that run at once, or one that was killed, change nothing.
"""

from __future__ import annotations

from headrace.core.errors import NotReadyError
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.core.step import Source
from headrace.core.taken import Known, unpack
from headrace.lake.lake import Lake, VanishedError
from headrace.run.session import Session
from headrace.steps.intake import TAKEN, Past
from headrace.steps.landing import Bronze, marks_of

__all__ = ["past_of"]


def past_of(session: Session, step: Source, interval: Interval) -> Past:
    """What was taken before, listed now. NotReadyError when the interval before is not made.

    An experiment has the past of the dataset itself: it takes nothing away from it.
    """
    log = session.lake.log(session.graph.name, step.name)
    own = _newest_data(log.history(interval))
    previous = session.graph.before(step, interval)
    taken: frozenset[Known] = frozenset()
    if previous is not None:
        current = log.current(previous)
        if current is not None and current.kind == "expired":
            taken = _of_expired(session.lake, _newest_data(log.history(previous)), previous)
        else:
            taken = log.read(previous, lambda manifest: _taken(session.lake, manifest))
            current = log.current(previous)
        if current is not None:
            log.confirm(current)
    bronze = None if own is None else Bronze(own, lambda files: session.lake.paths_of(own, files))
    return Past(taken, bronze)


def _taken(lake: Lake, manifest: Manifest) -> frozenset[Known]:
    """All that was taken by the end of an interval. One of when each file was not yet taken once took those that it read."""
    if manifest.content.part(TAKEN) is None:
        return frozenset(marks_of(manifest).items())
    (path,) = lake.read_paths(manifest, TAKEN, verify=True)
    return unpack(path.read_bytes(), source=f"part `{TAKEN}` of {manifest}")


def _of_expired(lake: Lake, data: Manifest | None, interval: Interval) -> frozenset[Known]:
    try:
        if data is not None:
            return _taken(lake, data)
    except VanishedError:
        pass
    raise NotReadyError(
        f"What was taken until {interval.label} is gone by retention, so nobody knows what is new after it. Set the pipeline's `start` later."
    )


def _newest_data(history: list[Manifest]) -> Manifest | None:
    return next((manifest for manifest in reversed(history) if manifest.kind == "data"), None)
