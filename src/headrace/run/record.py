"""The run record: which version of each step a run left, and what its receipts said. One commit of dataset `_runs` for each interval.

Others read datasets that belong together through it. The invariant: a run that changed nothing adds no record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest, digest_of
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.lake.commit import Attempt
from headrace.lake.lake import Lake
from headrace.lake.layout import Slot
from headrace.lake.parallel import in_parallel
from headrace.run.session import Session

__all__ = ["RUNS", "git_commit", "pinned_slots", "record_run", "record_runs"]

RUNS = "_runs"


def record_run(session: Session, run: Interval, receipts: Sequence[Receipt], *, is_asked: bool = True) -> Manifest | None:
    """Commit what a run of one interval left behind; nothing when that is recorded already, or when it was an experiment."""
    if session.experiment or not is_asked:
        return None
    log = session.lake.log(session.graph.name, RUNS)
    steps = _versions(session, receipts)
    if not steps:
        return None
    fingerprint = digest_of(steps)
    before = session.catalog.current(RUNS, run)
    if before is not None and before.content.fingerprint == fingerprint:
        log.confirm(before)
        return before
    details: dict[str, JSON] = {"steps": steps, "receipts": [_told(r) for r in receipts]}

    def work(_: Attempt, current: Manifest | None) -> tuple[Content, Mapping[str, JSON]] | None:
        if current is not None and current.kind == "data" and current.content.fingerprint == fingerprint:
            return None
        content = Content(kind="data", step_kind="run", fingerprint=fingerprint, details={"steps": steps})
        return content, {"receipts": details["receipts"], "git": git_commit(session.folder), "who": session.who}

    return log.commit(run, work)


def record_runs(session: Session, receipts: Mapping[Interval, Sequence[Receipt]]) -> None:
    """The same for many intervals, at once where the store says that pays."""
    session.catalog.read_ahead(RUNS, list(receipts))
    in_parallel(session.lake.store, lambda run: record_run(session, run, receipts[run]), list(receipts))


def pinned_slots(lake: Lake) -> set[Slot]:
    """The versions that the newest run record of each interval names: a collector keeps them."""
    pinned: set[Slot] = set()
    for name in lake.datasets():
        pipeline, _, dataset = name.partition(".")
        if dataset != RUNS:
            continue
        log = lake.log(pipeline, RUNS)
        found = log.versions(None)
        log.read_ahead([(run, versions[-1]) for run, versions in found.items()])
        for run, versions in found.items():
            newest = log.current(run, versions=versions)
            steps = newest.content.details.get("steps") if newest is not None else None
            pinned.update(_slots(pipeline, steps) if isinstance(steps, Mapping) else ())
    return pinned


def git_commit(folder: Path) -> str | None:
    """The commit that is checked out where the pipeline lies, if it lies in a git work tree: read from its files, git is not asked."""
    for above in (folder, *folder.parents):
        git = above / ".git"
        if git.is_dir():
            return _head(git)
    return None


def _slots(pipeline: str, steps: Mapping[str, JSON]) -> Iterator[Slot]:
    for told in steps.values():
        if isinstance(told, Mapping) and isinstance(told.get("version"), int):
            yield Slot(pipeline, str(told["step"]), Interval.of(str(told["start"]), str(told["end"])), int(str(told["version"])))


def _head(git: Path) -> str | None:
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        if (git / reference).is_file():
            return (git / reference).read_text().strip()
        packed = (git / "packed-refs").read_text() if (git / "packed-refs").is_file() else ""
        return next((line.split()[0] for line in packed.splitlines() if line.endswith(f" {reference}")), None)
    except (OSError, UnicodeDecodeError):
        return None


def _versions(session: Session, receipts: Sequence[Receipt]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for receipt in receipts:
        if receipt.version is None:
            continue
        if receipt.kind == "promotion":
            found[receipt.step] = {"decision": receipt.version}
            continue
        manifest = session.lake.log(session.graph.name, session.dataset(receipt.step)).manifest(receipt.interval, receipt.version)
        where = {"start": receipt.interval.start.isoformat(), "end": receipt.interval.end.isoformat()}
        found[receipt.step] = {"step": receipt.step, **where, "version": receipt.version, "digest": manifest.content.digest}
    return found


def _told(receipt: Receipt) -> dict[str, JSON]:
    """A receipt as it is kept for ever: of an error the first line, since those after it may quote records."""
    told = receipt.as_json()
    told["error"] = receipt.error.partition("\n")[0] if receipt.error else receipt.error
    return {
        name: told[name]
        for name in (
            "step",
            "interval",
            "state",
            "why",
            "version",
            "rows_read",
            "rows_kept",
            "rows_quarantined",
            "seconds",
            "error",
            "verdict",
        )
    }
