"""The inputs of one step for one interval: which versions it reads, where their files lie, and one digest over them.

The invariant: what is returned was read from manifests listed after the attempt's base, and is complete: an interval that
should be there and is not is an error that names it and the command that makes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.core.errors import NotReadyError, TransientError
from headrace.core.graph import Pair
from headrace.core.interval import Interval
from headrace.core.manifest import InputRef, Manifest
from headrace.core.ports import InputFiles
from headrace.core.split import ROW_PARTS
from headrace.core.step import Input, Promotion, Step
from headrace.run.past import backfill_command
from headrace.run.session import Session

__all__ = ["Gathered", "gather", "missing_inputs"]


@dataclass(frozen=True)
class Gathered:
    """What a step reads: by parameter the reference for its manifest, the files, and the manifests."""

    refs: Mapping[str, InputRef]
    files: Mapping[str, InputFiles]
    manifests: Mapping[str, tuple[Manifest, ...]]

    def digests(self) -> dict[str, str]:
        return {name: ref.digest for name, ref in self.refs.items()}


def gather(session: Session, step: Step, interval: Interval, *, without: Sequence[str] = ()) -> Gathered:
    """The inputs of a step, listed now. NotReadyError when one is missing; `without` leaves parameters out."""
    refs: dict[str, InputRef] = {}
    files: dict[str, InputFiles] = {}
    manifests: dict[str, tuple[Manifest, ...]] = {}
    for read, intervals in session.graph.reads(step, interval):
        if read.parameter in without:
            continue
        found = _manifests(session, step, interval, read, intervals)
        window = Interval(intervals[0].start, intervals[-1].end)
        name = f"{session.graph.name}.{session.dataset(read.dataset)}"
        refs[read.parameter] = InputRef.of(name, window, [(m.interval, m.version, m.content.digest) for m in found])
        files[read.parameter] = _files(session, read, found)
        manifests[read.parameter] = found
    _check_consistent(step, interval, manifests)
    return Gathered(refs, files, manifests)


def missing_inputs(session: Session, step: Step, interval: Interval) -> list[Pair]:
    """What `gather` would not find: the pairs that a step reads and that are not made. Which model was promoted is no such pair.

    Of a source that takes each file once, the interval before as well.
    """
    before = session.graph.before(step, interval)
    own = [(step.name, before)] if before is not None and _is_missing(session.catalog.newest(step.name, before)) else []
    return own + [
        (read.dataset, wanted)
        for read, intervals in session.graph.reads(step, interval)
        if not isinstance(session.graph.steps[read.dataset], Promotion)
        for wanted in intervals
        if _is_missing(_newest(session, read, wanted))
    ]


def row_paths(session: Session, manifest: Manifest, parts: Sequence[str] = ROW_PARTS) -> tuple[Path, ...]:
    """The Parquet files of a commit's rows, all sides of a split together."""
    return tuple(p for part in manifest.content.parts if part.name in parts for p in session.lake.read_paths(manifest, part.name))


def _manifests(session: Session, step: Step, interval: Interval, read: Input, intervals: Sequence[Interval]) -> tuple[Manifest, ...]:
    dataset = session.dataset(read.dataset)
    session.catalog.list_again(dataset, intervals)
    session.catalog.read_ahead(dataset, intervals)
    found, missing = [], []
    for wanted in intervals:
        manifest = _newest(session, read, wanted)
        if manifest is None or _is_missing(manifest):
            missing.append(wanted)
        elif manifest.kind == "data":
            found.append(manifest)
    if missing or not intervals:
        shown = ", ".join(str(m) for m in missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        what = f"{len(missing)} of {len(intervals)} intervals are not made: {shown}" if intervals else "it has none by then"
        file = session.file.name if session.file else "FILE"
        pairs = [(read.dataset, gap) for gap in missing]
        command = backfill_command(session, pairs) if missing else f"headrace plan {file} --at {interval.label}"
        raise NotReadyError(f"step `{step.name}` ({interval.label}) reads `{read.dataset}`: {what}. Make them: {command}")
    if not found:
        raise NotReadyError(
            f"step `{step.name}` ({interval.label}) reads `{read.dataset}`, all of whose intervals are gone by retention. Lower its history."
        )
    return tuple(found)


def _newest(session: Session, read: Input, wanted: Interval) -> Manifest | None:
    """The commit of an input; an experiment's, or where it has none the current one."""
    dataset = session.dataset(read.dataset)
    manifest = session.catalog.newest(dataset, wanted)
    return session.catalog.newest(read.dataset, wanted) if manifest is None and dataset != read.dataset else manifest


def _is_missing(manifest: Manifest | None) -> bool:
    return manifest is None or manifest.kind == "cleared"


def _files(session: Session, read: Input, found: Sequence[Manifest]) -> InputFiles:
    session.lake.fetch(found, ROW_PARTS)
    by_interval = tuple((m.interval, row_paths(session, m)) for m in found)
    schema = next((s for s in (m.content.columns for m in reversed(found)) if s), ())
    counts = [part.rows for m in found for part in m.content.parts if part.name in ROW_PARTS]
    known = [count for count in counts if count is not None]
    rows = sum(known) if len(known) == len(counts) else None
    return InputFiles(read.parameter, by_interval, schema, stamped=read.is_window, rows=rows)


def _check_consistent(step: Step, interval: Interval, manifests: Mapping[str, tuple[Manifest, ...]]) -> None:
    """Two inputs made from different contents of one dataset don't belong together (their single intervals; windows are checked as they are made)."""
    seen: dict[tuple[str, Interval], tuple[str, str]] = {}
    for parameter, found in manifests.items():
        for ref in found[-1].upstream if len(found) == 1 else ():
            other = seen.setdefault((ref.dataset, ref.window), (ref.digest, parameter))
            if other[0] != ref.digest:
                raise TransientError(
                    f"step `{step.name}` ({interval.label}) reads `{other[1]}` and `{parameter}`, which were made from different versions of `{ref.dataset}`. "
                    f"Run both again first: headrace run --at {interval.label}"
                )
