"""One step's work for one interval: what a worker is given, and what it hands back to be committed.

Equal work is adopted where it was done for the interval, copied where it was done for the one before, and else computed. The invariant: a
worker gives a content only with its files in the attempt, and None only where the current commit says the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from headrace import __version__
from headrace.core.fingerprint import Recipe
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest
from headrace.core.ports import JSON
from headrace.core.receipt import State
from headrace.core.step import Step
from headrace.lake.commit import Attempt
from headrace.lake.lake import VanishedError
from headrace.run.inputs import Gathered
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.steps.made import Made

__all__ = ["Job", "Worked", "Worker", "content_of", "copied", "unless_equal"]

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


Worker = Callable[[Job, Attempt, Manifest | None], Worked | None]


def unless_equal(
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
                return copied(job, attempt, before, f"equal work was done for {before.interval.label}", inputs)
            except VanishedError:
                attempt.discard()
    made = make(fingerprint)
    worked = content_of(job, made, fingerprint, inputs)
    if job.is_forced and current is not None and current.kind == "data" and current.content.digest == worked[0].digest:
        job.state, job.why = "cached", f"forced, and equal to version {current.version}"
        return None
    return worked


def copied(job: Job, attempt: Attempt, before: Manifest, why: str, inputs: Gathered | None = None) -> Worked:
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
