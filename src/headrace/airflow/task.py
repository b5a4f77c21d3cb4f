"""What happens in a task: Airflow's words are turned into headrace's calls, and headrace's answers into Airflow's.

Nothing is decided here. The invariant: headrace's message is the first that the log says of a failure, and only what may go away by
itself is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from headrace.airflow.arrival import wait_for_arrival
from headrace.airflow.assets import publish
from headrace.airflow.base import PipelineOperator
from headrace.airflow.connections import serve_connections
from headrace.airflow.failure import fail
from headrace.airflow.interval import RunTimes, interval_of, is_too_early
from headrace.airflow.lineage import Taken
from headrace.airflow.links import model_url, report_url
from headrace.airflow.waiting import check_direction, check_waited, wait_for
from headrace.core.grouping import units_of
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.run.backfill import chosen_steps, experiment_of
from headrace.run.brief import fitted
from headrace.run.opening import open_pipeline
from headrace.run.past import named
from headrace.run.redaction import redacted
from headrace.run.session import Session, utc_now
from headrace.run.story import report_key
from headrace.run.task import Ended, EndState, brief, close_run, endings, look, take
from headrace.run.tracking import tracker_page

__all__ = ["end_run", "take_step"]

_ENDS: Mapping[str, EndState] = {"failed": "failed", "upstream_failed": "blocked"}


def take_step(
    operator: PipelineOperator, step: str, context: Context, *, wait_s: float, event: Mapping[str, object] | None = None
) -> dict[str, JSON]:
    """Take a step's turn in a run; what it did, as a small XCom. `event` is what a wait for the past came to."""
    with operator.working():
        return _take_step(operator, step, context, wait_s, event or {})


def _take_step(operator: PipelineOperator, step: str, context: Context, wait_s: float, event: Mapping[str, object]) -> dict[str, JSON]:
    session, run, turn = None, None, None
    try:
        session, run, again = _open(operator, context)
        operator.log.info("headrace: step `%s` of run %s, lake %s", step, run, redacted(session.lake.uri))
        check_direction(context, session, step)
        operator.turns[step] = Taken(session, run)
        turn = look(session, step, run, is_forced=step in again)
        check_waited(turn, event)
    except AirflowSkipException:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told first
        fail(operator, context, error, step=step, run=run, session=session, turn=turn)
    if turn.idle:
        raise AirflowSkipException(turn.idle)
    if wait_s and (turn.past or turn.unjudged):
        wait_for(operator, session, turn, wait_s)
    late = wait_for_arrival(operator, session, turn, event)
    if turn.unjudged:
        operator.log.warning("headrace: goes on before %s, which were not judged in time; see their runs", named(turn.unjudged))
    try:
        receipts = take(session, turn, late=late)
        operator.turns[step].receipts = receipts
        told = fitted(brief(session, step, receipts))
    except Exception as error:  # noqa: BLE001
        fail(operator, context, error, step=step, run=run, session=session, turn=turn)
    finally:
        session.tidy()
    _tell(operator, step, run, told)
    _link(operator, session, step, run)
    if told["state"] == "skipped":
        raise AirflowSkipException(str(told["why"]))
    publish(operator, context, session, step, told, receipts)
    return told


def _tell(operator: PipelineOperator, step: str, run: Interval, told: Mapping[str, JSON]) -> None:
    operator.log.info("headrace: `%s` %s%s: %s", step, told["state"], _figures(told), told["why"] or "nothing changed")
    if told["state"] == "cached":
        operator.log.info(
            "headrace: what stands is still true, so nothing was made, as when a task is cleared; to make it again in any case, "
            'trigger the DAG with force=["%s"], at="%s" and keep=true',
            step,
            run.label,
        )


def _figures(told: Mapping[str, JSON]) -> str:
    """What a step made, in figures: rows, and what a model measured."""
    if told["state"] not in ("made", "copied"):
        return ""
    metrics = told.get("metrics")
    said = [f"{told[key]:,} {what}" for key, what in (("rows_kept", "rows"), ("rows_quarantined", "in quarantine")) if told.get(key)]
    said += [f"{name} {value:.4g}" for name, value in metrics.items() if isinstance(value, float)] if isinstance(metrics, Mapping) else []
    return f" ({', '.join(said)})" if said else ""


def _link(operator: PipelineOperator, session: Session, step: str, run: Interval) -> None:
    """Where the buttons of the task lead: only the tasks of models have some, and the last one's."""
    if operator.operator_extra_links:
        operator.links["report"] = report_url(report_key(session, [run]))
        operator.links["model"] = model_url(tracker_page(session), f"{session.graph.name}.{step.removesuffix('.promotion')}")


def end_run(operator: PipelineOperator, context: Context) -> dict[str, JSON]:
    """Write the record and the report of a run; where they are, as a small XCom."""
    session, run = None, None
    try:
        session, run, _ = _open(operator, context)
        began = context["dag_run"].start_date
        receipts, story = close_run(session, run, _ended(context, session), started=began.timestamp() if began else time.time())
    except AirflowSkipException:
        raise
    except Exception as error:  # noqa: BLE001
        fail(operator, context, error, step=operator.task_id, run=run, session=session)
    finally:
        if session is not None:
            session.tidy()
    if story.report is not None:
        operator.links["report"] = report_url(report_key(session, [run]))
    for line in story.lines:
        operator.log.info("headrace: %s", line)
    states = [receipt.state for receipt in receipts]
    return {"interval": run.label, "report": story.report, "states": {state: states.count(state) for state in sorted(set(states))}}


def _open(operator: PipelineOperator, context: Context) -> tuple[Session, Interval, frozenset[str]]:
    """The session and the interval of a run, and the steps to be made again, as its parameters ask."""
    serve_connections()
    forced, settings, is_kept = _asked(dict(context["params"]))
    file = Path(operator.file).resolve()  # links are followed: settings and a lake of its own are beside the file, not beside the link
    session = open_pipeline(file, name=operator.pipeline, profile=operator.profile, overrides=settings, who="airflow")
    again = frozenset(session.graph.steps) if "all" in forced else frozenset(chosen_steps(session, forced) or ())
    changed = frozenset(settings) | again
    if changed and not is_kept:
        session = experiment_of(session, changed)
    times = _times(context)
    if context["dag_run"].run_type == "asset_triggered" and is_too_early(session.graph, times):
        raise AirflowSkipException(f"a dataset was made for {times.partition_key}, which is before pipeline `{session.graph.name}` starts")
    return session, interval_of(session.graph, times, now=utc_now()), again


# ---------------------------------------------------------------- Airflow's words


def _asked(params: Mapping[str, object]) -> tuple[list[str], dict[str, dict[str, JSON]], bool]:
    """What a run's parameters ask for: the steps to make again, settings by step, and whether that becomes current."""
    forced = params.get("force")
    settings: dict[str, dict[str, JSON]] = {}
    for name, value in params.items():
        step, dot, setting = name.rpartition(".")
        if dot and value is not None:
            settings.setdefault(step, {})[setting] = cast(JSON, value)
    return [str(step) for step in forced] if isinstance(forced, list | tuple) else [], settings, bool(params.get("keep"))


def _times(context: Context) -> RunTimes:
    run = context["dag_run"]
    at = dict(context["params"]).get("at")
    start, end = run.data_interval_start, run.data_interval_end
    return RunTimes(
        run_after=run.run_after,
        at=None if at is None else str(at),
        partition_key=run.partition_key,
        partition_date=getattr(run, "partition_date", None),  # Airflow 3.2 tells the key alone
        data_interval=None if start is None or end is None else (start, end),
        logical_date=run.logical_date,
    )


def _ended(context: Context, session: Session) -> dict[str, Ended]:
    """How the run's steps ended, by the states of their tasks and what they told."""
    ti = context["ti"]
    units = units_of(session.graph.steps)
    told = [t for t in ti.xcom_pull(task_ids=list(units)) or () if isinstance(t, dict)]
    by_step = {str(one["step"]): one for t in told for one in t.get("steps", [t])}
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=list(units), run_ids=[ti.run_id]).get(ti.run_id, {})
    ended: dict[str, Ended] = {}
    for unit in units.values():
        state = str(states.get(unit.name) or "")
        ended |= endings(unit, _ENDS.get(state, "done"), by_step)
    return ended
