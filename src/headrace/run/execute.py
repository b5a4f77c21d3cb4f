"""Carrying out one step for one interval: the same call from the command line, a notebook, a test or a task of an orchestrator.

It follows the lake's protocol: the attempt's number is fixed first, then the inputs are looked at, then equal work is adopted or
copied, and only then is anything computed. The invariant: what is returned was committed, or was there already.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from headrace.core.errors import TooManyRejectedError
from headrace.core.fingerprint import seed_of
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.core.ports import JSON, FittedModel
from headrace.core.receipt import Receipt
from headrace.core.split import ROW_PARTS, SIDES, Split
from headrace.core.step import Predictions, Promotion, Source, Step, Table, TrainedModel
from headrace.lake.chain import Decision
from headrace.lake.commit import Attempt
from headrace.run.collecting import collect
from headrace.run.inputs import gather, row_paths
from headrace.run.promotion import judge_promotion
from headrace.run.publishing import publish
from headrace.run.session import Session
from headrace.run.work import Job, Worked, Worker, unless_equal
from headrace.steps.champions import open_champion
from headrace.steps.made import Made
from headrace.steps.models import make_model
from headrace.steps.predictions import make_predictions
from headrace.steps.sources import commit_refused
from headrace.steps.tables import make_table

__all__ = ["execute_step", "receipt_of"]


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
        with session.lake.store.lease():
            return judge_promotion(session, step, interval)
    job = Job(session, step, interval, session.recipe(step, interval), is_forced)
    if isinstance(step, Predictions) and session.decisions.champion_as_of(step.model, interval.end) is None:
        why = f"no model of `{step.model}` was promoted for {interval.label}"
        return Receipt(step.name, step.kind, interval, "skipped", why)
    work = worker or _WORKERS[type(step)]
    log, given = session.log(step.name), session.premise.known()
    try:
        with session.lake.store.lease():
            manifest = log.commit(interval, lambda attempt, current: _worked(work, job, attempt, current), premise=session.premise)
    except TooManyRejectedError as error:
        if worker is None:
            aside = session.lake.log(session.graph.name, f"{session.dataset(step.name)}.refused")
            commit_refused(aside, interval, error, after=job.base, premise=session.premise.given(given))
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

    return unless_equal(job, attempt, current, inputs, make)


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

    return unless_equal(job, attempt, current, inputs, make)


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

    worked = unless_equal(job, attempt, current, inputs, make, fingerprint=recipe.fingerprint(inputs.digests()))
    if worked is None:
        return None
    content, receipt = worked
    return replace(content, fingerprint_parts={**content.fingerprint_parts, "champion": decision.digest}), receipt


_WORKERS: Mapping[type[Step], Worker] = {
    Source: collect,
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


def _count(counts: Mapping[str, JSON], name: str) -> int:
    value = counts.get(name, 0)
    return value if isinstance(value, int) else 0
