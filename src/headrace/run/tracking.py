"""Telling the experiment tracker of trained models: off the run's path, by a queue that another process empties.

The invariant: a tracker that is slow, down or missing costs a run nothing, and loses nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from headrace import __version__
from headrace.core.errors import ConfigurationError
from headrace.core.ports import RunNote, Tracker
from headrace.core.receipt import Receipt
from headrace.plugins import load
from headrace.run.outbox import SyncResult, enqueue, pending, start_sender, sync
from headrace.run.record import git_commit
from headrace.run.session import Session

__all__ = ["outbox_folder", "queue_notes", "sync_notes", "tracker_of"]


def tracker_of(session: Session) -> tuple[str, str] | None:
    """The tracker's flavour and address, or None where nothing is tracked."""
    name = str(session.config.text("tracking"))
    if name == "auto":
        name = "mlflow" if importlib.util.find_spec("mlflow") is not None else "none"
    if name == "none":
        return None
    uri = session.config.text("tracking_uri")
    if uri is None:
        if "://" in session.lake.uri:
            raise ConfigurationError(
                f'The lake {session.lake.uri} is no folder, so the tracker needs an address: set tracking_uri, or tracking = "none".'
            )
        uri = f"sqlite:///{session.lake.uri}/mlflow.db"
    return name, uri


def outbox_folder(session: Session) -> Path:
    """Where notes wait: beside a lake in a folder, else beside the pipeline."""
    base = Path(session.lake.uri) if "://" not in session.lake.uri else session.config.folder / ".headrace"
    return base / "outbox"


def queue_notes(session: Session, receipts: Sequence[Receipt], *, at: datetime) -> int:
    """Queue a note for each model that was trained, and start the sender. How many were queued."""
    found = tracker_of(session)
    if found is None or session.experiment:
        return 0
    promotions = {(r.step.removesuffix(".promotion"), r.interval): r for r in receipts if r.kind == "promotion"}
    notes = [_note(session, r, promotions.get((r.step, r.interval)), at) for r in receipts if r.kind == "model" and r.state == "made"]
    folder = outbox_folder(session)
    for note in notes:
        enqueue(folder, note)
    if notes:
        start_sender(folder, *found)
    return len(notes)


def sync_notes(session: Session) -> SyncResult:
    """Send what waits, now. ConfigurationError where nothing is tracked."""
    found = tracker_of(session)
    if found is None:
        raise ConfigurationError(
            "Nothing is tracked: `tracking` is none, or the extra is not installed. Install it: pip install 'headrace[mlflow]'"
        )
    name, uri = found
    folder = outbox_folder(session)
    if not pending(folder):
        return SyncResult()
    return sync(folder, cast(Tracker, load("trackers", name).open(uri)))


def _note(session: Session, receipt: Receipt, promotion: Receipt | None, at: datetime) -> RunNote:
    assert receipt.version is not None
    manifest = session.log(receipt.step).manifest(receipt.interval, receipt.version)
    tags = {
        "pipeline": session.graph.name,
        "interval": receipt.interval.label,
        "fingerprint": manifest.content.fingerprint,
        "headrace": __version__,
    }
    commit = git_commit(session.folder)
    if commit:
        tags["git_commit"] = commit
    settings = manifest.content.details.get("settings")
    return RunNote(
        identity=f"{session.lake.uri}#{session.graph.name}.{receipt.step}/{receipt.interval.label}/v{receipt.version}",
        pipeline=session.graph.name,
        model=receipt.step,
        interval=receipt.interval.label,
        version=receipt.version,
        parameters=settings if isinstance(settings, Mapping) else {},
        metrics=receipt.metrics,
        tags=tags,
        location=receipt.location or "",
        is_champion=bool(promotion and promotion.verdict.get("decision") == "promote"),
        started_at=str(manifest.receipt.get("created_at", at.isoformat())),
        ended_at=at.isoformat(),
    )
