"""Forgetting: a key taken out of a pipeline's lake, in steps each of which is a commit, and that can be begun again wherever it was stopped.

First it is written down who is forgotten: from then on nobody lands it. Then the sources are made again of their own bytes without it, what
was made of them by the ordinary executor, and last the old versions are collected, and that is written down. The invariant: a version is
collected only when one that was made without the key is current in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, cast

from headrace.core.contract import Contract
from headrace.core.errors import HeadraceError
from headrace.core.forgetting import forgotten_key, is_said_in
from headrace.core.graph import Pair
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest, digest_of, time_text
from headrace.core.plan import Decision, Plan
from headrace.core.ports import JSON
from headrace.core.step import Source, Step, TrainedModel
from headrace.lake.collect import collect, plan_erasure
from headrace.lake.commit import Attempt
from headrace.lake.layout import Attempted, Slot
from headrace.run.backfill import carry_out
from headrace.run.derived import Derived, derived_from
from headrace.run.execute import execute_step
from headrace.run.executor import Watcher
from headrace.run.forgotten import Entry, Record, noted, record_of
from headrace.run.holding import Holding, Wanted, holding, holding_in, rejected_in, versions_of
from headrace.run.intake import forgetting_of, mended_until
from headrace.run.lineage_events import nobody, told_lineage, watched
from headrace.run.memory import memory_changes
from headrace.run.mentions import Mentions, mentions
from headrace.run.observe import Request, make_plan
from headrace.run.recorded import made_by_record
from headrace.run.ruling import ruling_of
from headrace.run.session import Session
from headrace.run.work import Job, Worked, content_of
from headrace.steps.landing import Bronze, origin_marks
from headrace.steps.made import Made
from headrace.steps.sources import make_of_landed, source_inputs

__all__ = ["Forgot", "Outlook", "forget", "outlook"]

_WHY = "it held a key that is forgotten"


@dataclass(frozen=True)
class Outlook:
    """What forgetting a key is about: what holds it, what was made of that, and who was begun to be forgotten and not ended.

    `mentions` is where its value stands besides, if it was looked for; of what is made again, only in files of sources.
    """

    holding: Holding
    derived: Derived
    begun: Entry | None
    mentions: Mentions | None = None

    @property
    def is_nothing(self) -> bool:
        return not self.holding.holders and self.begun is None


@dataclass
class Forgot:
    """What was done. `left` says what still holds the key, or was made of what did, and why it could not be helped; `notes` what went wrong beside.

    `mentions` is where its value stands outside of its column and its records now, if it was looked for.
    """

    outlook: Outlook
    made: tuple[Slot, ...] = ()
    collected: tuple[Slot, ...] = ()
    size_bytes: int = 0
    reports: tuple[str, ...] = ()
    left: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    mentions: Mentions | None = None


def outlook(session: Session, wanted: Wanted, *, is_key_only: bool = False) -> Outlook:
    """Search for a key, and for its value as a word, unless it is looked for as a key only. Nothing is changed."""
    found = holding(session, wanted)
    record = record_of(session.lake, session.graph.name)
    entry = record.entry_of(wanted) if record else None
    begun = entry if entry is not None and entry.state == "begun" else None
    roots = {*found.slots, *(begun.found if begun else ())}
    derived = derived_from(session, roots)
    if is_key_only:
        return Outlook(found, derived, begun)
    return Outlook(found, derived, begun, mentions(session, wanted, holders=found.slots, without=frozenset(_to_be_gone(session, derived))))


def forget(session: Session, wanted: Wanted, *, watch: Watcher = lambda _decision, _receipt: None, is_key_only: bool = False) -> Forgot:
    """Take a key out of all that the session's pipeline has in its lake, and out of all that it will land.

    Killed anywhere, the same call goes on. What could not be done is in `left`; nothing is collected then that stands for it.
    """
    known = versions_of(session)
    seen = outlook(session, wanted, is_key_only=True)
    done = Forgot(seen, left=list(seen.holding.unsearched))
    if seen.is_nothing:
        done.mentions = None if is_key_only else mentions(session, wanted)
        return done
    entry = _begun(session, wanted, seen)
    _make_sources(session, wanted, entry, seen.derived, done)
    session = replace(session)  # which looks at the lake anew
    _make_others(session, derived_from(session, entry.found).of(session.graph.name), watch, done)
    session = replace(session)
    _clear_orphans(session, derived_from(session, entry.found).of(session.graph.name))
    doomed = derived_from(session, entry.found)
    done.made = tuple(_now_current(session, doomed.of(session.graph.name).slots))
    _tell_left(session, doomed, done)
    _tell_held(session, wanted, done)
    _collect(session, doomed.of(session.graph.name), done)
    _tell_late(replace(session), wanted, known, done)
    done.reports = tuple(_delete_reports(session, wanted))
    done.mentions = None if is_key_only else mentions(replace(session), wanted, holders=doomed.current, without=_gone(doomed))
    _ended(session, wanted, done)
    return done


# ---------------------------------------------------------------- writing down


def _begun(session: Session, wanted: Wanted, seen: Outlook) -> Entry:
    """The entry of a key, with all that was found of it, now or by a call that did not come to its end."""
    now, who = _now(session), session.who

    def change(record: Record) -> Record:
        known = record.entry_of(wanted)
        entry = known or Entry(forgotten_key(wanted, record.salt), now, who)
        before = entry.found if entry.state == "begun" else ()
        return record.with_entry(replace(entry, state="begun", found=tuple(dict.fromkeys([*before, *seen.holding.slots]))))

    entry = noted(session.lake, session.graph.name, change, who=session.who).entry_of(wanted)
    assert entry is not None
    return entry


def _ended(session: Session, wanted: Wanted, done: Forgot) -> None:
    now, is_whole = _now(session), not done.left

    def change(record: Record) -> Record:
        entry = record.entry_of(wanted)
        assert entry is not None
        made, collected = dict.fromkeys([*entry.made, *done.made]), dict.fromkeys([*entry.collected, *done.collected])
        entry = replace(entry, made=tuple(made), collected=tuple(collected), mentions=done.mentions.count if done.mentions else None)
        return record.with_entry(replace(entry, state="done", ended_at=now) if is_whole else entry)

    noted(session.lake, session.graph.name, change, who=session.who)


def _now(session: Session) -> str:
    return time_text(session.clock().replace(microsecond=0))


# ---------------------------------------------------------------- making again


def _make_sources(session: Session, wanted: Wanted, entry: Entry, derived: Derived, done: Forgot) -> None:
    """Make again what holds the key, each interval after those before it, since it remembers their keys, and what remembers others then."""
    graph = session.graph
    order = {name: number for number, name in enumerate(graph.steps)}
    pairs = {(slot.dataset, slot.interval) for slot in entry.found}
    pairs |= {(slot.dataset, slot.interval) for slot in derived.of(graph.name).current if _remembers(graph.steps.get(slot.dataset))}
    ordered = sorted(pairs, key=lambda pair: (order.get(pair[0], -1), *pair))
    sources = [
        Decision(name, graph.steps[name].kind, interval, "run", _WHY) for name, interval in ordered if _reads_files(graph.steps.get(name))
    ]
    with told_lineage(session, Plan(graph.name, tuple(sources))) as lineage:
        told = {decision.pair: decision for decision in sources}
        for dataset, interval in ordered:
            current = session.lake.log(graph.name, dataset).current(interval)
            if current is None or current.kind != "data":
                continue
            is_found, decision = _slot(current) in entry.found, told.get((dataset, interval))
            try:
                if decision:
                    _make_source(session, decision, current, is_found=is_found, watch=lineage.watch if lineage else nobody)
                elif is_found and dataset.endswith(".refused"):
                    _make_refused(session, dataset, interval, wanted)
            except HeadraceError as error:
                done.left.append(f"{current} could not be made again: {error}")
        if lineage:
            lineage.has_failed = bool(done.left)
    done.notes += lineage.notes if lineage else ()


def _make_source(session: Session, decision: Decision, current: Manifest, *, is_found: bool, watch: Watcher) -> None:
    step = session.graph.steps[decision.step]
    assert isinstance(step, Source)
    if not is_found and not memory_changes(session, step, decision.interval, current):
        return
    watched(watch, decision, lambda: execute_step(session, decision.step, decision.interval, worker=_WithoutForgotten(step)))


def _reads_files(step: Step | None) -> bool:
    return isinstance(step, Source) and not step.options.is_dataset


def _remembers(step: Step | None) -> bool:
    return isinstance(step, Source) and step.has_memory


class _WithoutForgotten:
    """The work of making an interval of a source of the bytes that it has, without what is forgotten, however many of the rest are bad."""

    def __init__(self, step: Source) -> None:
        self._step = step

    def __call__(self, job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
        session, step = job.session, self._step
        if current is None or current.kind != "data" or current.content.part("raw") is None:
            job.state = "cached"
            return None
        ruling = ruling_of(session, step, job.interval)
        landed, mended = Bronze(current, lambda files: session.lake.paths_of(current, files)), mended_until(session, step, current, None)

        def make(recorded: Contract | None) -> Made:
            return make_of_landed(
                replace(step, max_rejected=1.0),
                job.interval,
                attempt=attempt,
                format=session.format(step),
                landed=landed,
                mended=mended,
                ruled=ruling.by,
                recorded=recorded,
                forgetting=forgetting_of(session, step),
            )

        made = made_by_record(session, step, job.interval, attempt, make)
        inputs = {**source_inputs(made), **ruling.digests()}
        if step.options.only_new:
            inputs["taken"] = digest_of(sorted(origin_marks(made.origin).items()))
        return content_of(job, made, job.recipe.fingerprint(inputs), ruling.inputs)


def _make_refused(session: Session, dataset: str, interval: Interval, wanted: Wanted) -> None:
    """The quarantine of a run that was refused, without the records of the key; none at all where no other is left."""
    log = session.lake.log(session.graph.name, dataset)

    def work(attempt: Attempt, current: Manifest | None) -> tuple[Content, Mapping[str, JSON]] | None:
        if current is None or current.kind != "data":
            return None
        gone = [number + 1 for number in rejected_in(session, current, wanted)]
        part = current.content.part("quarantine")
        kept = (part.rows or 0) - len(gone) if part else 0
        if not kept:
            return Content("cleared", details={"why": _WHY, "who": session.who}), {}
        rows = cast(Any, session.engine.read(session.lake.read_paths(current, "quarantine"), "duckdb"))
        listed = ", ".join(map(str, gone)) or "0"
        path = attempt.file("quarantine", layer="quarantine")
        numbered = rows.select("*, row_number() OVER () AS n").filter(f"n NOT IN ({listed})").order("n")
        numbered.select("* EXCLUDE (n)").write_parquet(str(path), compression="zstd")
        made = attempt.part("quarantine", "quarantine", rows=kept)
        content = replace(current.content, parts=(made,), fingerprint=made.files[0].sha256)
        return content, {"after_version": current.receipt.get("after_version", 0), "forgotten": len(gone)}

    with session.lake.store.lease():
        log.commit(interval, work)


def _make_others(session: Session, derived: Derived, watch: Watcher, done: Forgot) -> None:
    """Run again what was made of the sources: these pairs of a step and an interval, each with the judging of a model, and no others."""
    graph = session.graph
    pairs = {(slot.dataset, slot.interval) for slot in derived.current if slot.dataset in graph.steps}
    pairs |= {(f"{name}.promotion", interval) for name, interval in pairs if isinstance(graph.steps[name], TrainedModel)}
    if not pairs:
        return
    request = Request(list(_runs_about(session, pairs)), frozenset(name for name, _ in pairs), is_backfill=True)
    plan = make_plan(session, request)
    plan = replace(plan, decisions=tuple(one for one in plan.decisions if one.action != "run" or one.pair in pairs))
    ran = carry_out(session, request, jobs=1, watch=watch, plan=plan)
    for (step, interval), error in ran.outcome.errors.items():
        done.left.append(f"`{step}` {interval.label} could not be made again: {error}")


def _runs_about(session: Session, pairs: set[Pair]) -> Iterator[Interval]:
    """Runs of the pipeline that are about these pairs, as few as there have to be: a step of weeks is made once a week."""
    graph, left = session.graph, set(pairs)
    longest = max(graph.steps[name].grid.nominal for name, _ in pairs) + graph.grid.nominal
    whole = Interval(min(interval.start for _, interval in pairs), max(interval.end for _, interval in pairs) + longest)
    for run in graph.grid.within(whole):
        own = {(name, interval) for name in {name for name, _ in left} for interval in graph.intervals_for(graph.steps[name], run)}
        if own & left:
            yield run
            left -= own


def _clear_orphans(session: Session, derived: Derived) -> None:
    """What no step makes any more, or only an experiment did, counts as not made: nobody can make it again without the key."""
    for slot in derived.current:
        if slot.dataset not in session.graph.steps:
            session.lake.log(slot.pipeline, slot.dataset).clear(slot.interval, why=_WHY, who=session.who)


# ---------------------------------------------------------------- collecting


def _collect(session: Session, derived: Derived, done: Forgot) -> None:
    """Delete the files of what is not current any more, and this machine's own copies of them."""
    lake = session.lake
    doomed = set(derived.slots) - set(derived.current)
    freed = collect(lake, plan_erasure(lake, session.graph.name, doomed))
    of = [Slot(*one.of[1:5]) for one in freed.leftovers if isinstance(one.of, Attempted)]
    done.collected = tuple(sorted(doomed.intersection(of)))
    done.size_bytes = freed.size_bytes
    files = [file for slot in sorted(doomed) for part in _manifest(session, slot).content.parts for file in part.files]
    lake.store.drop(sorted({file.sha256 for file in files}))


def _delete_reports(session: Session, wanted: Wanted) -> Iterator[str]:
    """Reports that say the value: the next run of their interval writes another."""
    store = session.lake.store
    for key in list(store.keys(f"reports/{session.graph.name}/")):
        text = store.get(key).decode("utf-8", "replace")
        if all(is_said_in(text, value) for value in wanted.values()):
            store.delete(key)
            yield key


def _tell_left(session: Session, derived: Derived, done: Forgot) -> None:
    for slot in derived.current:
        if slot.pipeline != session.graph.name:
            done.left.append(
                f"{_name(slot)} was made of what held the key, by another pipeline: run it again, and forget the key there too"
            )
        else:
            done.left.append(f"{_name(slot)} is current, and was made of what held the key")


def _tell_held(session: Session, wanted: Wanted, done: Forgot) -> None:
    """What was made again and holds the key all the same, since a file says it in a way that only reading it turns into the value."""
    found = holding_in(session, wanted, done.made)
    done.left += [
        f"{_name(one.slot)} holds the key in {one.count} of part `{one.part}`, which its files say in another way" for one in found.holders
    ]
    done.left += found.unsearched


def _tell_late(session: Session, wanted: Wanted, known: AbstractSet[Slot], done: Forgot) -> None:
    """What a run committed meanwhile that had asked who is forgotten before it was written down: the same command finds it.

    That is all of it: what still was to be committed then has been fenced, or hears of it (see `headrace.lake.premise`).
    """
    late = versions_of(session) - known - {*done.made}
    found = holding_in(session, wanted, sorted(late))
    done.left += [f"{_name(slot)} holds the key: a run that was at work meanwhile committed it" for slot in found.slots]
    done.left += found.unsearched


def _to_be_gone(session: Session, derived: Derived) -> Iterator[Slot]:
    """What is not there any more when the key is forgotten, and what is made again of what others read."""
    steps, current = session.graph.steps, set(derived.current)
    for slot in derived.slots:
        if slot not in current or not _reads_files(steps.get(slot.dataset.removesuffix(".refused"))):
            yield slot


def _gone(derived: Derived) -> frozenset[Slot]:
    return frozenset(derived.slots) - frozenset(derived.current)


def _now_current(session: Session, slots: Sequence[Slot]) -> Iterator[Slot]:
    for pipeline, dataset, interval in dict.fromkeys((slot.pipeline, slot.dataset, slot.interval) for slot in slots):
        current = session.lake.log(pipeline, dataset).current(interval)
        if current is not None and current.kind == "data" and _slot(current) not in slots:
            yield _slot(current)


def _manifest(session: Session, slot: Slot) -> Manifest:
    return session.lake.log(slot.pipeline, slot.dataset).manifest(slot.interval, slot.version)


def _slot(manifest: Manifest) -> Slot:
    return Slot(manifest.pipeline, manifest.dataset, manifest.interval, manifest.version)


def _name(slot: Slot) -> str:
    return f"{slot.pipeline}.{slot.dataset} {slot.interval.label} v{slot.version}"
