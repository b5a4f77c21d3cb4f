"""What happens while a run of a question waits for a person: beside `dag.test()`, in a thread of its process.

`commands` are run once the question is there. (Nobody can answer in a `dag.test()`: its trigger has no API to ask. Answers are tried
on a real Airflow.)
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session


@contextmanager
def while_asking(dag: str, commands: Sequence[Sequence[str]]) -> Iterator[None]:
    is_over = threading.Event()
    thread = threading.Thread(target=_wait_and_act, args=(dag, _ids(dag), commands, is_over), daemon=True)
    if commands:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        if commands:
            thread.join(60)


def questions(dag: str) -> list[dict[str, Any]]:
    """What a DAG's runs have asked: of those that are still there, since `dag.test()` replaces the run before."""
    with create_session() as session:
        found = session.query(HITLDetail).join(TaskInstance, HITLDetail.ti_id == TaskInstance.id)
        found = found.filter(TaskInstance.dag_id == dag).order_by(HITLDetail.created_at)
        return [
            {"id": str(one.ti_id), "subject": one.subject, "body": one.body, "options": one.options, "params": one.params} for one in found
        ]


def runs_of(dag: str) -> list[dict[str, Any]]:
    """The runs of a DAG, also those that another DAG started and that wait for a scheduler."""
    with create_session() as session:
        found = session.query(DagRun).filter(DagRun.dag_id == dag).order_by(DagRun.id)
        return [{"run": one.run_id, "state": str(one.state), "conf": one.conf} for one in found]


def _ids(dag: str) -> set[str]:
    return {one["id"] for one in questions(dag)}


def _wait_and_act(dag: str, known: set[str], commands: Sequence[Sequence[str]], is_over: threading.Event) -> None:
    while not is_over.wait(0.3):
        if _ids(dag) - known:
            for command in commands:
                subprocess.run(command, check=True)
            return
