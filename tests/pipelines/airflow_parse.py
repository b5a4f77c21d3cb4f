"""What Airflow makes of DAG files, in a process of its own: `python airflow_parse.py FOLDER`, one JSON document on the last line."""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization


def main() -> None:
    bag = DagBag(dag_folder=sys.argv[1])
    warned = {file: list(map(str, said)) for file, said in bag.captured_warnings.items()}
    dags = {name: told(dag) for name, dag in sorted(bag.dags.items())}
    print(json.dumps({"errors": bag.import_errors, "warnings": warned, "dags": dags}))


def told(dag: Any) -> dict[str, Any]:
    serialized = DagSerialization.to_dict(dag)
    return {
        "serialized": serialized,
        "version": SerializedDagModel.hash(serialized),  # a new one is a new version of the DAG
        "schedule": getattr(dag.timetable, "expression", None),
        "start": dag.start_date.isoformat() if dag.start_date else None,
        "reads": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "groups": {task.task_id: task.task_group.group_display_name for task in dag.tasks},
        "docs": {task.task_id: task.doc_md for task in dag.tasks},
        "rules": {task.task_id: str(task.trigger_rule) for task in dag.tasks},
        "inlets": {task.task_id: [(one.name, one.uri) for one in task.inlets] for task in dag.tasks},
        "outlets": {task.task_id: [(one.name, one.uri) for one in task.outlets] for task in dag.tasks},
        "pools": {task.task_id: task.pool for task in dag.tasks},
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "said": {name: dag.params.get_param(name).description for name in dag.params},
        "max_active_runs": dag.max_active_runs,
    }


if __name__ == "__main__":
    main()
