"""Carrying out one step for one interval: the same call from the command line, a notebook, a test or a task of an orchestrator.

It follows the lake's protocol: the attempt's number is fixed first, then the inputs are looked at, then equal work is adopted or
copied, and only then is anything computed. The invariant: what is returned was committed, or was there already.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from headrace import __version__
from headrace.core.errors import TooManyRejectedError
from headrace.core.fingerprint import Recipe, seed_of
from headrace.core.interval import Interval
from headrace.core.location import resolve
from headrace.core.manifest import Content, Manifest, digest_of
from headrace.core.ports import JSON, FittedModel
from headrace.core.receipt import Receipt, State
from headrace.core.split import ROW_PARTS, SIDES, Split
from headrace.core.step import Predictions, Promotion, Source, Step, Table, TrainedModel
from headrace.lake.chain import Decision
from headrace.lake.commit import Attempt
from headrace.lake.lake import VanishedError
from headrace.run.inputs import Gathered, gather, row_paths
from headrace.run.intake import mended_until, past_of
from headrace.run.promotion import judge_promotion
from headrace.run.publishing import publish
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.run.upstream import gather_upstream
from headrace.steps.champions import open_champion
from headrace.steps.datasets import take_rows
from headrace.steps.intake import intake_in_words
from headrace.steps.landing import Bronze, is_known_to_be, marks_of, news_in_words, origin_marks
from headrace.steps.made import Made
from headrace.steps.models import make_model
from headrace.steps.predictions import make_predictions
from headrace.steps.sources import commit_refused, make_of_new, make_source, raw_digest
from headrace.steps.tables import make_table

__all__ = ["Job", "Worked", "Worker", "content_of", "execute_step", "receipt_of"]

Worked = tuple[Content, Mapping[str, JSON]]


@dataclass
class Job:
    """One step of one interval, and what happened to it so far."""

    session: Session
    step: Step
    interval: Interval
    recipe: Recipe
    is_forced: bool
    state: State = "made"
    why: str = ""
    made: Made | None = None
    nonce: str = ""
    base: int = 0
    notes: tuple[str, ...] = ()


def execute_step(session: Session, step_name: str, interval: Interval, *, is_forced: bool = False, worker: Worker | None = None) -> Receipt:
    """Make a step's output for an interval exist, unless it does: computed, copied from the interval before, or adopted.

    Raises what the step raises: headrace's own errors, or StepError around the user's. Nothing is committed then, but for the
    quarantine of a source that was refused (dataset `<source>.refused`). What is published is copied after the commit, also of one
    that stood already; when that fails, the commit stands and the error says so. A `worker` makes it in another way than the step's own;
    when that is refused, what was refused before stays as it is.
    """
    started = time.perf_counter()
    step = session.graph.step(step_name)
    if isinstance(step, Promotion):
        return judge_promotion(session, step, interval)
    job = Job(session, step, interval, session.recipe(step, interval), is_forced)
    if isinstance(step, Predictions) and session.decisions.champion_as_of(step.model, interval.end) is None:
        why = f"no model of `{step.model}` was promoted for {interval.label}"
        return Receipt(step.name, step.kind, interval, "skipped", why)
    work = worker or _WORKERS[type(step)]
    log = session.log(step.name)
    try:
        with session.lake.store.lease():
            manifest = log.commit(interval, lambda attempt, current: _worked(work, job, attempt, current))
    except TooManyRejectedError as error:
        if worker is None:
            commit_refused(session.lake.log(session.graph.name, f"{session.dataset(step.name)}.refused"), interval, error, after=job.base)
        raise
    if job.state != "cached" and manifest.nonce != job.nonce:
        job.state, job.why, job.notes = "cached", "another run made it meanwhile", ()
    session.catalog.note(session.dataset(step.name), manifest)
    published = publish(session, step, manifest)
    if published is not None:
        job.why, job.notes = (published if job.state == "cached" else job.why), (*job.notes, published)
    seconds = time.perf_counter() - started
    return replace(receipt_of(session, step, manifest), state=job.state, why=job.why, seconds=seconds, notes=job.notes)


def receipt_of(session: Session, step: Step, manifest: Manifest) -> Receipt:
    """What a commit says, as a receipt of state `cached`."""
    content = manifest.content
    counts = content.details.get("counts")
    known = counts if isinstance(counts, Mapping) else {}
    files = [file for part in content.parts for file in part.files]
    first = next((file.folder for part in content.parts if part.name in (*ROW_PARTS, "model") for file in part.files), None)
    return Receipt(
        step=step.name,
        kind=step.kind,
        interval=manifest.interval,
        state="cached",
        version=manifest.version,
        rows_read=_count(known, "read"),
        rows_kept=_count(known, "kept"),
        rows_quarantined=_count(known, "quarantined"),
        size_bytes=sum(file.bytes for file in files),
        metrics=dict(content.metrics),
        location=None if first is None else f"{session.lake.uri}/{first}",
    )


# ---------------------------------------------------------------- one worker a kind: an attempt and the current manifest in, a content out


def _worked(worker: Worker, job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
    job.nonce, job.base = attempt.nonce, attempt.base
    return worker(job, attempt, current)


def _source(job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session, step = job.session, job.step
    assert isinstance(step, Source)
    if step.options.is_dataset:
        return _dataset(job, step, attempt, current)
    if step.options.only_new:
        return _only_new(job, step, attempt, current)
    location = session.location(step)
    origin = session.origin(step)
    before = session.catalog.previous(session.dataset(step.name), job.interval)
    is_alike = before is not None and before.content.fingerprint_parts.get("declaration") == job.recipe.declaration
    if before is not None and is_alike and current is None and not job.is_forced:
        now = origin.find(resolve(location, job.interval))
        if now and is_known_to_be(now, marks_of(before)):
            return _copied(job, attempt, before, "its files are those of the interval before")
    made = make_source(
        step,
        job.interval,
        attempt=attempt,
        origin=origin,
        format=session.format(step),
        location=location,
        now=session.clock(),
        landed=_landed(job, current),
        known=None if step.name in session.experiment else _known(job, current, before),
        mended=mended_until(session, step, current, before),
    )
    fingerprint = job.recipe.fingerprint({"files": raw_digest(made)})
    worked = content_of(job, made, fingerprint, None)
    if "read_again_from_version" in made.origin:
        job.why = "its declaration changed; read again from the bytes in the lake"
    if current is not None and current.kind == "data" and current.content.fingerprint == fingerprint:
        if origin_marks(made.origin) == marks_of(current):
            job.state, job.why = "cached", "the files hold the same bytes"
            return None
        job.why = "its files were written again, with the same bytes"
    job.why = job.why or news_in_words(made.origin)
    return worked


def _only_new(job: Job, step: Source, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session = job.session
    past = past_of(session, step, job.interval)
    made = make_of_new(
        step, job.interval, attempt=attempt, origin=session.origin(step), format=session.format(step), now=session.clock(), past=past
    )
    taken = digest_of(sorted(origin_marks(made.origin).items()))
    fingerprint = job.recipe.fingerprint({"files": raw_digest(made), "taken": taken})
    worked = content_of(job, made, fingerprint, None)
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
    return _unless_equal(job, attempt, current, Gathered({"rows": upstream.ref}, {}, {}), make, fingerprint=fingerprint)


def _landed(job: Job, current: Manifest | None) -> Bronze | None:
    """What landed for the interval, where its source was declared in another way since: the bytes need not be fetched again."""
    found = _known(job, current, None)
    if found is None or found.manifest.content.fingerprint_parts.get("declaration") == job.recipe.declaration:
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


def _table(job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session, step = job.session, job.step
    assert isinstance(step, Table)
    inputs = gather(session, step, job.interval)

    def make(_: str) -> Made:
        return make_table(
            step,
            job.interval,
            attempt=attempt,
            engine=session.engine,
            inputs=inputs.files,
            settings=session.settings(step),
            work=session.work,
        )

    return _unless_equal(job, attempt, current, inputs, make)


def _model(job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session, step = job.session, job.step
    assert isinstance(step, TrainedModel)
    inputs = gather(session, step, job.interval)
    (data,) = inputs.manifests.values()

    def make(fingerprint: str) -> Made:
        sides = {part.name: row_paths(session, m, (part.name,)) for m in data for part in m.content.parts if part.name in SIDES}
        return make_model(
            step,
            job.interval,
            attempt=attempt,
            backend=session.models,
            engine=session.engine,
            inputs=inputs.files,
            sides=sides,
            settings=session.settings(step),
            seed=seed_of(step.name, fingerprint),
            work=session.work,
            split=split_of(session, step),
        )

    return _unless_equal(job, attempt, current, inputs, make)


def _predictions(job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
    session, step = job.session, job.step
    assert isinstance(step, Predictions)
    decision = session.decisions.champion_as_of(step.model, job.interval.end)
    assert decision is not None
    model_step = session.graph.step(step.model)
    assert isinstance(model_step, TrainedModel)
    session.decisions.chain(step.model).confirm(decision)
    inputs = gather(session, step, job.interval, without=("model",))
    recipe = replace(
        job.recipe, declaration={**job.recipe.declaration, "champion": decision.digest, "relabel": decision.verdict.get("relabel")}
    )

    def make(_: str) -> Made:
        model = session.opened(decision.digest, lambda: _champion(session, model_step, decision))
        (files,) = inputs.files.values()
        paths = [path for _, found in files.files for path in found]
        return make_predictions(
            step, job.interval, attempt=attempt, backend=session.models, model=model, decision=decision, files=paths, columns=step.columns
        )

    worked = _unless_equal(job, attempt, current, inputs, make, fingerprint=recipe.fingerprint(inputs.digests()))
    if worked is None:
        return None
    content, receipt = worked
    return replace(content, fingerprint_parts={**content.fingerprint_parts, "champion": decision.digest}), receipt


Worker = Callable[[Job, Attempt, Manifest | None], Worked | None]
_WORKERS: Mapping[type[Step], Worker] = {
    Source: _source,
    Table: _table,
    TrainedModel: _model,
    Predictions: _predictions,
}


def _champion(session: Session, step: TrainedModel, decision: Decision) -> FittedModel:
    return open_champion(
        session.lake, session.graph.name, step.name, decision, session.models, trust=step.trust, is_pickle_allowed=step.is_pickle_allowed
    )


def split_of(session: Session, step: TrainedModel) -> Split | None:
    """The split of the table that a model is trained on, its key filled in."""
    data = session.graph.step(step.data)
    if not isinstance(data, Table) or data.split is None:
        return None
    return replace(data.split, key=data.split.key or data.key) if data.split.kind == "key" else data.split


# ---------------------------------------------------------------- adopt, copy or compute


def _unless_equal(
    job: Job, attempt: Attempt, current: Manifest | None, inputs: Gathered, make: Callable[[str], Made], *, fingerprint: str | None = None
) -> Worked | None:
    fingerprint = fingerprint or job.recipe.fingerprint(inputs.digests())
    if not job.is_forced:
        if current is not None and current.kind == "data" and current.content.fingerprint == fingerprint:
            job.state, job.why = "cached", "its inputs have equal contents"
            return None
        before = job.session.catalog.previous(job.session.dataset(job.step.name), job.interval)
        if before is not None and before.content.fingerprint == fingerprint:
            try:
                return _copied(job, attempt, before, f"equal work was done for {before.interval.label}", inputs)
            except VanishedError:
                attempt.discard()
    made = make(fingerprint)
    worked = content_of(job, made, fingerprint, inputs)
    if job.is_forced and current is not None and current.kind == "data" and current.content.digest == worked[0].digest:
        job.state, job.why = "cached", f"forced, and equal to version {current.version}"
        return None
    return worked


def _copied(job: Job, attempt: Attempt, before: Manifest, why: str, inputs: Gathered | None = None) -> Worked:
    """The commit of an earlier interval again, its files copied and nothing computed."""
    job.state, job.why = "copied", why
    for part in before.content.parts:
        for file in part.files:
            attempt.copy(file, part.name, layer=part.layer)
    parts = tuple(attempt.part(part.name, part.layer, rows=part.rows) for part in before.content.parts)
    refs = tuple(inputs.refs.values()) if inputs else ()
    origin = before.receipt.get("origin")
    taken = {**origin, "taken_at": job.session.clock().isoformat()} if isinstance(origin, Mapping) else None
    return replace(before.content, parts=parts, inputs=refs), _receipt(taken, copied_from=before.interval.label)


def content_of(job: Job, made: Made, fingerprint: str, inputs: Gathered | None) -> Worked:
    code = job.session.code(job.step)
    unseen = tuple(f"changes can't be seen in {what}" for what in code.opaque) if code else ()
    job.state, job.made, job.notes = "made", made, (*made.notes, *made.remarks, *unseen)
    counts = {"read": made.rows_read, "kept": made.rows_kept, "quarantined": made.rows_quarantined}
    details: dict[str, JSON] = {**made.details, "counts": counts}
    if made.notes:
        details["notes"] = [redacted(note) for note in made.notes]
    content = Content(
        kind="data",
        step_kind=job.step.kind,
        parts=made.parts,
        schema=made.schema,
        fingerprint=fingerprint,
        fingerprint_parts=job.recipe.parts(),
        inputs=tuple(inputs.refs.values()) if inputs else (),
        metrics=made.metrics,
        details=details,
    )
    return content, _receipt(made.origin or None)


def _receipt(origin: Mapping[str, JSON] | None, *, copied_from: str | None = None) -> dict[str, JSON]:
    told: dict[str, JSON] = {
        "headrace": __version__,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
    }
    if origin is not None:
        told["origin"] = dict(origin)
    if copied_from is not None:
        told["copied_from"] = copied_from
    return told


def _count(counts: Mapping[str, JSON], name: str) -> int:
    value = counts.get(name, 0)
    return value if isinstance(value, int) else 0
