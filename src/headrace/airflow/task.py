"""What happens in a task: Airflow's words are turned into headrace's calls, and headrace's answers into Airflow's.

Nothing is decided here. The invariant: headrace's message is the first that the log says of a failure, and only what may go away by
itself is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn, cast

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from headrace.airflow.base import PipelineOperator
from headrace.airflow.interval import RunTimes, interval_of
from headrace.airflow.trigger import CommitsTrigger
from headrace.core.errors import is_transient
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.run.backfill import chosen_steps, experiment_of
from headrace.run.opening import open_pipeline
from headrace.run.session import Session, utc_now
from headrace.run.task import Ended, Turn, brief, close_run, look, take
from headrace.steps.boundary import user_traceback

__all__ = ["end_run", "take_step"]

_LONGEST_ERROR = 2000


def take_step(operator: PipelineOperator, step: str, context: Context, *, wait_s: float) -> dict[str, JSON]:
    """Take a step's turn in a run; what it did, as a small XCom."""
    try:
        session, run, again = _open(operator, context)
        turn = look(session, step, run, is_forced=step in again)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told first
        _fail(operator, context, error)
    operator.log.info("headrace: step `%s` of run %s, lake %s", step, run, session.lake.uri)
    if turn.idle:
        raise AirflowSkipException(turn.idle)
    if turn.past and wait_s:
        _wait(operator, session, turn, wait_s)
    try:
        told = brief(session, step, take(session, turn))
    except Exception as error:  # noqa: BLE001
        _fail(operator, context, error)
    operator.log.info("headrace: `%s` %s: %s", step, told["state"], told["why"] or "nothing changed")
    if told["state"] == "cached":
        operator.log.info(
            "headrace: clearing a task runs it again, and makes nothing that stands; to make it again, trigger the DAG with force"
        )
    if told["state"] == "skipped":
        raise AirflowSkipException(str(told["why"]))
    return told


def end_run(operator: PipelineOperator, context: Context) -> dict[str, JSON]:
    """Write the record and the report of a run; where they are, as a small XCom."""
    try:
        session, run, _ = _open(operator, context)
        began = context["dag_run"].start_date
        receipts, story = close_run(session, run, _ended(context, session), started=began.timestamp() if began else time.time())
    except Exception as error:  # noqa: BLE001
        _fail(operator, context, error)
    for line in story.lines:
        operator.log.info("headrace: %s", line)
    states = [receipt.state for receipt in receipts]
    return {"interval": run.label, "report": story.report, "states": {state: states.count(state) for state in sorted(set(states))}}


def _open(operator: PipelineOperator, context: Context) -> tuple[Session, Interval, frozenset[str]]:
    """The session and the interval of a run, and the steps to be made again, as its parameters ask."""
    forced, settings, is_kept = _asked(dict(context["params"]))
    file = Path(operator.file).resolve()  # links are followed: settings and a lake of its own are beside the file, not beside the link
    session = open_pipeline(file, name=operator.pipeline, profile=operator.profile, overrides=settings, who="airflow")
    again = frozenset(session.graph.steps) if "all" in forced else frozenset(chosen_steps(session, forced) or ())
    changed = frozenset(settings) | again
    if changed and not is_kept:
        session = experiment_of(session, changed)
    return session, interval_of(session.graph, _times(context), now=utc_now()), again


def _fail(operator: PipelineOperator, context: Context, error: Exception) -> NoReturn:
    """Tell what happened, headrace's message first, and end the task: to be tried again only where that can help."""
    text = str(error).strip() or type(error).__name__
    operator.log.error(text)
    theirs = user_traceback(error)
    if theirs:
        operator.log.error(theirs)
    context["ti"].xcom_push(key="return_value", value={"step": operator.task_id, "state": "failed", "error": text[:_LONGEST_ERROR]})
    raise (AirflowException if is_transient(error) else AirflowFailException)(text) from None


def _wait(operator: PipelineOperator, session: Session, turn: Turn, wait_s: float) -> NoReturn:
    named = ", ".join(f"`{step}` {interval.label}" for step, interval in turn.past[:5])
    operator.log.info("headrace: waiting up to %.0f s for %d commits of earlier runs: %s", wait_s, len(turn.past), named)
    until = datetime.now(UTC) + timedelta(seconds=wait_s)
    missing = [[step, i.start.isoformat(), i.end.isoformat()] for step, i in turn.past]
    trigger = CommitsTrigger(session.lake.uri, session.graph.name, missing, until.isoformat())
    operator.defer(trigger=trigger, method_name="resume")


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
    names = list(session.graph.steps)
    told = {str(t["step"]): t for t in ti.xcom_pull(task_ids=names) or () if isinstance(t, dict)}
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=names, run_ids=[ti.run_id]).get(ti.run_id, {})
    ended = {}
    for name in names:
        state = str(states.get(name) or "")
        if state == "upstream_failed":
            ended[name] = Ended("blocked", error="something that it reads failed")
        elif state == "failed":
            ended[name] = Ended("failed", error=str(told.get(name, {}).get("error") or "its task died without a word; see its log"))
        else:
            ended[name] = Ended("done", told.get(name, {}))
    return ended
