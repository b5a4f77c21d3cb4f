"""One task of an orchestrator: a step's turn in a run, and the end of a run.

`headrace run` carries out a whole plan; an orchestrator asks for one step at a time and keeps the order itself. The invariant:
what a task does depends on the file, the lake and its arguments, never on which orchestrator asked, so it is what `headrace run`
would have done for the same step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from headrace.core.arrival import Late, told_late
from headrace.core.errors import NotReadyError
from headrace.core.graph import Graph, Pair
from headrace.core.grouping import Unit
from headrace.core.interval import Interval
from headrace.core.plan import Decision, Plan, decide
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.core.step import Promotion, Step
from headrace.run.backfill import Ran
from headrace.run.check import check_columns
from headrace.run.child import execute_in_child
from headrace.run.execute import execute_step
from headrace.run.executor import Outcome, confirm_standing, standing_receipt
from headrace.run.inputs import missing_inputs
from headrace.run.observe import Request, observe
from headrace.run.past import backfill_command, named, unjudged_before
from headrace.run.record import record_run
from headrace.run.session import Session
from headrace.run.story import Story, tell_story

__all__ = ["EndState", "Ended", "Turn", "brief", "close_run", "endings", "is_due", "look", "take"]

_LONGEST_TEXT = 500
_MOST_METRICS = 50


@dataclass(frozen=True)
class Turn:
    """What a step's turn in a run comes to.

    `idle` says why there is nothing to do in this run. `past` are the intervals of earlier runs that the step reads and that are
    not made: taking the turn raises NotReadyError. `unjudged` are promotions of earlier intervals that are better judged before this
    one: whose models are trained, in runs that are under way or ended in between.
    """

    step: str
    plan: Plan = field(default_factory=lambda: Plan("", ()))
    idle: str = ""
    past: tuple[Pair, ...] = ()
    unjudged: tuple[Pair, ...] = ()

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(d for d in self.plan.decisions if d.step == self.step and d.is_target)


def is_due(graph: Graph, step: Step, run: Interval) -> bool:
    """Whether it is this run that makes an interval of a step: on a coarser grid only the run in which that interval ends."""
    return any(run.start < interval.end <= run.end for interval in graph.intervals_for(step, run))


def look(session: Session, step_name: str, run: Interval, *, is_forced: bool = False) -> Turn:
    """Decide what a step has to do in a run. Nothing is written."""
    step = session.graph.step(step_name)
    if not is_due(session.graph, step, run):
        return Turn(step_name, idle=_not_due(session.graph, step, run))
    forced = frozenset({step_name}) if is_forced else frozenset[str]()
    plan = decide(session.graph.name, observe(session, Request([run], steps=frozenset({step_name}), forced=forced)))
    turn = Turn(step_name, plan)
    running = [d for d in turn.decisions if d.action == "run"]
    made_here = {d.pair for d in running}
    missing = [p for d in running for p in missing_inputs(session, step, d.interval) if p not in made_here]
    own = {(s.name, i) for s in session.graph.steps.values() if is_due(session.graph, s, run) for i in session.graph.intervals_for(s, run)}
    skipped = next((pair for pair in missing if pair in own), None)
    if skipped is not None:
        return Turn(step_name, plan, idle=f"`{skipped[0]}` made nothing for {skipped[1].label} in this run")
    unjudged = [
        p for d in turn.decisions if d.action == "run" and isinstance(step, Promotion) for p in unjudged_before(session, step, d.interval)
    ]
    return replace(turn, past=tuple(dict.fromkeys(missing)), unjudged=tuple(dict.fromkeys(unjudged)))


def take(session: Session, turn: Turn, *, late: Mapping[Pair, Late] | None = None) -> list[Receipt]:
    """Take a turn: make what is to be made, and tell what stands. Raises what the step raises, and NotReadyError for a past that is not made.

    `late` is what was waited for in vain: an error says so.
    """
    step = session.graph.step(turn.step)
    if turn.past:
        raise _not_ready(session, turn)
    confirm_standing(session, turn.plan)
    check_columns(session, Plan(turn.plan.pipeline, tuple(d for d in turn.plan.decisions if d.is_target or d.action == "skip")))
    carry_out = execute_in_child if step.policy.timeout_s is not None else execute_step
    receipts = []
    for decision in turn.decisions:
        if decision.action != "run":
            receipts.append(standing_receipt(session, decision))
            continue
        with told_late((late or {}).get(decision.pair), *decision.pair):
            receipt = carry_out(session, turn.step, decision.interval, is_forced=decision.is_forced)
        receipts.append(replace(receipt, why=receipt.why or decision.reason))
    return receipts


def _not_ready(session: Session, turn: Turn) -> NotReadyError:
    """All that is missing in one message, and one command for it."""
    at = next(d.interval for d in turn.decisions if d.action == "run").label
    what = "1 interval of an earlier run that is" if len(turn.past) == 1 else f"{len(turn.past)} intervals of earlier runs that are"
    return NotReadyError(
        f"step `{turn.step}` ({at}) reads {what} not made: {named(turn.past)}. Make what is missing: {backfill_command(session, turn.past)}"
    )


def brief(session: Session, step_name: str, receipts: Sequence[Receipt]) -> dict[str, JSON]:
    """The receipts of a turn as one small document: numbers are sums, texts are cut."""
    states = sorted({r.state for r in receipts})
    told: dict[str, JSON] = {
        "step": step_name,
        "state": states[0] if len(states) == 1 else "mixed",
        "cached": all(r.is_cached for r in receipts),
        "why": receipts[-1].why[:_LONGEST_TEXT] if receipts else "",
        "intervals": [r.interval.label for r in receipts[:: max(1, len(receipts) - 1)]],
        "rows_read": sum(r.rows_read for r in receipts),
        "rows_kept": sum(r.rows_kept for r in receipts),
        "rows_quarantined": sum(r.rows_quarantined for r in receipts),
        "size_bytes": sum(r.size_bytes for r in receipts),
        "seconds": round(sum(r.seconds for r in receipts), 4),
    }
    if len(receipts) == 1:
        told |= _one(session, receipts[0])
    return told


# ---------------------------------------------------------------- the end of a run


EndState = Literal["done", "failed", "blocked"]


@dataclass(frozen=True)
class Ended:
    """How a step's task ended, as its orchestrator knows it: `brief` is what it told, `error` why it failed."""

    state: EndState
    brief: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    error: str = ""


def endings(unit: Unit, state: EndState, told: Mapping[str, Mapping[str, JSON]]) -> dict[str, Ended]:
    """How the steps of a task ended, from how the task did and what it told of each. A task that fails has one step that failed:
    those before it are done, those after it are blocked; one that died without a word failed in the first that it did not tell of.
    """
    ended: dict[str, Ended] = {}
    stopped = state == "blocked"
    for step in unit.steps:
        mine = told.get(step, {})
        if stopped:
            ended[step] = Ended("blocked", error="something that it reads failed")
        elif state == "failed" and mine.get("state", "failed") == "failed":
            ended[step] = Ended("failed", error=str(mine.get("error") or "its task died without a word; see its log"))
            stopped = True
        else:
            ended[step] = Ended("done", mine)
    return ended


def close_run(session: Session, run: Interval, ended: Mapping[str, Ended], *, started: float) -> tuple[list[Receipt], Story]:
    """Write the run record and the report, from what is in the lake and how the tasks ended."""
    receipts = [
        _receipt(session, step, interval, ended.get(step.name, Ended("done")))
        for step in session.graph.steps.values()
        for interval in session.graph.intervals_for(step, run)
    ]
    record_run(session, run, receipts)
    ran = Ran(Plan(session.graph.name, ()), Outcome(receipts))
    return receipts, tell_story(session, ran, [run], started=started, has_report=True)


def _receipt(session: Session, step: Step, interval: Interval, ended: Ended) -> Receipt:
    if ended.state != "done":
        failed = ended.state == "failed"
        return Receipt(step.name, step.kind, interval, ended.state, "" if failed else ended.error, error=ended.error if failed else None)
    standing = standing_receipt(session, Decision(step.name, step.kind, interval, "skip", ""))
    if standing.version is None:
        return replace(standing, state="skipped", why=str(ended.brief.get("why", "")))
    if ended.brief.get("intervals") != [interval.label]:
        return standing
    state, seconds = ended.brief.get("state"), ended.brief.get("seconds")
    return replace(
        standing,
        state=state if state in ("made", "copied", "cached") else "cached",
        why=str(ended.brief.get("why", "")),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
    )


def _one(session: Session, receipt: Receipt) -> dict[str, JSON]:
    told: dict[str, JSON] = {
        "version": receipt.version,
        "metrics": dict(list(receipt.metrics.items())[:_MOST_METRICS]),
        "location": receipt.location,
    }
    if receipt.verdict:
        told["verdict"] = {name: receipt.verdict.get(name) for name in ("decision", "why", "number")}
    manifest = None if receipt.kind == "promotion" else session.catalog.current(session.dataset(receipt.step), receipt.interval)
    if manifest is not None:
        told["fingerprint"] = manifest.content.fingerprint
    return told


def _not_due(graph: Graph, step: Step, run: Interval) -> str:
    newest = graph.interval_for(step, run)
    every = f"`{step.name}` is made every {step.grid.label}"
    if newest is None:
        return f"{every}, and none of its intervals since the pipeline's start ends by {run.label}"
    return (
        f"{every}: its newest interval, {newest}, is the business of an earlier run, and {step.grid.next(newest)} is not over in this one"
    )
