"""One reading of a DAG file by Airflow, in a process of its own: `python -m headrace.airflow.reading FILE FOLDER ANSWER [--others]`.

The file is read as the DAG processor does: through Airflow's DagBag, with the bundle's folder on the path, and no database. What came of it
goes into the file ANSWER, as JSON. The invariant: nothing is judged here, that is the business of `headrace.airflow.findings`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
from airflow import settings
from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import DAG, Asset
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.file import list_py_file_paths, might_contain_dag

from headrace.airflow.base import PipelineOperator
from headrace.airflow.imports import ImportCosts
from headrace.core.errors import HeadraceError
from headrace.core.ports import JSON
from headrace.run.loading import load_pipeline

__all__: list[str] = []

_MOST_OTHERS = 300
_WARM = "from airflow.sdk import DAG, CronPartitionTimetable, Param, TaskGroup\n\nwith DAG('warm'):\n    pass\n"


def main() -> None:
    """Read the file, and with --others those beside it; write what came of it."""
    file, folder, answer = map(Path, sys.argv[1:4])
    sys.path.append(str(folder))
    _warm()
    told = _read(file, folder)
    if "--others" in sys.argv:
        told["others"] = list(_others(file, folder))
    answer.write_text(json.dumps(told, default=str))


def _warm() -> None:
    """What Airflow does once in a process is not the file's."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "warm.py").write_text(_WARM)
        _bag(Path(name)).process_file(str(Path(name) / "warm.py"), safe_mode=False)


def _bag(folder: Path) -> Any:  # its methods have no annotations
    return DagBag(dag_folder=str(folder), bundle_path=folder, collect_dags=False)


def _read(file: Path, folder: Path) -> dict[str, JSON]:
    bag = _bag(folder)
    with ImportCosts() as costs:
        cpu, wall = time.process_time(), time.perf_counter()
        bag.process_file(str(file), safe_mode=False)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    timeout = settings.get_dagbag_import_timeout(str(file))
    return {
        "airflow": airflow.__version__,
        "cpu_s": cpu,
        "wall_s": wall,
        "limit_s": float(timeout),
        "has_words": might_contain_dag(str(file), safe_mode=conf.getboolean("core", "DAG_DISCOVERY_SAFE_MODE")),
        "is_ignored": _is_ignored(file, folder),
        "errors": list(bag.import_errors.values()),
        "warnings": [said for warned in bag.captured_warnings.values() for said in warned],
        "imports": costs.document(),
        "dags": [_dag(dag) for _, dag in sorted(bag.dags.items())],
        "unopened": _unopened(list(bag.dags.values())),
    }


def _is_ignored(file: Path, folder: Path) -> bool:
    if not any((parent / ".airflowignore").exists() for parent in file.parents if parent.is_relative_to(folder)):
        return False
    return str(file) not in list_py_file_paths(folder, safe_mode=False)


def _dag(dag: DAG) -> dict[str, JSON]:
    serialized = DagSerialization.to_dict(dag)
    stored: Any = SerializedDagModel
    timetable: Any = dag.timetable
    return {
        "id": dag.dag_id,
        "tasks": len(dag.tasks),
        "schedule": getattr(timetable, "expression", None) or type(timetable).__name__.removesuffix("Timetable").lower(),
        "start": dag.start_date.isoformat() if dag.start_date else None,
        "params": sorted(dag.params),
        "version": stored.hash(serialized),
        "serialized": serialized,
        "assets": _assets(dag),
    }


def _assets(dag: DAG) -> list[JSON]:
    found = {(asset.name, asset.uri) for task in dag.tasks for asset in (*task.outlets, *task.inlets) if isinstance(asset, Asset)}
    condition: Any = getattr(dag.timetable, "asset_condition", None)
    if condition is not None:
        found |= {(asset.name, asset.uri) for _, asset in condition.iter_assets()}
    return [[name, uri] for name, uri in sorted(found)]


def _unopened(dags: list[DAG]) -> list[JSON]:
    """The pipelines of tasks that could not open them."""
    asked = {(task.file, task.pipeline) for dag in dags for task in dag.tasks if isinstance(task, PipelineOperator)}
    said: list[JSON] = []
    for file, pipeline in sorted(asked):
        try:
            load_pipeline(file, name=pipeline)
        except HeadraceError as error:
            said.append([pipeline, str(error)])
    return said


def _others(file: Path, folder: Path) -> Iterator[dict[str, JSON]]:
    """What the other files of the folder make: DAGs and assets by name."""
    files = [path for path in list_py_file_paths(folder) if Path(path).resolve() != file.resolve()]
    for path in sorted(files)[:_MOST_OTHERS]:
        bag = _bag(folder)
        bag.process_file(path)
        yield {
            "file": str(Path(path).relative_to(folder)),
            "failed": bool(bag.import_errors),
            "dags": [{"id": dag.dag_id, "assets": _assets(dag)} for dag in bag.dags.values()],
        }


if __name__ == "__main__":
    main()
