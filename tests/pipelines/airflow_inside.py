"""What only Airflow's own code can show, in a process of its own: `python airflow_inside.py NAME FILE DAG`, answered in JSON on the last line.

Nothing is started: functions of Airflow are called on a migrated database, as its scheduler, command line and triggerer would.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.backfill import AirflowException, Backfill, ReprocessBehavior, _create_backfill
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.ti_deps.dep_context import DepContext
from airflow.ti_deps.deps.prev_dagrun_dep import PrevDagrunDep
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType


def stored(file: str) -> DagBag:
    """The file's DAGs, put into the database as the DAG processor does."""
    bag = DagBag(dag_folder=file)
    assert not bag.import_errors, bag.import_errors
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    return bag


def backfills(file: str, dag_id: str) -> dict[str, Any]:
    """What becomes of backfills forwards and backwards, and whether the runs of one wait for each other."""
    stored(file)
    found = {"backwards": created(dag_id, is_backwards=True), "forwards": created(dag_id, is_backwards=False)}
    with create_session() as session:
        runs = session.query(DagRun).filter_by(dag_id=dag_id, run_type="backfill").order_by(DagRun.run_after).all()
        found["runs"] = [run.run_id for run in runs]
        found["keys"] = [run.partition_key for run in runs]
        found["blocked"] = []
        for run in runs:
            run.dag = SerializedDagModel.get_dag(dag_id, session=session)
            for ti in run.get_task_instances(session=session):
                ti.task = run.dag.get_task(ti.task_id)
                states = PrevDagrunDep().get_dep_statuses(ti, DepContext(), session=session)
                found["blocked"] += [f"{run.run_id} {ti.task_id}" for state in states if not state.passed]
    return found


def created(dag_id: str, *, is_backwards: bool) -> str:
    try:
        _create_backfill(
            dag_id=dag_id,
            from_date=datetime(2026, 1, 2, tzinfo=UTC),
            to_date=datetime(2026, 1, 4, tzinfo=UTC),
            max_active_runs=1,
            reverse=is_backwards,
            dag_run_conf={},
            triggering_user_name="test",
            reprocess_behavior=ReprocessBehavior.FAILED,
            run_on_latest_version=True,
        )
    except AirflowException as error:
        return f"{type(error).__name__}: {error}"
    with create_session() as session:
        for backfill in session.query(Backfill):
            backfill.completed_at = datetime.now(UTC)
    return "created"


def deadlines(file: str, dag_id: str) -> dict[str, Any]:
    """What is stored of a DAG with a deadline, when it is parsed twice, and what a run of it gets and says when it is late."""
    stored(file)
    bag = stored(file)
    with create_session() as session:
        versions = session.query(SerializedDagModel).filter_by(dag_id=dag_id).count()
        dag = SerializedDagModel.get_dag(dag_id, session=session)
        assert dag is not None
        run = dag.create_dagrun(
            run_id="late",
            run_after=datetime.now(UTC),
            run_type="manual",
            triggered_by=DagRunTriggeredByType.CLI,
            state="queued",
            partition_key="2026-01-02T00:00:00",
            partition_date=datetime(2026, 1, 2, tzinfo=UTC),
            session=session,
        )
        session.flush()
        (deadline,) = session.query(Deadline).filter_by(dagrun_id=run.id)
        after = deadline.deadline_time - run.queued_at
        deadline.handle_miss(session=session)
        data = dict(deadline.callback.data)
    assert bag
    return {
        "versions": versions,
        "after_s": round(after / timedelta(seconds=1)),
        "events": asyncio.run(fired(data["path"], data["kwargs"])),
    }


async def fired(path: str, kwargs: dict[str, Any]) -> list[Any]:
    """The events of Airflow's trigger that calls a callback."""
    from airflow.triggers.callback import CallbackTrigger

    return [event.payload async for event in CallbackTrigger(path, kwargs).run()]


if __name__ == "__main__":
    name, file, dag_id = sys.argv[1:]
    answer = {"backfills": backfills, "deadlines": deadlines}[name](file, dag_id)
    Path("answer").write_text(json.dumps(answer, default=str))
