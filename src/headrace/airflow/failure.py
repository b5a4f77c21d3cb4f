"""A task that fails: told in headrace's words first, to the log, to Airflow's callbacks and to the task's XCom.

The invariant: only what may go away by itself is tried again; broken data, a contract, a setting or the user's own code fail at once,
since trying again gives the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn, cast

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from headrace.airflow.base import PipelineOperator
from headrace.core.errors import StepTimeoutError
from headrace.core.interval import Interval
from headrace.run.failure import failure_of
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.run.task import Turn
from headrace.steps.boundary import user_traceback

__all__ = ["CONTEXT", "fail"]

CONTEXT = "headrace"
"""The name in a callback's context under which it finds the failure: its fields, and `text` for people."""


def fail(
    operator: PipelineOperator,
    context: Context,
    error: Exception,
    *,
    step: str,
    run: Interval | None = None,
    session: Session | None = None,
    turn: Turn | None = None,
) -> NoReturn:
    """Tell what happened, headrace's message first, and end the task: to be tried again only where that can help."""
    error = _in_words(error, operator)
    failure = failure_of(error, pipeline=operator.pipeline, step=step, file=Path(operator.file), run=run, session=session, turn=turn)
    text = redacted(str(error).strip()) or type(error).__name__
    operator.log.error(text)
    theirs = redacted(user_traceback(error))
    if theirs:
        operator.log.error(theirs)
    operator.log.error("headrace: what to do: %s", failure.fix)
    cast("dict[str, object]", context)[CONTEXT] = failure.as_json()
    context["ti"].xcom_push(key="return_value", value={"step": step, "state": "failed", "error": failure.error, "fix": failure.fix})
    raise (AirflowException if failure.is_transient else AirflowFailException)(text) from None


def _in_words(error: Exception, operator: PipelineOperator) -> Exception:
    """Airflow's execution_timeout comes up in the middle of whatever runs: in the user's code too, which is not to blame."""
    if not isinstance(error.__cause__, AirflowTaskTimeout):
        return error
    limit = operator.execution_timeout
    seconds = f" of {limit.total_seconds():g} s" if limit is not None else ""
    return StepTimeoutError(
        f"`{operator.task_id}` ran longer than its execution_timeout{seconds} and was ended; nothing of it was committed. "
        "Raise it, or make the step's work smaller."
    )
