"""What is known of a source before its files are taken: what earlier intervals took, where each is taken once, what people mended, and who
is left out.

The invariant: what an interval takes is decided by its first commit that holds data. Whoever makes it again makes it of the same files,
and whoever makes the next one starts from what that commit says; so two that run at once, or one that was killed, change nothing.
"""

from __future__ import annotations

from headrace.core.errors import ConfigurationError, NotReadyError
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.core.step import Source
from headrace.core.taken import Known, unpack
from headrace.lake.lake import Lake, VanishedError
from headrace.lake.log import DatasetLog
from headrace.run.forgotten import forgotten_in
from headrace.run.session import Session
from headrace.steps.forgetting import Forgetting
from headrace.steps.intake import TAKEN, Past
from headrace.steps.landing import Bronze, marks_of
from headrace.steps.mending import MENDS, Mended, mended_by

__all__ = ["forgetting_of", "mended_until", "past_of"]


def past_of(session: Session, step: Source, interval: Interval) -> Past:
    """What was taken before, listed now: as an earlier commit of the interval says, else as the interval before does, which has to be made.

    NotReadyError when it is not. An experiment has the past of the dataset itself: it takes nothing away from it.
    """
    log = session.lake.log(session.graph.name, step.name)
    own = _newest_data(log.history(interval))
    previous = session.graph.before(step, interval)
    taken = _before_own(session.lake, own) if own is not None else None
    if taken is None:
        taken = _until(session.lake, log, previous) if previous is not None else _at_the_beginning(session.lake, log, interval)
    bronze = None if own is None else Bronze(own, lambda files: session.lake.paths_of(own, files))
    return Past(taken, bronze)


def forgetting_of(session: Session, step: Source) -> Forgetting | None:
    """What leaves keys out while a source is made, as is known now: ask once a making, after its attempt has begun."""
    forgotten = forgotten_in(session.lake, session.graph.name)
    return Forgetting(forgotten, session.format(step), step.options.options, step.contract) if forgotten else None


def mended_until(session: Session, step: Source, current: Manifest | None, before: Manifest | None) -> Mended:
    """The mended files of an interval, which hold as long as the bytes that they mend; those of a snapshot are of the one before as well."""
    newest = current if current is not None and current.kind == "data" else None if step.options.is_by_interval else before
    if newest is None or newest.content.part(MENDS) is None:
        return Mended()
    return mended_by(Bronze(newest, lambda files: session.lake.paths_of(newest, files)))


def _before_own(lake: Lake, own: Manifest) -> frozenset[Known] | None:
    """What was taken before an interval that took its files already; None where its record was collected, or is of before there was one."""
    if own.content.part(TAKEN) is None:
        return None
    try:
        return _taken(lake, own) - frozenset(marks_of(own).items())
    except VanishedError:
        return None


def _until(lake: Lake, log: DatasetLog, interval: Interval) -> frozenset[Known]:
    """What was taken by the end of an interval, which is built on."""
    current = log.current(interval)
    if current is not None and current.kind == "expired":
        taken = _of_expired(lake, _newest_data(log.history(interval)), interval)
    else:
        taken = log.read(interval, lambda manifest: _taken(lake, manifest))
        current = log.current(interval)
    if current is not None:
        log.confirm(current)
    return taken


def _at_the_beginning(lake: Lake, log: DatasetLog, interval: Interval) -> frozenset[Known]:
    """Nothing, unless the pipeline began at another time once. ConfigurationError where a later interval has taken what this one would."""
    first = log.first()
    if first is None or first == interval:
        return frozenset()
    if first.start > interval.start:
        raise ConfigurationError(
            f"{log.name} has taken files since {first.label}, and what lay there then is in that interval: an earlier one can't take it any more. "
            f'Set start="{first.label}" again.'
        )
    for earlier in reversed([one for one in log.versions(None) if one.start < interval.start]):
        if _newest_data(log.history(earlier)) is not None:
            return _until(lake, log, earlier)
    return frozenset()


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
