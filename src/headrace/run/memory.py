"""The keys that earlier intervals of a source have: read from the commit of the interval before, which has all that there were by then.

The invariant: an interval is made from what the one before remembers now, so whoever makes one again makes those after it stale, and the plan
says so; what it remembers was built by the same keys, or is not built on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.core.errors import NotReadyError
from headrace.core.interval import Interval
from headrace.core.keys import Past, Unique
from headrace.core.manifest import MEMORY, InputRef, Manifest, digest_of
from headrace.core.ports import JSON
from headrace.core.step import Source
from headrace.lake.lake import VanishedError
from headrace.run.past import backfill_command
from headrace.run.session import Session

__all__ = ["Memory", "keys_over_history", "memory_changes", "memory_obstacle", "memory_of"]


@dataclass(frozen=True)
class Memory:
    """What is remembered before an interval, by key, and the reference to it for a manifest; none at the pipeline's start."""

    past: Mapping[Unique, Past] = field(default_factory=dict[Unique, Past])
    ref: InputRef | None = None


def memory_of(session: Session, step: Source, interval: Interval) -> Memory:
    """What the interval before remembers, listed now. NotReadyError when it is not made, or was made when other keys were declared."""
    keys = _keys(step)
    if not keys:
        return Memory()
    before = session.graph.before(step, interval)
    files: Sequence[Path | None] = [None] * len(keys)
    ref = None
    if before is not None:
        manifest = _made(session, step, interval, before)
        files, ref = _files(session, step, interval, manifest), _ref(session, step, manifest)
    past = {
        key: Past(interval, file, interval.end - key.reach if key.reach is not None else None)
        for key, file in zip(keys, files, strict=True)
    }
    return Memory(past, ref)


def memory_changes(session: Session, step: Source, interval: Interval, manifest: Manifest) -> list[str]:
    """Why a commit is no longer what the interval before remembers."""
    before = session.graph.before(step, interval)
    if not step.has_memory or before is None:
        return []
    now = _newest(session, step, before)
    known = next((ref for ref in manifest.content.inputs if _is_own(session, step, ref)), None)
    if now is None or now.kind != "data":
        return []  # it has to be made first
    ref = _ref(session, step, now)
    if known is None or before not in known.versions_of():
        return [f"it now builds on the keys of {before.label}"]
    then = known.versions_of()[before]
    return [] if known.digest == ref.digest else [f"the keys of {before.label} changed (v{then} -> v{now.version})"]


def memory_obstacle(session: Session, step: Source, interval: Interval) -> str:
    """What `memory_of` would say of the interval before, where that is made and not built on as it stands. No file is looked at."""
    before = session.graph.before(step, interval) if step.has_memory else None
    manifest = None if before is None else _with_rows(session, step, before)
    return "" if manifest is None else _unfit(session, step, interval, manifest)


def keys_over_history(manifest: Manifest) -> list[tuple[str, ...]]:
    """The columns of each key that a commit remembers, in the order of its files."""
    listed = [key.get("columns") for key in _remembered(manifest) if isinstance(key, Mapping)]
    return [tuple(map(str, columns)) for columns in listed if isinstance(columns, Sequence) and not isinstance(columns, str)]


def _keys(step: Source) -> list[Unique]:
    return [key for key in step.unique if key.is_over_history]


def _made(session: Session, step: Source, interval: Interval, before: Interval) -> Manifest:
    session.catalog.list_again(session.dataset(step.name), [before])
    manifest = _with_rows(session, step, before)
    if manifest is None:
        raise NotReadyError(
            f"{_told(step, interval)}{before.label} is not made, whose keys it builds on. "
            f"Make it: {backfill_command(session, [(step.name, before)])}"
        )
    return manifest


def _with_rows(session: Session, step: Source, before: Interval) -> Manifest | None:
    """The commit of an interval that remembers its keys: the newest, or where retention took that one the last before it."""
    manifest = _newest(session, step, before)
    if manifest is not None and manifest.kind == "expired":
        history = session.log(step.name).history(before)
        return next((one for one in reversed(history) if one.kind == "data"), None)
    return manifest if manifest is not None and manifest.kind == "data" else None


def _files(session: Session, step: Source, interval: Interval, manifest: Manifest) -> list[Path]:
    """The files of what a commit remembers, one for each key over history."""
    unfit = _unfit(session, step, interval, manifest)
    if unfit:
        raise NotReadyError(unfit)
    try:
        return session.lake.read_paths(manifest, MEMORY, verify=True)
    except VanishedError:
        told = f"{_told(step, interval)}{manifest.interval.label}, whose keys it builds on, "
        raise NotReadyError(f"{told}is gone by retention. Set the pipeline's `start` later.") from None


def _unfit(session: Session, step: Source, interval: Interval, manifest: Manifest) -> str:
    """Why a commit's keys are not those that are declared now, and what to do; nothing where they are."""
    if manifest.content.part(MEMORY) is not None and _remembered(manifest) == _declared(step) and _has_types_of(step, manifest):
        return ""
    first = session.graph.first or manifest.interval
    return (
        f"{_told(step, interval)}{manifest.interval.label}, whose keys it builds on, was made when other keys, or of other types, were declared. "
        f"Make the past again: {backfill_command(session, [(step.name, first), (step.name, manifest.interval)])}"
    )


def _told(step: Source, interval: Interval) -> str:
    return f"source `{step.name}` ({interval.label}) has a key that is unique over history, and "


def _remembered(manifest: Manifest) -> list[JSON]:
    declaration = manifest.content.fingerprint_parts.get("declaration")
    keys = declaration.get("unique") if isinstance(declaration, Mapping) else None
    return [key for key in keys if isinstance(key, Mapping) and "over" in key] if isinstance(keys, Sequence) else []


def _declared(step: Source) -> list[JSON]:
    return [key.told() for key in _keys(step)]


def _has_types_of(step: Source, manifest: Manifest) -> bool:
    if step.contract is None:
        return True
    then = {column.name: column.type for column in manifest.content.columns}
    now = {column.name: column.type for column in step.contract.schema}
    return all(then.get(column) == now.get(column) for key in _keys(step) for column in key.columns)


def _newest(session: Session, step: Source, interval: Interval) -> Manifest | None:
    """An experiment's commit, or where it has none the dataset's own."""
    dataset = session.dataset(step.name)
    found = session.catalog.newest(dataset, interval)
    return session.catalog.newest(step.name, interval) if found is None and dataset != step.name else found


def _ref(session: Session, step: Source, manifest: Manifest) -> InputRef:
    part = manifest.content.part(MEMORY)
    digest = digest_of([file.sha256 for file in part.files] if part else None)
    return InputRef.of(
        f"{session.graph.name}.{session.dataset(step.name)}", manifest.interval, [(manifest.interval, manifest.version, digest)]
    )


def _is_own(session: Session, step: Source, ref: InputRef) -> bool:
    return ref.dataset == f"{session.graph.name}.{session.dataset(step.name)}"
