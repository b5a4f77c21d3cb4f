"""Running intervals: one, or a range of them, from looking to the run record.

The invariant: a range is one plan, so each (step, interval) pair is done once, and promotions are judged in time's order.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.core.errors import UnknownNameError, did_you_mean
from headrace.core.interval import Interval
from headrace.core.plan import Plan
from headrace.core.receipt import Receipt
from headrace.run.check import check_columns
from headrace.run.executor import Outcome, Watcher, run_plan
from headrace.run.observe import Request, make_plan
from headrace.run.record import record_runs
from headrace.run.session import Session

if TYPE_CHECKING:
    from headrace.run.lineage_events import LineageEvents

__all__ = ["Ran", "carry_out", "chosen_steps", "experiment_of"]


@dataclass(frozen=True)
class Ran:
    """A request that was carried out."""

    plan: Plan
    outcome: Outcome
    notes: tuple[str, ...] = ()

    @property
    def receipts(self) -> Sequence[Receipt]:
        return self.outcome.receipts


def carry_out(
    session: Session,
    request: Request,
    *,
    jobs: int | None = None,
    watch: Watcher = lambda _decision, _receipt: None,
    plan: Plan | None = None,
) -> Ran:
    """Look, decide, check, run and record. Errors of single steps are in the outcome; those of the pipeline itself are raised."""
    plan = plan or make_plan(session, request)
    check_columns(session, plan)
    with _lineage(session, plan) as lineage:
        outcome = run_plan(session, plan, jobs=jobs, watch=lineage.beside(watch) if lineage else watch)
        if lineage:
            lineage.has_failed = outcome.failed
    record_runs(session, _by_run(session, request, outcome.receipts))
    return Ran(plan, outcome, tuple(lineage.notes) if lineage else ())


def chosen_steps(session: Session, names: Sequence[str]) -> frozenset[str] | None:
    """The steps that `--only` names (a model brings its promotion); None for all."""
    if not names:
        return None
    found: set[str] = set()
    for name in names:
        step = session.graph.steps.get(name)
        if step is None:
            raise UnknownNameError(
                f"--only {name}: pipeline `{session.graph.name}` has no step of that name. {did_you_mean(name, session.graph.steps)}"
            )
        found.add(name)
        if f"{name}.promotion" in session.graph.steps:
            found.add(f"{name}.promotion")
    return frozenset(found)


def experiment_of(session: Session, changed: frozenset[str]) -> Session:
    """A session in which the changed steps, and all that read from them, write beside the current versions and not over them."""
    return replace(session, experiment=session.graph.downstream_of(changed))


def _lineage(session: Session, plan: Plan) -> AbstractContextManager[LineageEvents | None]:
    """The events of a run, where somebody wants them: most runs need not import what makes them."""
    if session.config.text("lineage") is None and not os.environ.get("OPENLINEAGE_URL"):
        return nullcontext()
    from headrace.run.lineage_events import told_lineage

    return told_lineage(session, plan)


def _by_run(session: Session, request: Request, receipts: Sequence[Receipt]) -> Mapping[Interval, list[Receipt]]:
    """The receipts of each of the pipeline's own intervals: a step on a coarser grid is told with the run that it was newest for."""
    by_pair = {(r.step, r.interval): r for r in receipts}
    found: dict[Interval, list[Receipt]] = {}
    for run in request.runs:
        for step in session.graph.steps.values():
            made = (by_pair.get((step.name, interval)) for interval in session.graph.intervals_for(step, run))
            found.setdefault(run, []).extend(receipt for receipt in made if receipt is not None)
    return found
