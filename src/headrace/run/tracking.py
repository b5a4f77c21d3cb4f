"""Telling the experiment tracker of trained models: off the run's path, by a queue that another process empties.

The invariant: a tracker that is slow, down or missing costs a run nothing, and loses nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from headrace import __version__
from headrace.core.errors import ConfigurationError
from headrace.core.manifest import Manifest
from headrace.core.ports import RunNote
from headrace.core.receipt import Receipt
from headrace.lake.chain import Decision
from headrace.run.access import is_folder
from headrace.run.outbox import Place, SyncResult, enqueue, pending, start_sender, sync
from headrace.run.record import git_commit
from headrace.run.session import Session

__all__ = ["outbox_folder", "queue_decision", "queue_notes", "sync_notes", "tracker_name", "tracker_page", "tracker_place"]


def tracker_name(session: Session) -> str | None:
    """The tracker's flavour, or None where nothing is tracked. By itself it is told only where its place is known: a bucket is none."""
    name = str(session.config.text("tracking"))
    if name == "auto":
        name = "mlflow" if _has_place(session) and importlib.util.find_spec("mlflow") is not None else "none"
    return None if name == "none" else name


def _has_place(session: Session) -> bool:
    given = session.config.text("tracking_uri") or session.config.text("tracking_connection")
    return bool(given) or is_folder(session.lake.uri)


def tracker_place(session: Session) -> Place | None:
    """Where the tracker is and how to get in, or None where nothing is tracked. ConfigurationError for a connection that is not there."""
    name = tracker_name(session)
    if name is None:
        return None
    connection = session.connections.of("tracking_connection")
    uri = session.config.text("tracking_uri")
    if uri is None and connection is None:
        if "://" in session.lake.uri:
            raise ConfigurationError(
                f'The lake {session.lake.uri} is no folder, so the tracker needs an address: set tracking_uri, or tracking = "none".'
            )
        uri = f"sqlite:///{session.lake.uri}/mlflow.db"
    return Place(name, uri, connection)


def tracker_page(session: Session) -> str | None:
    """The address of the tracker as far as the settings tell it, without looking for a connection; None where nothing is tracked."""
    uri = session.config.text("tracking_uri")
    return uri if tracker_name(session) is not None else None


def outbox_folder(session: Session) -> Path:
    """Where notes wait: beside a lake in a folder, else beside the pipeline."""
    base = Path(session.lake.uri) if "://" not in session.lake.uri else session.config.folder / ".headrace"
    return base / "outbox"


def queue_notes(session: Session, receipts: Sequence[Receipt], *, at: datetime) -> int:
    """Queue a note for each model that was trained, and start the sender. How many were queued."""
    if session.experiment or tracker_name(session) is None:
        return 0
    promotions = {(r.step.removesuffix(".promotion"), r.interval): r for r in receipts if r.kind == "promotion"}
    trained = [r for r in receipts if r.kind == "model" and r.state == "made" and r.version]
    return _queue(session, [_of_receipt(session, r, promotions.get((r.step, r.interval)), at) for r in trained])


def queue_decision(session: Session, model: str, decision: Decision, *, at: datetime) -> int:
    """Queue a note of what a person decided: which model serves now."""
    if tracker_name(session) is None or decision.kind not in ("promote", "rollback"):
        return 0
    manifest = session.log(model).manifest(decision.model, decision.version)
    return _queue(session, [_note(session, manifest, at, chain=decision.number, is_champion=True)])


def _queue(session: Session, notes: Sequence[RunNote]) -> int:
    if not notes:
        return 0
    folder = outbox_folder(session)
    for note in notes:
        enqueue(folder, note)
    place = tracker_place(session)  # only now: the notes wait even where the way to the tracker is not known yet
    if place is not None:
        start_sender(folder, place)
    return len(notes)


def sync_notes(session: Session) -> SyncResult:
    """Send what waits, now. ConfigurationError where nothing is tracked."""
    place = tracker_place(session)
    if place is None:
        raise ConfigurationError(
            "Nothing is tracked: `tracking` is none, or the extra is not installed. Install it: pip install 'headrace[mlflow]'"
        )
    folder = outbox_folder(session)
    if not pending(folder):
        return SyncResult()
    return sync(folder, place.open())


def _of_receipt(session: Session, receipt: Receipt, promotion: Receipt | None, at: datetime) -> RunNote:
    manifest = session.log(receipt.step).manifest(receipt.interval, receipt.version or 1)
    decision = promotion.verdict.get("decision") if promotion else None
    return _note(session, manifest, at, chain=promotion.version if promotion else None, is_champion=decision == "promote")


def _note(session: Session, manifest: Manifest, at: datetime, *, chain: int | None, is_champion: bool) -> RunNote:
    content = manifest.content
    tags = {"pipeline": manifest.pipeline, "interval": manifest.interval.label, "fingerprint": content.fingerprint, "headrace": __version__}
    commit = git_commit(session.folder)
    tags |= {"git_commit": commit} if commit else {}
    tags |= {"chain": str(chain)} if chain is not None else {}
    settings = content.details.get("settings")
    part = content.part("model")
    return RunNote(
        identity=f"{session.lake.uri}#{manifest.name}/{manifest.interval.label}/v{manifest.version}",
        pipeline=manifest.pipeline,
        model=manifest.dataset,
        interval=manifest.interval.label,
        version=manifest.version,
        parameters=settings if isinstance(settings, Mapping) else {},
        metrics=content.metrics,
        tags=tags,
        location=f"{session.lake.uri}/{part.files[0].folder}" if part else "",
        is_champion=is_champion,
        started_at=str(manifest.receipt.get("created_at", at.isoformat())),
        ended_at=at.isoformat(),
    )
