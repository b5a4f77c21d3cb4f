"""After the results are shown: the report is written, and the tracker's queue is filled.

Neither is on the run's critical path, and neither can fail it. The invariant: a run that changed nothing writes nothing here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headrace.core.errors import HeadraceError
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.run.backfill import Ran
from headrace.run.redaction import redacted, without_secrets
from headrace.run.session import Session
from headrace.run.tracking import queue_notes

__all__ = ["Story", "report_key", "tell_story"]


@dataclass
class Story:
    """What was left for people: where the report lies, what was queued for the tracker, and what could not be done."""

    report: str | None = None
    queued: int = 0
    lines: list[str] = field(default_factory=list[str])

    def as_json(self) -> dict[str, JSON]:
        return {"report": self.report, "queued_for_tracking": self.queued}


def tell_story(session: Session, ran: Ran, runs: Sequence[Interval], *, started: float, has_report: bool) -> Story:
    """Write the report of a run and queue its models for the tracker."""
    story = Story(lines=list(ran.notes))
    news = [r for r in ran.receipts if r.state in ("made", "copied", "failed")]
    if news:
        _track(session, ran.receipts, story)
    if not has_report or not runs:
        return story
    key = report_key(session, runs)
    if not news:
        existing = _existing(session, key)
        if existing:
            story.report = existing
            story.lines.append(f"report  {existing}")
        return story
    try:
        story.report = _write_report(session, ran.receipts, runs, key, started)
        story.lines.append(f"report  {story.report}")
    except (HeadraceError, OSError) as error:
        story.lines.append(f"the report could not be written: {redacted(str(error))}")
    return story


def report_key(session: Session, runs: Sequence[Interval]) -> str:
    """Where the report of a run lies in the lake: one for an interval, or for a range of them. Written again by each run that changed something."""
    first, last = runs[0], runs[-1]
    name = f"{first.start:%Y/%m/%d/%H/%M}-{first.minutes}m" + (f"-to-{last.start:%Y%m%dT%H%M}" if last != first else "")
    experiment = ".experiment" if session.experiment else ""
    return f"reports/{session.graph.name}/{name}{experiment}.html"


def _existing(session: Session, key: str) -> str | None:
    is_there = key in session.lake.store.keys(key)
    return _place(session, key) if is_there else None


def _place(session: Session, key: str) -> str:
    """Where a person finds an object of the lake: its path in a folder, its address in a bucket."""
    store = session.lake.store
    return f"{store.uri}/{key}" if "://" in store.uri else str(store.path(key))


def _write_report(session: Session, receipts: Sequence[Receipt], runs: Sequence[Interval], key: str, started: float) -> str:
    from headrace.report.page import render_report
    from headrace.run.telling import report_data

    store = session.lake.store
    with store.lease():
        html = render_report(report_data(session, receipts, runs, started=started, ended=time.time()))
    store.replace(key, without_secrets(html).encode())
    return _place(session, key)


def _track(session: Session, receipts: Sequence[Receipt], story: Story) -> None:
    try:
        story.queued = queue_notes(session, receipts, at=datetime.now(UTC))
    except (HeadraceError, OSError) as error:
        story.lines.append(f"nothing was sent to the tracker: {redacted(str(error))} Send later: headrace sync")
