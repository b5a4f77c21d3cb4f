"""What a run's report tells: receipts, manifests and decisions turned into the plain values of `headrace.report.data`.

Nothing here draws or writes. The invariant: what is told was committed; nothing is computed again but plots and the likeness of splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from headrace import __version__
from headrace.config import masked
from headrace.core.errors import HeadraceError
from headrace.core.interval import Interval, format_duration
from headrace.core.manifest import Manifest
from headrace.core.ports import JSON
from headrace.core.quarantine import encoding_of
from headrace.core.receipt import Receipt
from headrace.core.step import Table, TrainedModel
from headrace.report.data import (
    GateLine,
    Likeness,
    ModelSection,
    QuarantinedRecord,
    QuarantineSection,
    ReceiptRow,
    ReportData,
    Side,
    SplitSection,
)
from headrace.run.drawing import drawing_of
from headrace.run.promotion import sides_of
from headrace.run.quarantined import masked_in
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.steps.splits import likeness

__all__ = ["report_data"]

_SAMPLES = 20
_MODELS = 6


def report_data(session: Session, receipts: Sequence[Receipt], runs: Sequence[Interval], *, started: float, ended: float) -> ReportData:
    """Everything that a report of these receipts tells."""
    nodes, edges = drawing_of(session.graph, receipts)
    return ReportData(
        pipeline=session.graph.name,
        doc=session.graph.doc,
        intervals=tuple(run.label for run in runs),
        started_at=_iso(started),
        ended_at=_iso(ended),
        lake=masked(session.lake.uri),
        headrace_version=__version__,
        seconds=ended - started,
        nodes=tuple(nodes),
        edges=tuple(edges),
        receipts=tuple(_row(r) for r in receipts),
        quarantine=tuple(_quarantines(session, receipts)),
        splits=tuple(_splits(session, receipts)),
        models=tuple(_models(session, receipts)),
        notes=tuple(dict.fromkeys(note for r in receipts for note in r.notes)),
    )


def _row(receipt: Receipt) -> ReceiptRow:
    return ReceiptRow(
        step=receipt.step,
        interval=receipt.interval.label,
        state=receipt.state,
        rows_read=receipt.rows_read,
        rows_kept=receipt.rows_kept,
        rows_quarantined=receipt.rows_quarantined,
        size_bytes=receipt.size_bytes,
        seconds=receipt.seconds,
        why=receipt.why,
        error=redacted(receipt.error or ""),
    )


# ---------------------------------------------------------------- quarantine and splits


def _quarantines(session: Session, receipts: Sequence[Receipt]) -> Iterator[QuarantineSection]:
    for name in dict.fromkeys(r.step for r in receipts if r.rows_quarantined):
        found = [(r, _manifest(session, r)) for r in receipts if r.step == name and r.rows_quarantined]
        reasons: dict[str, int] = {}
        for _, manifest in found:
            told = manifest.content.details.get("reasons")
            for reason, count in told.items() if isinstance(told, Mapping) else ():
                reasons[reason] = reasons.get(reason, 0) + int(cast(int, count))
        yield QuarantineSection(
            source=name,
            rows_read=sum(r.rows_read for r, _ in found),
            rows_quarantined=sum(r.rows_quarantined for r, _ in found),
            reasons=dict(sorted(reasons.items(), key=lambda item: -item[1])),
            samples=tuple(_samples(session, found[-1][1])),
            masked=masked_in(session, name, found[-1][1]),
        )


def _samples(session: Session, manifest: Manifest) -> Iterator[QuarantinedRecord]:
    if manifest.content.part("quarantine") is None:
        return
    relation = cast(Any, session.engine.read(session.lake.read_paths(manifest, "quarantine"), "duckdb"))
    for file, line, columns, reasons, raw in relation.select("file, line, columns, reasons, raw").limit(_SAMPLES).fetchall():
        shown = bytes(raw or b"").decode(encoding_of(manifest.content.details, file), "replace")
        yield QuarantinedRecord(file, int(line or 0), tuple(columns or ()), tuple(reasons or ()), shown)


def _splits(session: Session, receipts: Sequence[Receipt]) -> Iterator[SplitSection]:
    for name in dict.fromkeys(r.step for r in receipts if r.kind == "table" and r.version):
        step = session.graph.steps[name]
        if not isinstance(step, Table) or step.split is None:
            continue
        manifest = _manifest(session, [r for r in receipts if r.step == name and r.version][-1])
        sides: dict[str, Sequence[Path]] = {
            side: session.lake.read_paths(manifest, side) for side in step.split.sides if manifest.content.part(side)
        }
        told = likeness(session.engine, sides)
        rows = cast(Mapping[str, int], told.get("rows", {}))
        yield SplitSection(name, _how(step), tuple(Side(s, rows.get(s, 0), _wanted(step, s)) for s in sides), tuple(_alike(told)))


def _alike(told: Mapping[str, JSON]) -> Iterator[Likeness]:
    columns = told.get("columns")
    for name, by_side in columns.items() if isinstance(columns, Mapping) else ():
        figures = cast(Mapping[str, Mapping[str, JSON]], by_side)
        means = {side: float(cast(float, f["mean"])) for side, f in figures.items() if isinstance(f.get("mean"), int | float)}
        if means:
            deviation = figures.get("train", {}).get("deviation")
            yield Likeness(name, means, float(deviation) if isinstance(deviation, int | float) else None)


def _how(step: Table) -> str:
    split = step.split
    assert split is not None
    if split.kind == "key":
        return f"by key {', '.join(split.key or step.key)}"
    gap = f", with a gap of {format_duration(split.gap)}" if split.gap else ""
    return f"by time {step.time}{gap}"


def _wanted(step: Table, side: str) -> float | None:
    split = step.split
    if split is None or split.kind != "key":
        return None
    return {"test": split.test_share, "valid": split.valid_share}.get(side, 1 - split.test_share - split.valid_share)


# ---------------------------------------------------------------- models


def _models(session: Session, receipts: Sequence[Receipt]) -> Iterator[ModelSection]:
    trained = [r for r in receipts if r.kind == "model" and r.version]
    judged = {(r.step, r.interval): r for r in receipts if r.kind == "promotion"}
    for receipt in trained[-_MODELS:]:
        step = session.graph.steps[receipt.step]
        assert isinstance(step, TrainedModel)
        yield _model(session, step, receipt, judged.get((f"{receipt.step}.promotion", receipt.interval)))


def _model(session: Session, step: TrainedModel, receipt: Receipt, promotion: Receipt | None) -> ModelSection:
    manifest = _manifest(session, receipt)
    details = manifest.content.details
    about = cast(Mapping[str, JSON], details.get("about") or {})
    verdict = promotion.verdict if promotion else {}
    rival = cast(Mapping[str, JSON], verdict.get("champion") or {})
    outcomes = cast(Sequence[Mapping[str, JSON]], verdict.get("outcomes") or ())
    plots, notes = _plots(session, step, manifest)
    return ModelSection(
        name=step.name,
        interval=f"{receipt.interval.label} v{receipt.version}",
        task=str(about.get("task") or ""),
        metrics=receipt.metrics,
        champion=cast("Mapping[str, float] | None", rival.get("metrics")),
        champion_label=f"{rival['interval']} v{rival['version']}" if rival else "",
        champion_note=str(rival.get("not_comparable") or ""),
        verdict=str(verdict.get("why") or ""),
        passed=cast("bool | None", verdict.get("passed")),
        decision=str(verdict.get("decision") or ""),
        location=receipt.location or "",
        gates=tuple(GateLine(bool(o.get("passed")), str(o.get("text"))) for o in outcomes),
        features=step.spec.feature_names,
        target=step.spec.target or "",
        rows=cast(Mapping[str, int], details.get("rows") or {}),
        settings=cast(Mapping[str, JSON], details.get("settings") or {}),
        plots=plots,
        notes=tuple(notes),
    )


def _plots(session: Session, step: TrainedModel, manifest: Manifest) -> tuple[Mapping[str, JSON], list[str]]:
    """What the backend can draw; a plot that fails is told, and never fails the report."""
    seed = manifest.content.details.get("seed")
    try:
        folder = session.lake.read_paths(manifest, "model", verify=True)[0].parent
        model = session.opened(
            manifest.content.digest, lambda: session.models.load(folder, trust=step.trust, is_pickle_allowed=step.is_pickle_allowed)
        )
        drawn = session.models.plots(model, step.spec, sides_of(session, step, manifest), seed=seed if isinstance(seed, int) else 0)
    except HeadraceError as error:
        return {}, [f"plots could not be drawn: {error}"]
    skipped = [f"{name}: {plot['skipped']}" for name, plot in drawn.items() if isinstance(plot, Mapping) and "skipped" in plot]
    return drawn, skipped


def _manifest(session: Session, receipt: Receipt) -> Manifest:
    assert receipt.version is not None
    return session.lake.log(session.graph.name, session.dataset(receipt.step)).manifest(receipt.interval, receipt.version)


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")
