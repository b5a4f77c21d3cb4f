"""What one run's step needs of earlier runs: whether it is there, and the command that makes it.

Commits are looked for in the logs, promotions in the chains. An orchestrator that keeps a step waiting looks again and again, so
looking is cheap: one listing a dataset, and what was found once is not looked for again. The invariant: nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice

from headrace.core.graph import Pair
from headrace.core.interval import Interval
from headrace.core.step import Promotion
from headrace.lake.lake import Lake
from headrace.run.decisions import Decisions
from headrace.run.session import Session

__all__ = ["Needs", "backfill_command", "named", "unjudged_before"]

_PROMOTION = ".promotion"
_LOOK_BACK = 12  # intervals of a model's grid before its own: runs that far apart are not under way together
_DECISIONS = 64  # entries of a chain that are read at most
_INSTANT = timedelta(microseconds=1)


class Needs:
    """Pairs (dataset, interval) of earlier runs that a step waits for. A dataset `model.promotion` is there when the model was judged."""

    def __init__(self, lake: Lake, pipeline: str, pairs: Iterable[Pair]) -> None:
        self._lake = lake
        self._pipeline = pipeline
        self._decisions = Decisions(lake, pipeline)
        self.missing: tuple[Pair, ...] = tuple(pairs)

    def look(self) -> tuple[Pair, ...]:
        """Those that are still missing: one listing a dataset (a month at a time), and the manifests of what is new."""
        for dataset in dict.fromkeys(dataset for dataset, _ in self.missing):
            wanted = [interval for other, interval in self.missing if other == dataset]
            found = self._judged(dataset) if dataset.endswith(_PROMOTION) else self._made(dataset, wanted)
            self.missing = tuple(pair for pair in self.missing if pair[0] != dataset or pair[1] not in found)
        return self.missing

    def _made(self, dataset: str, wanted: Sequence[Interval]) -> set[Interval]:
        log = self._lake.log(self._pipeline, dataset)
        if len(wanted) == 1:
            versions = {wanted[0]: log.versions_of(wanted[0])}
        else:
            versions = log.versions(Interval(min(i.start for i in wanted), max(i.end for i in wanted)))
        current = {i: log.current(i, versions=versions[i]) for i in wanted if versions.get(i)}
        return {i for i, manifest in current.items() if manifest is not None and manifest.kind in ("data", "expired")}

    def _judged(self, dataset: str) -> set[Interval]:
        return judged_intervals(self._decisions, dataset.removesuffix(_PROMOTION))


def unjudged_before(session: Session, step: Promotion, interval: Interval) -> tuple[Pair, ...]:
    """The models of earlier intervals that are trained and not judged: their runs are under way, or ended in between.

    Looks back from the interval to the newest judged one. What was never trained is not waited for, and what was passed over once
    is not met again, since a later one is judged by then.
    """
    if step.name in session.experiment:
        return ()
    judged = judged_intervals(session.decisions, step.model)
    found: list[Pair] = []
    before = interval
    for _ in range(_LOOK_BACK):
        before = step.grid.previous(before)
        if before in judged:
            break
        if session.catalog.current(step.model, before) is not None:
            found.append((step.name, before))
    return tuple(reversed(found))


def judged_intervals(decisions: Decisions, model: str) -> set[Interval]:
    """The intervals whose models a run has judged, of the newest decisions."""
    return {d.model for d in islice(decisions.newest_first(model), _DECISIONS) if d.kind in ("promote", "reject")}


def backfill_command(session: Session, pairs: Sequence[Pair]) -> str:
    """What to type to make pairs: all of the pipeline's own intervals in which one of theirs ends, or begins."""
    grid = session.graph.grid
    first = grid.at(min(interval.start for _, interval in pairs))
    if session.graph.first is not None and first.start < session.graph.first.start:
        first = session.graph.first
    last = grid.at(max(interval.end for _, interval in pairs) - _INSTANT)
    file = session.file.name if session.file else "FILE"
    profile = "" if session.config.profile == "local" else f" --profile {session.config.profile}"
    return f"headrace backfill {file} --from {first.label} --to {last.label}{profile}"


def named(pairs: Sequence[Pair], *, most: int = 5) -> str:
    """Pairs as words, by dataset: "`quotes` 2026-01-04, 2026-01-05 and 3 more"."""
    texts = []
    for dataset in dict.fromkeys(dataset for dataset, _ in pairs):
        intervals = [interval.label for other, interval in pairs if other == dataset]
        more = f" and {len(intervals) - most} more" if len(intervals) > most else ""
        texts.append(f"`{dataset}` {', '.join(intervals[:most])}{more}")
    return "; ".join(texts)
