"""The operators: one step of one run, and the end of a run. They turn Airflow's words into headrace's calls, and decide nothing.

The invariant: an operator holds plain texts and numbers only, so that a DAG serializes the same at every parse; the pipeline is
opened when the task runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn, cast

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from headrace.airflow.interval import RunTimes, interval_of
from headrace.airflow.trigger import CommitsTrigger
from headrace.core.errors import is_transient
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.run.backfill import experiment_of
from headrace.run.opening import open_pipeline
from headrace.run.session import Session, utc_now
from headrace.run.task import Ended, Turn, brief, close_run, look, take
from headrace.steps.boundary import user_traceback

__all__ = ["RunRecordOperator", "StepOperator"]


class _PipelineOperator(BaseOperator):
    """What both have: the file, the pipeline in it, and the profile. Nothing of them is a template."""

    def __init__(self, *, file: str, pipeline: str, profile: str | None = None, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # Airflow's own options
        self.file = file
        self.pipeline = pipeline
        self.profile = profile

    def _open(self, context: Context) -> tuple[Session, Interval]:
        """The session and the interval of this run, as its parameters ask."""
        asked = _asked(context)
        session = open_pipeline(Path(self.file), name=self.pipeline, profile=self.profile, overrides=asked.settings, who="airflow")
        changed = frozenset(asked.settings) | (frozenset(session.graph.steps) if "all" in asked.forced else asked.forced)
        if changed and not asked.is_kept:
            session = experiment_of(session, changed)
        return session, interval_of(session.graph, _times(context), now=utc_now())

    def _fail(self, context: Context, error: Exception) -> NoReturn:
        """Tell what happened, headrace's message first, and end the task: to be tried again only where that can help."""
        text = str(error).strip() or type(error).__name__
        self.log.error(text)
        theirs = user_traceback(error)
        if theirs:
            self.log.error(theirs)
        context["ti"].xcom_push(key="return_value", value={"step": self.task_id, "state": "failed", "error": text[:2000]})
        raise (AirflowException if is_transient(error) else AirflowFailException)(text) from None


class StepOperator(_PipelineOperator):
    """One step of one run, by the same calls as `headrace run`."""

    ui_color = "#dcebf7"

    def __init__(self, *, step: str, wait_s: float = 0, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.step = step
        self.wait_s = wait_s

    def execute(self, context: Context) -> dict[str, JSON]:
        """Take the step's turn, once its past is made."""
        return self._take(context, wait_s=self.wait_s)

    def resume(self, context: Context, event: Mapping[str, object]) -> dict[str, JSON]:
        """Take the step's turn after waiting: what is still missing now is an error that names it."""
        self.log.info("headrace: waited, %s commits are still missing", event["missing"])
        return self._take(context, wait_s=0)

    def _take(self, context: Context, *, wait_s: float) -> dict[str, JSON]:
        try:
            session, run = self._open(context)
            forced = _asked(context).forced
            turn = look(session, self.step, run, is_forced=bool(forced & {self.step, "all"}))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told first
            self._fail(context, error)
        self.log.info("headrace: step `%s` of run %s, lake %s", self.step, run, session.lake.uri)
        if turn.idle:
            raise AirflowSkipException(turn.idle)
        if turn.past and wait_s:
            self._wait(session, turn)
        try:
            told = brief(session, self.step, take(session, turn))
        except Exception as error:  # noqa: BLE001
            self._fail(context, error)
        self.log.info("headrace: `%s` %s: %s", self.step, told["state"], told["why"] or "nothing changed")
        if told["state"] == "skipped":
            raise AirflowSkipException(str(told["why"]))
        return told

    def _wait(self, session: Session, turn: Turn) -> NoReturn:
        named = ", ".join(f"`{step}` {interval.label}" for step, interval in turn.past[:5])
        self.log.info("headrace: waiting up to %.0f s for %d commits of earlier runs: %s", self.wait_s, len(turn.past), named)
        until = datetime.now(UTC) + timedelta(seconds=self.wait_s)
        missing = [[session.dataset(step), i.start.isoformat(), i.end.isoformat()] for step, i in turn.past]
        trigger = CommitsTrigger(session.lake.uri, session.graph.name, missing, until.isoformat())
        self.defer(trigger=trigger, method_name="resume")


class RunRecordOperator(_PipelineOperator):
    """The end of a run, however its steps ended: the run record and the report."""

    ui_color = "#e8e8e8"

    def execute(self, context: Context) -> dict[str, JSON]:
        """Write the run record and the report."""
        try:
            session, run = self._open(context)
            started = context["dag_run"].start_date
            since = started.timestamp() if started else time.time()
            receipts, story = close_run(session, run, _ended(context, session), started=since)
        except Exception as error:  # noqa: BLE001
            self._fail(context, error)
        for line in story.lines:
            self.log.info("headrace: %s", line)
        states = [r.state for r in receipts]
        return {"interval": run.label, "report": story.report, "states": {s: states.count(s) for s in sorted(set(states))}}


# ---------------------------------------------------------------- Airflow's words


class _Asked:
    """What the run's parameters ask for."""

    def __init__(self, params: Mapping[str, object]) -> None:
        forced = params.get("force")
        self.forced = frozenset(str(step) for step in forced) if isinstance(forced, list | tuple) else frozenset[str]()
        self.is_kept = bool(params.get("keep"))
        self.settings: dict[str, dict[str, JSON]] = {}
        for name, value in params.items():
            step, dot, setting = name.rpartition(".")
            if dot and value is not None:
                self.settings.setdefault(step, {})[setting] = cast(JSON, value)


def _asked(context: Context) -> _Asked:
    return _Asked(dict(context["params"]))


def _times(context: Context) -> RunTimes:
    run = context["dag_run"]
    at = dict(context["params"]).get("at")
    start, end = run.data_interval_start, run.data_interval_end
    return RunTimes(
        run_after=run.run_after,
        at=None if at is None else str(at),
        partition_key=run.partition_key,
        partition_date=run.partition_date,
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
