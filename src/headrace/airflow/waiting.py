"""Waiting for earlier runs, by Airflow's triggerer; and the backfills that would wait for themselves.

What is waited for, headrace decides (`Turn`). The invariant: a wait ends, and the step then takes its turn whatever came of it, so that
what is still missing is named by the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from airflow.sdk import Context

from headrace.airflow.base import PipelineOperator
from headrace.airflow.trigger import CommitsTrigger
from headrace.core.errors import ConfigurationError, TransientError
from headrace.core.past import needs_past
from headrace.run.access import plain_access
from headrace.run.past import named
from headrace.run.session import Session
from headrace.run.task import Turn

__all__ = ["check_direction", "check_waited", "wait_for"]

_GRACE = timedelta(minutes=5)  # for a triggerer that is busy or starts late


def wait_for(operator: PipelineOperator, session: Session, turn: Turn, wait_s: float) -> NoReturn:
    """Give the worker back, and take the turn again when what it waits for is there, or after `wait_s` seconds."""
    needed = (*turn.past, *turn.unjudged)
    operator.log.info("headrace: waiting up to %.0f s for %d commits of earlier runs: %s", wait_s, len(needed), named(needed))
    until = datetime.now(UTC) + timedelta(seconds=wait_s)
    missing = [[step, i.start.isoformat(), i.end.isoformat()] for step, i in needed]
    way_in = session.connections.of_lake()
    connection = way_in.id if way_in is not None else ""
    trigger = CommitsTrigger(session.lake.uri, session.graph.name, missing, until.isoformat(), connection, plain_access(session.config))
    operator.defer(trigger=trigger, method_name="resume", timeout=timedelta(seconds=wait_s) + _GRACE)


def check_waited(turn: Turn, event: Mapping[str, object]) -> None:
    """TransientError when the triggerer could not look, and the past is not there: nobody knows how long it would have taken."""
    error = event.get("error")
    if turn.past and error:
        raise TransientError(
            f"step `{turn.step}` waits for {named(turn.past)}, and Airflow's triggerer could not look for them: {error}. "
            "It needs the lake and its credentials as the workers do."
        )


def check_direction(context: Context, session: Session, step: str) -> None:
    """ConfigurationError for a backfill of classic runs that goes backwards, where the step needs earlier ones.

    Airflow starts a backfill's runs in its order. So when the run of the interval before is still queued in this very backfill,
    the order is the wrong one. (Partitioned ones are refused as they are created.)
    """
    run = context["dag_run"]
    start = run.data_interval_start
    if run.run_type != "backfill" or start is None or not needs_past(session.graph, session.graph.step(step)):
        return
    ti = context["ti"]
    before = f"backfill__{start.isoformat()}"
    if ti.get_dr_count(dag_id=ti.dag_id, run_ids=[before], states=["queued"]):
        raise ConfigurationError(
            f"This backfill of `{session.graph.name}` runs backwards: the run of the interval before, {before}, is still queued, and `{step}` "
            "needs what it makes. Cancel the backfill, and create it again without --run-backwards."
        )
