"""Looking: what is in the lake, at the origins and in the code, for each (step, interval) pair that a command is about.

Nothing is decided here and nothing is written; `headrace.core.plan.decide` takes what was seen. The invariant: a pair that is
only read by what was asked for is looked at no closer than to know that it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from headrace.core.errors import SourceError, TransientError
from headrace.core.fingerprint import changes
from headrace.core.graph import Pair
from headrace.core.interval import Interval
from headrace.core.location import resolve
from headrace.core.manifest import InputRef, Manifest
from headrace.core.plan import Plan, Seen, decide
from headrace.core.step import Input, Predictions, Promotion, Source, Step, Table, TrainedModel
from headrace.run.code import changed_parts
from headrace.run.memory import memory_changes, memory_obstacle
from headrace.run.publishing import unpublished
from headrace.run.recorded import Record, has_accepted, is_read_otherwise, record_of
from headrace.run.session import Session
from headrace.run.upstream import upstream_changes
from headrace.steps.landing import is_known_to_be, marks_of
from headrace.steps.registry import is_outdated

__all__ = ["Request", "make_plan", "observe"]


@dataclass(frozen=True)
class Request:
    """What a command asks for: the pipeline's intervals, the steps (all unless told), and those to be made again whatever was seen.

    `is_backfill` leaves snapshots alone that were taken already.
    """

    runs: Sequence[Interval]
    steps: frozenset[str] | None = None
    forced: frozenset[str] = frozenset()
    is_backfill: bool = False


@dataclass
class _Look:
    session: Session
    request: Request
    targets: frozenset[Pair]
    seen: dict[Pair, Seen] = field(default_factory=dict[Pair, Seen])
    known: dict[tuple[str, Interval], int] = field(default_factory=dict[tuple[str, Interval], int])
    accepted: dict[str, bool] = field(default_factory=dict[str, bool])  # sources of which a person accepted other columns once
    out_of_reach: dict[str, str] = field(default_factory=dict[str, str])  # sources whose origin did not answer: it is not asked again


def make_plan(session: Session, request: Request) -> Plan:
    """Look and decide, and count what a change of code made stale in the past."""
    seen = observe(session, request)
    return decide(session.graph.name, seen, stale=_stale(session, seen, request))


def observe(session: Session, request: Request) -> list[Seen]:
    """What is seen of every pair that a request is about, each after those that it reads."""
    targets = list(_targets(session, request))
    look = _Look(session, request, frozenset(targets))
    _read_ahead(session, targets)
    for pair in targets:
        _visit(look, pair)
    return list(look.seen.values())


def _read_ahead(session: Session, targets: Sequence[Pair]) -> None:
    by_step: dict[str, list[Interval]] = {}
    for name, interval in targets:
        step = session.graph.steps[name]
        by_step.setdefault(step.model if isinstance(step, Promotion) else name, []).append(interval)
    for name, intervals in by_step.items():
        session.catalog.read_ahead(session.dataset(name), intervals)


def _targets(session: Session, request: Request) -> Iterable[Pair]:
    graph = session.graph
    found: dict[Pair, None] = {}
    for run in request.runs:
        for step in graph.steps.values():
            if request.steps is not None and step.name not in request.steps:
                continue
            found.update(((step.name, interval), None) for interval in graph.intervals_for(step, run))
    return found


def _visit(look: _Look, pair: Pair) -> None:
    if pair in look.seen:
        return
    for earlier in reversed(_unmade_before(look, pair)):
        _look_at(look, earlier)
    _look_at(look, pair)


def _unmade_before(look: _Look, pair: Pair) -> list[Pair]:
    """The earlier intervals of a source that takes each file once that have to be made first, the last of them first: there may be many."""
    name, interval = pair
    step = look.session.graph.steps[name]
    found: list[Pair] = []
    before = look.session.graph.before(step, interval)
    if before is None or _version_of(look, step, interval) is not None:
        return found
    while before is not None and (name, before) not in look.seen and _version_of(look, step, before) is None:
        found.append((name, before))
        before = look.session.graph.before(step, before)
    return found


def _look_at(look: _Look, pair: Pair) -> None:
    name, interval = pair
    step = look.session.graph.steps[name]
    reads = look.session.graph.reads(step, interval)
    is_target = pair in look.targets
    if not is_target:
        version = _version_of(look, step, interval)
        if version is not None:
            look.seen[pair] = Seen(name, step.kind, interval, is_target=False, version=version)
            return
    seen = _closely(look, step, interval, reads, is_target=is_target)
    for read in seen.reads:
        _visit(look, read)
    look.seen[pair] = seen


def _closely(look: _Look, step: Step, interval: Interval, reads: Sequence[tuple[Input, tuple[Interval, ...]]], *, is_target: bool) -> Seen:
    pairs = tuple((read.dataset, i) for read, intervals in reads for i in intervals)
    empty = next((read.dataset for read, intervals in reads if not intervals), None)
    absent = f"`{empty.removesuffix('.promotion')}` has no interval that ended by then" if empty else None
    forced = is_target and step.name in look.request.forced
    if isinstance(step, Promotion):
        version, why = _promotion(look.session, step, interval)
        return Seen(step.name, step.kind, interval, is_target, forced, version, why, absent, reads=pairs)
    manifest = look.session.catalog.newest(look.session.dataset(step.name), interval)
    if manifest is not None and manifest.kind == "expired":
        return Seen(step.name, step.kind, interval, is_target, version=manifest.version, settled="gone by retention")
    unfit: dict[Pair, str] = {}
    before = look.session.graph.before(step, interval)
    if before is not None and isinstance(step, Source) and (step.has_memory or manifest is None or manifest.kind != "data"):
        pairs = (*pairs, (step.name, before))
        obstacle = memory_obstacle(look.session, step, interval)
        unfit = {(step.name, before): obstacle} if obstacle else {}
    seen = Seen(step.name, step.kind, interval, is_target, forced, absent=absent, reads=pairs, unfit=unfit)
    if manifest is None or manifest.kind != "data":
        return seen
    found = _changes(look, step, interval, manifest, reads) if is_target else ()
    waiting = unpublished(look.session, step, manifest) if is_target else ""
    return replace(seen, version=manifest.version, changes=tuple(found), unpublished=waiting)


def _version_of(look: _Look, step: Step, interval: Interval) -> int | None:
    """The version of a pair that is only read, without its manifest where a reader's manifest has told of it already."""
    session = look.session
    if isinstance(step, Promotion):
        return _promotion(session, step, interval)[0]
    dataset = session.dataset(step.name)
    versions = session.catalog.versions(dataset, interval)
    if versions and look.known.get((dataset, interval)) == versions[-1]:
        return versions[-1]
    manifest = session.catalog.newest(dataset, interval) if versions else None
    return manifest.version if manifest is not None and manifest.kind in ("data", "expired") else None


# ---------------------------------------------------------------- why a commit no longer stands


def _changes(
    look: _Look, step: Step, interval: Interval, manifest: Manifest, reads: Sequence[tuple[Input, tuple[Interval, ...]]]
) -> list[str]:
    session = look.session
    recipe = session.recipe(step, interval)
    before = manifest.content.fingerprint_parts
    found: list[str] = []
    if before.get("code") != recipe.code:
        found.extend(changed_parts(cast(Mapping[str, str], before.get("code_parts", {})), recipe.code_parts) or ("its code changed",))
    found.extend(changes(before, recipe))
    if isinstance(step, Source):
        found.extend(
            upstream_changes(session, step, interval, manifest)
            if step.options.is_dataset
            else _source_changes(look, step, interval, manifest)
        )
        found.extend(memory_changes(session, step, interval, manifest))
    refs = {ref.dataset: ref for ref in manifest.content.inputs}
    for read, intervals in reads:
        if isinstance(step, Predictions) and read.parameter == "model":
            continue
        ref = refs.get(f"{session.graph.name}.{session.dataset(read.dataset)}")
        found.extend(_moved(look, read, intervals, ref))
    if isinstance(step, Predictions):
        found.extend(_champion_change(session, step, interval, manifest))
    return found


def _moved(look: _Look, read: Input, intervals: Sequence[Interval], ref: InputRef | None) -> list[str]:
    """Whether an input's contents are others than those that were read."""
    if ref is None:
        return [f"it now reads `{read.dataset}`"]
    session, dataset = look.session, look.session.dataset(read.dataset)
    recorded = ref.versions_of()
    look.known.update({(dataset, i): v for i, v in recorded.items()})
    if set(recorded) - set(intervals):
        return [f"the intervals that it reads of `{read.dataset}` changed"]
    changed: list[str] = []
    for interval in intervals:
        versions = session.catalog.versions(dataset, interval)
        then = recorded.get(interval)
        if versions and versions[-1] == then:
            continue
        now = session.catalog.current(dataset, interval)
        if now is None or now.version == then:
            continue
        if then is None or session.log(read.dataset).manifest(interval, then).content.digest != now.content.digest:
            changed.append(f"{interval.label} v{then or 0} -> v{now.version}")
    if not changed:
        return []
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return [f"`{read.dataset}` changed ({changed[0]}{more})"]


def _source_changes(look: _Look, step: Source, interval: Interval, manifest: Manifest) -> list[str]:
    session = look.session
    if is_read_otherwise(_record(look, step, interval), manifest):
        return ["its accepted columns changed"]
    if step.options.only_new or (look.request.is_backfill and not step.options.is_by_interval):
        return []  # what an interval took stays, and a backfill leaves snapshots alone
    if step.name in look.out_of_reach:
        return [look.out_of_reach[step.name]]
    before = marks_of(manifest)
    try:
        files = session.origin(step).find(resolve(session.location(step), interval))
    except SourceError as error:
        return [f"its files can't be looked at: {error}"]
    except TransientError as error:
        look.out_of_reach[step.name] = f"its files can't be looked at now: {error}"
        return [look.out_of_reach[step.name]]
    if is_known_to_be(files, before) or (not files and before):
        return []
    told, is_are = f"{len(files)} file{'s' if len(files) != 1 else ''} at the origin", "are" if len(files) != 1 else "is"
    if {file.uri: file.mark for file in files} == before:
        return [f"{told} {is_are} read again: nothing tells whether {'they' if len(files) != 1 else 'it'} changed"]
    return [f"{told} {is_are} new or changed"]


def _record(look: _Look, step: Source, interval: Interval) -> Record | None:
    """What is recorded for an interval, where anybody accepted anything at all of the source: that is asked once."""
    if step.name not in look.accepted:
        look.accepted[step.name] = has_accepted(look.session, step)
    return record_of(look.session, step, interval) if look.accepted[step.name] else None


def _promotion(session: Session, step: Promotion, interval: Interval) -> tuple[int | None, tuple[str, ...]]:
    manifest = session.catalog.current(session.dataset(step.model), interval)
    if manifest is None:
        return None, ()
    decision = session.decisions.about(step.model, interval, manifest.content.digest)
    if decision is None:
        return None, ()
    model = session.graph.step(step.model)
    is_other = isinstance(model, TrainedModel) and is_outdated(decision, model)
    return decision.number, ("it was rejected by other gates than today's",) if is_other else ()


def _champion_change(session: Session, step: Predictions, interval: Interval, manifest: Manifest) -> list[str]:
    champion = session.decisions.champion_as_of(step.model, interval.end)
    now = champion.digest if champion else None
    before = manifest.content.fingerprint_parts.get("champion")
    return [] if before == now else [f"the champion of `{step.model}` changed"]


# ---------------------------------------------------------------- the past


def _stale(session: Session, seen: Sequence[Seen], request: Request) -> dict[str, tuple[Interval, ...]]:
    """By step whose own code or settings changed: the other intervals that were made by what was before."""
    counted: dict[str, tuple[Interval, ...]] = {}
    for one in seen:
        step = session.graph.steps[one.step]
        if request.is_backfill or not one.is_target or not isinstance(step, Table | TrainedModel) or one.step in counted:
            continue
        dataset = session.dataset(one.step)
        if not _is_changed(session, step, dataset, one):
            continue
        asked = {pair[1] for pair in (s.pair for s in seen if s.step == one.step and s.is_target)}
        others = [i for i in session.catalog.all_intervals(dataset) if i not in asked and i.length == one.interval.length]
        found = tuple(i for i in others if _is_stale(session, step, dataset, i))
        if found:
            counted[one.step] = found
    return counted


def _is_changed(session: Session, step: Step, dataset: str, one: Seen) -> bool:
    """Whether a pair, or where it is not made yet the one before it, was made by other code or settings than today's."""
    if one.version is not None:
        return bool(one.changes)
    before = session.catalog.previous(dataset, one.interval)
    return before is not None and _is_stale(session, step, dataset, before.interval)


def _is_stale(session: Session, step: Step, dataset: str, interval: Interval) -> bool:
    manifest = session.lake.log(session.graph.name, dataset).current(interval)
    if manifest is None or manifest.kind != "data":
        return False
    recipe = session.recipe(step, interval)
    before = manifest.content.fingerprint_parts
    return before.get("code") != recipe.code or bool(changes(before, recipe))
