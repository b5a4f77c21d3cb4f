"""Judging a trained model in a run: what the registry is handed, and what it decided, as a receipt.

The invariant: an experiment never touches the chain.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from headrace.core.errors import NotReadyError
from headrace.core.interval import Interval
from headrace.core.manifest import Manifest
from headrace.core.receipt import Receipt
from headrace.core.split import SIDES
from headrace.core.step import Promotion, TrainedModel
from headrace.lake.chain import Decision
from headrace.run.inputs import row_paths
from headrace.run.session import Session
from headrace.steps.registry import Challenge, is_outdated, promote

__all__ = ["challenge_of", "judge_promotion", "promotion_receipt"]


def judge_promotion(session: Session, step: Promotion, interval: Interval) -> Receipt:
    """Decide whether the model of an interval becomes the champion. A failed gate is a verdict, not an error."""
    started = time.perf_counter()
    if step.name in session.experiment:
        return Receipt(step.name, step.kind, interval, "skipped", "an experiment's model is not judged; with --keep it is")
    challenge = challenge_of(session, step.model, interval)
    known = session.decisions.about(step.model, interval, challenge.manifest.content.digest)
    if known is not None and not is_outdated(known, challenge.step):
        return promotion_receipt(session, step, interval, known)
    decision = promote(session.lake, challenge, session.models, who=session.who or "run")
    return replace(promotion_receipt(session, step, interval, decision), state="made", seconds=time.perf_counter() - started)


def promotion_receipt(session: Session, step: Promotion, interval: Interval, decision: Decision | None) -> Receipt:
    """What a decision says, as a receipt of state `cached`."""
    if decision is None:
        return Receipt(step.name, step.kind, interval, "cached")
    location = None if decision.champion is None else f"{session.lake.uri}/{decision.champion}"
    verdict = {**decision.verdict, "decision": decision.kind, "why": decision.why, "number": decision.number}
    why = f"{'promoted' if decision.kind == 'promote' else 'not promoted'}: {decision.why}"
    return Receipt(step.name, step.kind, interval, "cached", why, decision.number, verdict=verdict, location=location)


def challenge_of(session: Session, model: str, interval: Interval) -> Challenge:
    """A trained model with the rows that it was measured on."""
    step = session.graph.step(model)
    assert isinstance(step, TrainedModel)
    manifest = session.catalog.current(session.dataset(model), interval)
    if manifest is None:
        raise NotReadyError(f"model `{model}` is not trained for {interval.label}. Train it: headrace run FILE --at {interval.label}")
    return Challenge(step, manifest, sides_of(session, step, manifest))


def sides_of(session: Session, step: TrainedModel, manifest: Manifest) -> dict[str, list[Path]]:
    """The files of each side of the table that a model was trained on, in the versions that it read."""
    data = session.log(step.data)
    found: dict[str, list[Path]] = {}
    for ref in manifest.content.inputs:
        for interval, version in ref.versions_of().items():
            made = data.manifest(interval, version)
            for part in made.content.parts:
                if part.name in SIDES:
                    found.setdefault(part.name, []).extend(row_paths(session, made, (part.name,)))
    return found
