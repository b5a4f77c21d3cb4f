"""A group of steps in one task: their turns one after the other, as separate tasks would take them.

The invariant: each step's receipt is told as if it had a task of its own, whatever becomes of the others: a step with nothing to do
does not skip the next, and a failed one leaves the receipts of those before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from headrace.airflow.assets import stay_silent
from headrace.airflow.base import PipelineOperator
from headrace.airflow.failure import CONTEXT
from headrace.airflow.task import take_step
from headrace.core.ports import JSON
from headrace.run.brief import fitted

__all__ = ["take_group"]

_MOST_BYTES = 16_384
_LEAST_BYTES = 1_024


def take_group(
    operator: PipelineOperator, steps: Sequence[str], context: Context, *, wait_s: float, event: Mapping[str, object] | None = None
) -> dict[str, JSON]:
    """Take the turns of a group's steps in a run; what they did, as a small XCom. `event` is what a wait for the past came to."""
    told: list[JSON] = []
    most = max(_LEAST_BYTES, _MOST_BYTES // len(steps))
    skipped = []
    for step in steps:
        try:
            told.append(fitted(take_step(operator, step, context, wait_s=wait_s, event=event), most=most))
        except AirflowSkipException as skip:
            operator.log.info("headrace: `%s` has nothing to do: %s", step, skip)
            told.append(fitted({"step": step, "state": "skipped", "why": str(skip)}, most=most))
            skipped.append(step)
        except AirflowException as error:
            failure = cast("dict[str, Mapping[str, JSON]]", context).get(CONTEXT, {})
            said: dict[str, JSON] = {"error": failure.get("error", str(error)), "fix": failure.get("fix", "")}
            told.append(fitted({"step": step, "state": "failed", **said}, most=most))
            context["ti"].xcom_push(key="return_value", value={"group": operator.task_id, "steps": told})
            raise
    if len(skipped) == len(steps):
        raise AirflowSkipException(f"none of the steps of `{operator.task_id}` has anything to do in this run")
    stay_silent(operator, [f"{operator.pipeline}.{step}" for step in skipped])
    return {"group": operator.task_id, "steps": told}
