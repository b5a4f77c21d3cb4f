"""Another pipeline's dataset, looked up in the lake for a source's interval: what is there of it, what is not, and what changed since.

The invariant: for a commit, what is said is from listings that were made after the attempt's number was fixed.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.errors import ConfigurationError, NotReadyError, SourceError, did_you_mean
from headrace.core.interval import Grid, Interval
from headrace.core.manifest import Manifest
from headrace.core.step import Source
from headrace.lake.lake import Lake
from headrace.run.catalog import Catalog
from headrace.run.session import Session
from headrace.steps.datasets import Upstream, grid_from, intervals_read, parts_of, rows_digest

__all__ = ["gather_upstream", "look_upstream", "missing_text", "upstream_changes"]


def gather_upstream(session: Session, step: Source, interval: Interval) -> Upstream:
    """What a source's interval reads, listed now. NotReadyError for what is missing, unless the source says `missing="empty"`."""
    pipeline, _, dataset = step.options.location.partition(".")
    catalog = Catalog(session.lake, pipeline)
    found = look_upstream(catalog, step.options.location, interval, parts=parts_of(step))
    _check_grid(step, str(catalog.owner(dataset).get("every", "")))
    if found.missing and step.missing == "fail":
        raise NotReadyError(f"source `{step.name}` ({interval.label}) reads `{found.name}`: {missing_text(session.lake, found)}")
    if found.expired and not found.found:
        raise NotReadyError(
            f"source `{step.name}` ({interval.label}) reads `{found.name}`, which is gone by retention for {found.expired[0]}. Nothing makes it again."
        )
    return found


def look_upstream(catalog: Catalog, name: str, interval: Interval, *, parts: Sequence[str] = ()) -> Upstream:
    """What there is of a dataset (`pipeline.dataset`) for an interval of any grid. What `catalog` has listed already is not listed again."""
    dataset = name.partition(".")[2]
    known = catalog.newest_by(dataset, interval.end)
    first = catalog.first(dataset) if known else None
    if known is None or first is None:
        return Upstream(name, (interval,), missing=(interval,), parts=tuple(parts))
    owner = catalog.owner(dataset)
    if owner.get("kind") == "model":
        raise SourceError(f"`{name}` is a model, and a source is rows. Read its predictions, which are a dataset of their own.")
    wanted = intervals_read(grid_from(str(owner.get("every", "")), known), first, interval)
    seen = [(one, catalog.newest(dataset, one)) for one in wanted]
    newest = catalog.current(dataset, known)
    return Upstream(
        name,
        wanted,
        found=tuple(manifest for _, manifest in seen if manifest is not None and manifest.kind == "data"),
        missing=tuple(one for one, manifest in seen if manifest is None or manifest.kind == "cleared"),
        expired=tuple(one for one, manifest in seen if manifest is not None and manifest.kind == "expired"),
        parts=tuple(parts),
        columns=newest.content.columns if newest else (),
    )


def missing_text(lake: Lake, upstream: Upstream) -> str:
    """What is missing of a dataset, and the command that makes it; or that there is no such dataset."""
    pipeline, _, dataset = upstream.name.partition(".")
    missing, count = upstream.missing, len(upstream.missing)
    nothing = ""
    if not lake.has(pipeline, dataset):
        nothing = f" The lake {lake.uri} has no dataset of that name. {did_you_mean(upstream.name, lake.names_for_hint() or ())}".rstrip()
    shown = ", ".join(str(one) for one in missing[:3]) + (f" and {count - 3} more" if count > 3 else "")
    return (
        f"{count} of {len(upstream.wanted)} intervals {'are' if count > 1 else 'is'} not made: {shown}.{nothing} With the file of pipeline "
        f"`{pipeline}`: headrace backfill FILE --from {missing[0].label} --to {missing[-1].label} --only {dataset}"
    )


def _check_grid(step: Source, every: str) -> None:
    """ConfigurationError where the source says that the dataset is made more or less often than it is: an orchestrator would wait for the wrong runs."""
    said = step.options.options.get("every")
    if said is not None and every and Grid.parse(str(said)).label != every:
        name = step.options.location
        raise ConfigurationError(
            f"source `{step.name}` says that `{name}` is made every {said}, and it is made every {every}. Mend dataset({name!r}, every=…)."
        )


def upstream_changes(session: Session, step: Source, interval: Interval, manifest: Manifest) -> list[str]:
    """Why a commit of a source is no longer what the other dataset has now: new versions with other rows, or other intervals."""
    name = step.options.location
    ref = next((ref for ref in manifest.content.inputs if ref.dataset == name), None)
    if ref is None:
        return [f"it now reads `{name}`"]
    pipeline, _, dataset = name.partition(".")
    catalog = session.catalog_of(pipeline)
    now = look_upstream(catalog, name, interval, parts=parts_of(step))
    recorded = ref.versions_of()
    if set(recorded) - set(now.wanted):
        return [f"the intervals that it reads of `{name}` changed"]
    changed: list[str] = []
    for found in now.found:
        then = recorded.get(found.interval)
        if then == found.version:
            continue
        if then is None or rows_digest(catalog.log(dataset).manifest(found.interval, then), now.parts) != rows_digest(found, now.parts):
            changed.append(f"{found.interval.label} v{then or 0} -> v{found.version}")
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return [f"`{name}` changed ({changed[0]}{more})"] if changed else []
