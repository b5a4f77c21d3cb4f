"""Who gets a DAG from `airflow_dag`, with the real Airflow: `python airflow_readers.py FOLDER`, one JSON document on the last line.

All in one process, since importing Airflow is what costs: not Airflow first, with Airflow loaded; then Airflow's own ways to read files.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import runpy
import sys
from pathlib import Path
from typing import Any

from airflow.cli.cli_parser import get_parser
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session

from headrace.run.loading import load_pipeline


def main() -> None:
    folder = Path(sys.argv[1])
    file = folder / "numbers_dag.py"
    notebook: dict[str, Any] = {"__name__": "__main__", "__file__": str(file)}
    exec(compile(file.read_text(), "cell", "exec"), notebook)
    with multiprocessing.get_context("fork").Pool(1) as forked, multiprocessing.get_context("spawn").Pool(1) as spawned:
        others = {
            "notebook": notebook["dag"] is not None,
            "python file.py": runpy.run_path(str(file), run_name="__main__")["dag"] is not None,
            "headrace run": load_pipeline(file).module.dag is not None,
            "forked child": forked.apply(is_dag, (str(file),)),
            "spawned child": spawned.apply(is_dag, (str(file),)),
        }
    bag = DagBag(dag_folder=str(folder))
    dags = {name: Path(dag.fileloc).name for name, dag in sorted(bag.dags.items())}
    answer = {"others": others, "dags": dags, "errors": bag.import_errors, "listed": listed(), "processed": processed()}
    print(json.dumps(answer | {"tests": [tested("tasks", "few"), tested("dags")]}))


def is_dag(file: str) -> bool:
    return runpy.run_path(file)["dag"] is not None


def command(*words: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        asked = get_parser().parse_args(words)
        asked.func(asked)
    return said.getvalue()


def listed() -> list[str]:
    """`airflow dags list`, of the files and not of the database."""
    said = command("dags", "list", "--local", "--output", "json")
    return sorted(dag["dag_id"] for dag in json.loads(said[said.index("[\n") if "[\n" in said else said.index("[{") :]))


def processed() -> list[str]:
    """What the DAG processor writes into the database."""
    command("dag-processor", "--num-runs", "1")
    with create_session() as session:
        return sorted(dag_id for (dag_id,) in session.query(SerializedDagModel.dag_id).distinct())


def tested(what: str, *task: str) -> str:
    return command(what, "test", "numbers", *task, "2026-01-03")[-300:]


if __name__ == "__main__":
    main()
