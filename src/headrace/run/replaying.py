"""Replaying: mended records put into the interval that they came from, as a new version of the source's commit.

The version is made of bytes alone: the raw files as they landed, and the mended file beside them. So it can be made again whenever the
declaration changes, and the origin is asked for nothing but where the source was refused and has no commit yet. The invariant: a replay is
one commit like any other: all of it or none, and the same one twice is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from headrace.core.contract import Contract
from headrace.core.errors import ConfigurationError, SourceError, TooManyRejectedError
from headrace.core.manifest import Manifest, digest_of, time_text
from headrace.core.mending import Mend
from headrace.core.plan import Decision, Plan
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.core.step import Source
from headrace.lake.commit import Attempt
from headrace.run.execute import execute_step
from headrace.run.intake import forgetting_of, mended_until, past_of
from headrace.run.lineage_events import nobody, told_lineage, watched
from headrace.run.mending import Origins, digests_in, mended_with, origins_of
from headrace.run.quarantined import source_called
from headrace.run.recorded import made_by_record
from headrace.run.ruling import Ruling, ruling_of
from headrace.run.session import Session
from headrace.run.work import Job, Worked, content_of
from headrace.steps.landing import Bronze, origin_marks
from headrace.steps.made import Made
from headrace.steps.mending import Mended, MendedFile
from headrace.steps.sources import make_of_landed, make_of_new, make_source, source_inputs

__all__ = ["replay"]


def replay(session: Session, source: str, path: Path) -> Receipt:
    """Put a mended file's records into the interval of those that were exported, as a new version of the source.

    Kept is what was kept, and what was mended well; in quarantine is what was left as it was, and what is still bad. `cached` is the
    receipt where the same file was replayed before. Raises ConfigurationError where the file is not one of this source, SourceError where
    the raw files are not those that it mends, TooManyRejectedError where more than `max_rejected` are still bad: nothing is committed then.
    """
    step = source_called(session, source)
    origins = origins_of(path)
    if origins.source != f"{session.graph.name}.{source}":
        raise ConfigurationError(f"`{path}` has records of {origins.source}, and this is {session.graph.name}.{source}.")
    decision = Decision(source, step.kind, origins.interval, "run", "records were mended")
    with told_lineage(session, Plan(session.graph.name, (decision,))) as lineage:
        work = _Replay(session, step, path, origins)
        receipt = watched(lineage.watch if lineage else nobody, decision, lambda: _made(session, decision, work))
        if lineage:
            lineage.has_failed = False
    return replace(receipt, notes=(*receipt.notes, *(lineage.notes if lineage else ())))


def _made(session: Session, decision: Decision, work: _Replay) -> Receipt:
    try:
        return execute_step(session, decision.step, decision.interval, worker=work)
    except TooManyRejectedError as error:
        said = str(error).partition("\nNothing was committed as data")[0]
        error.args = (f"{said}\nNothing was committed. Mend more of them in `{work.path}` and replay it again, or raise max_rejected.",)
        raise


class _Replay:
    """The work of one replay: what a source's own worker is, but for the bytes that it starts from."""

    def __init__(self, session: Session, step: Source, path: Path, origins: Origins) -> None:
        self._session, self._step, self.path, self._origins = session, step, path, origins

    def __call__(self, job: Job, attempt: Attempt, current: Manifest | None) -> Worked | None:
        session, step = self._session, self._step
        ruling = ruling_of(session, step, job.interval)
        before = None if step.options.is_by_interval else session.catalog.previous(step.name, job.interval)
        mended = mended_until(session, step, current, before)
        if current is not None and current.kind == "data" and self._is_of(current):
            own = self._own([file.mend for file in mended.files], digests_in(current, "files"))
            if any((one.mend.sha256, one.mend.links) == (own.mend.sha256, own.mend.links) for one in mended.files):
                job.state, job.why = "cached", "it was replayed before"
                return None
            bronze = Bronze(current, lambda files: session.lake.paths_of(current, files))
            reader, together = session.format(step), self._with(mended, own)

            def make(recorded: Contract | None) -> Made:
                return make_of_landed(
                    step,
                    job.interval,
                    attempt=attempt,
                    format=reader,
                    landed=bronze,
                    mended=together,
                    ruled=ruling.by,
                    recorded=recorded,
                    forgetting=forgetting_of(session, step),
                )
        elif self._origins.is_refused:
            known = [file.mend for file in mended.files]
            own = self._own(known, {name: digest for one in known for name, digest in one.files.items()} | dict(self._origins.files))
            together = self._with(mended, own)

            def make(recorded: Contract | None) -> Made:
                return self._of_refused(job, attempt, together, ruling, recorded)
        else:
            raise SourceError(
                f"`{self.path}` mends records of {self._origins.dataset} version {self._origins.version}, whose raw files are not those of the "
                f"interval any more. Export them again: headrace quarantine FILE {step.name} --at {job.interval.label} --export …"
            )
        made = made_by_record(session, step, job.interval, attempt, make)
        made = replace(made, details={**made.details, "replayed_from": self._origins.as_json()})
        inputs = {**source_inputs(made), **ruling.digests()}
        if step.options.only_new:
            inputs["taken"] = digest_of(sorted(origin_marks(made.origin).items()))
        worked = content_of(job, made, job.recipe.fingerprint(inputs), ruling.inputs)
        changed = sum(1 for _ in own.mend.places)
        job.why = f"{changed} mended record{'s' if changed != 1 else ''} of {len(self._origins.records)} put in their places"
        return worked

    def _is_of(self, current: Manifest) -> bool:
        """Whether a commit has the raw files whose records went out."""
        there = set(digests_in(current).items())
        return all(file in there for file in self._origins.files.items())

    def _own(self, known: list[Mend], files: Mapping[str, str]) -> MendedFile:
        own = mended_with(self._session, self._step, self.path, self._origins, known=known, files=files)
        if not any(True for _ in own.mend.places):
            raise ConfigurationError(f"No record of `{self.path}` is another than the one that was exported: mend it first.")
        return own

    def _with(self, mended: Mended, own: MendedFile) -> Mended:
        now: dict[str, JSON] = {
            "name": own.mend.name,
            "file": self.path.name,
            "sha256": own.mend.sha256,
            "records": len(own.mend.links),
            "mended": sum(1 for _ in own.mend.places),
            "replayed_from": self._origins.as_json(),
            "who": self._session.who,
            "at": time_text(self._session.clock()),
        }
        return Mended([*mended.files, own], [*mended.told, now])

    def _of_refused(self, job: Job, attempt: Attempt, mended: Mended, ruling: Ruling, recorded: Contract | None) -> Made:
        """What a run would have made that was not refused: of the origin's files, read again, which have to be those of then."""
        session, step = self._session, self._step
        origin, reader, now = session.origin(step), session.format(step), session.clock()
        ruled, forgetting = ruling.by, forgetting_of(session, step)
        if step.options.only_new:
            past = past_of(session, step, job.interval)
            return make_of_new(
                step,
                job.interval,
                attempt=attempt,
                origin=origin,
                format=reader,
                now=now,
                past=past,
                mended=mended,
                ruled=ruled,
                forgetting=forgetting,
            )
        location = session.location(step)
        return make_source(
            step,
            job.interval,
            attempt=attempt,
            origin=origin,
            format=reader,
            location=location,
            now=now,
            mended=mended,
            ruled=ruled,
            recorded=recorded,
            forgetting=forgetting,
        )
