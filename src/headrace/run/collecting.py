"""Collecting: the work of a source for one interval, from files as they are at their origin or from another pipeline's dataset.

The invariant: what is in the lake of the same bytes is taken from there, and a commit stands where nothing of it is another.
"""

from __future__ import annotations

from headrace.core.contract import Contract
from headrace.core.location import resolve
from headrace.core.manifest import Manifest, digest_of
from headrace.core.step import Source
from headrace.lake.commit import Attempt
from headrace.lake.lake import VanishedError
from headrace.run.inputs import Gathered
from headrace.run.intake import forgetting_of, mended_until, past_of
from headrace.run.recorded import is_read_otherwise, made_by_record, record_of
from headrace.run.ruling import Ruling, ruling_of
from headrace.run.upstream import gather_upstream
from headrace.run.work import Job, Worked, content_of, copied, unless_equal
from headrace.steps.datasets import take_rows
from headrace.steps.intake import intake_in_words
from headrace.steps.landing import Bronze, is_known_to_be, marks_of, news_in_words, origin_marks
from headrace.steps.made import Made
from headrace.steps.sources import make_of_new, make_source, source_inputs

__all__ = ["collect"]


def collect(job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session, step = job.session, job.step
    assert isinstance(step, Source)
    if step.options.is_dataset:
        return _dataset(job, step, attempt, current)
    if step.options.only_new:
        return _only_new(job, step, attempt, current)
    ruling = ruling_of(session, step, job.interval)
    before = session.catalog.previous(session.dataset(step.name), job.interval)
    is_alike = before is not None and not step.has_memory and _is_read_alike(job, step, before) and ruling.is_of(before)
    if before is not None and is_alike and current is None and not job.is_forced:
        now = session.origin(step).find(resolve(session.location(step), job.interval))
        if now and is_known_to_be(now, marks_of(before)):
            return copied(job, attempt, before, "its files are those of the interval before", ruling.inputs)
    made = made_by_record(session, step, job.interval, attempt, lambda recorded: _read(job, attempt, current, before, ruling, recorded))
    fingerprint = job.recipe.fingerprint({**source_inputs(made), **ruling.digests()})
    worked = content_of(job, made, fingerprint, ruling.inputs)
    if "read_again_from_version" in made.origin:
        is_declared_alike = current is None or current.content.fingerprint_parts.get("declaration") == job.recipe.declaration
        what = "its declaration" if not is_declared_alike else "its accepted columns" if ruling.is_of(current) else "what it refers to"
        job.why = f"{what} changed; read again from the bytes in the lake"
    if current is not None and current.kind == "data" and current.content.fingerprint == fingerprint:
        if origin_marks(made.origin) == marks_of(current):
            job.state, job.why = "cached", "the files hold the same bytes"
            return None
        job.why = "its files were written again, with the same bytes"
    job.why = job.why or news_in_words(made.origin)
    return worked


def _read(job: Job, attempt: Attempt, current: Manifest | None, before: Manifest | None, ruling: Ruling, recorded: Contract | None) -> Made:
    session, step = job.session, job.step
    assert isinstance(step, Source)
    return make_source(
        step,
        job.interval,
        attempt=attempt,
        origin=session.origin(step),
        format=session.format(step),
        location=session.location(step),
        now=session.clock(),
        landed=_landed(job, current, ruling),
        known=None if step.name in session.experiment else _known(job, current, before),
        mended=mended_until(session, step, current, before),
        ruled=ruling.by,
        recorded=recorded,
        forgetting=forgetting_of(session, step),
    )


def _is_read_alike(job: Job, step: Source, before: Manifest) -> bool:
    """Whether the interval before was read as this one would be."""
    if before.content.fingerprint_parts.get("declaration") != job.recipe.declaration:
        return False
    record = record_of(job.session, step, job.interval)
    return record is None or before.content.columns == record.contract.schema


def _only_new(job: Job, step: Source, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session = job.session
    ruling = ruling_of(session, step, job.interval)
    past = past_of(session, step, job.interval)
    made = make_of_new(
        step,
        job.interval,
        attempt=attempt,
        origin=session.origin(step),
        format=session.format(step),
        now=session.clock(),
        past=past,
        ruled=ruling.by,
        forgetting=forgetting_of(session, step),
    )
    taken = digest_of(sorted(origin_marks(made.origin).items()))
    fingerprint = job.recipe.fingerprint({**source_inputs(made), "taken": taken, **ruling.digests()})
    worked = content_of(job, made, fingerprint, ruling.inputs)
    job.why = intake_in_words(made.origin) if past.own is None else "read again from the bytes in the lake"
    if current is not None and current.kind == "data" and current.content.fingerprint == fingerprint:
        job.state, job.why = "cached", "the files hold the same bytes"
        return None
    return worked


def _dataset(job: Job, step: Source, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session = job.session
    upstream = gather_upstream(session, step, job.interval)

    def make(_: str) -> Made:
        return take_rows(
            step,
            job.interval,
            attempt=attempt,
            upstream=upstream,
            paths=session.lake.read_paths,
            engine=lambda: session.engine.session(work=session.work),
        )

    fingerprint = job.recipe.fingerprint({"rows": upstream.digest})
    return unless_equal(job, attempt, current, Gathered({"rows": upstream.ref}, {}, {}), make, fingerprint=fingerprint)


def _landed(job: Job, current: Manifest | None, ruling: Ruling) -> Bronze | None:
    """What landed for the interval, where its source is declared or read in another way since, or refers to other rows: the bytes need not be fetched again."""
    found = _known(job, current, None)
    if found is None:
        return None
    assert isinstance(job.step, Source)
    is_declared_alike = found.manifest.content.fingerprint_parts.get("declaration") == job.recipe.declaration
    if (
        is_declared_alike
        and ruling.is_of(found.manifest)
        and not is_read_otherwise(record_of(job.session, job.step, job.interval), found.manifest)
    ):
        return None
    try:
        found.paths(list(found.entries().values()))
    except VanishedError:
        return None
    return found


def _known(job: Job, current: Manifest | None, before: Manifest | None) -> Bronze | None:
    """What is in the lake of the files of this interval, or of a snapshot's before it; to be asked of their origin anew where it is forced."""
    assert isinstance(job.step, Source)
    newest = current if current is not None and current.kind == "data" else None if job.step.options.is_by_interval else before
    if job.is_forced or newest is None or newest.content.part("raw") is None:
        return None
    lake = job.session.lake
    return Bronze(newest, lambda files: lake.paths_of(newest, files))
