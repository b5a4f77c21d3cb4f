"""Runs of DAGs in a process of their own, without a scheduler: `python airflow_runs.py ASKED`, asked and answered in JSON.

The file ASKED has `file`, `answer` (the file to write) and `runs`: each with `dag`, and a partition `key`, a `logical_date` or
neither, `conf`, and `meanwhile` (commands, see `airflow_person`). A run is
Airflow's `dag.test()`, which makes manual runs only; a partition is put on the run as it is made.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import airflow.models.dagrun
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent, PartitionedAssetKeyLog
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow_person import questions, runs_of, while_asking


def main() -> None:
    asked = json.loads(Path(sys.argv[1]).read_text())
    bag = DagBag(dag_folder=asked["file"])
    assert not bag.import_errors, bag.import_errors
    answer = [run(bag.dags[one["dag"]], one) for one in asked["runs"]]
    told = events()
    for one in answer:
        one["events"] = [event for event in told if event["run"] == one["run"]]
    Path(asked["answer"]).write_text(json.dumps(answer))


def run(dag: Any, asked: dict[str, Any]) -> dict[str, Any]:
    print(f"=== run {asked}", flush=True)
    date = asked.get("logical_date")
    given = patch.object(airflow.models.dagrun, "get_or_create_dagrun", partitioned(asked.get("key")))
    with given, while_asking(dag.dag_id, asked.get("meanwhile", ())):
        made = dag.test(logical_date=None if date is None else at(date), run_after=at(asked.get("after")), run_conf=asked.get("conf"))
    tasks = {ti.task_id: {"state": str(ti.state), "tries": ti.try_number} for ti in made.get_task_instances()}
    with create_session() as session:
        for found in session.query(XComModel).filter_by(dag_id=dag.dag_id, run_id=made.run_id, key="return_value"):
            tasks[found.task_id]["told"] = json.loads(found.value) if isinstance(found.value, str) else found.value
    asking = {other: runs_of(other) for other in asked.get("runs_of", ())}
    return {"run": made.run_id, "state": str(made.state), "tasks": tasks, "questions": questions(dag.dag_id), "runs_of": asking}


def events() -> list[dict[str, Any]]:
    """The events of assets, and the runs of other DAGs that they ask for."""
    with create_session() as session:
        found = []
        for event in session.query(AssetEvent).order_by(AssetEvent.id):
            asked = session.query(PartitionedAssetKeyLog).filter_by(asset_event_id=event.id)
            found.append(
                {
                    "run": event.source_run_id,
                    "task": event.source_task_id,
                    "asset": event.asset.name,
                    "uri": event.asset.uri,
                    "key": event.partition_key,
                    "extra": event.extra,
                    "asks": {one.target_dag_id: one.target_partition_key for one in asked},
                }
            )
        return found


def partitioned(key: str | None) -> Any:
    real = airflow.models.dagrun.get_or_create_dagrun

    def make(*args: Any, session: Any, **kwargs: Any) -> Any:
        made = real(*args, session=session, **kwargs)
        if key is not None:
            made.partition_key, made.partition_date = key, at(key)
            session.merge(made)
            session.commit()
        return made

    return make


def at(time: str | None) -> datetime | None:
    return None if time is None else datetime.fromisoformat(time).replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
