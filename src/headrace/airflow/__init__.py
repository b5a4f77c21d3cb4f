"""The same file as an Airflow 3 DAG: `airflow_dag`, the last line of a pipeline file.

This package is the only one that imports Airflow, and it does so only when Airflow reads the file: this module itself, which every
pipeline file loads, imports nothing. The invariant: who is not Airflow gets None, and pays nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from headrace.core.graph import Graph

__all__ = ["airflow_dag"]


class HasGraph(Protocol):
    """A pipeline."""

    def graph(self) -> Graph: ...


def airflow_dag(
    pipeline: HasGraph,
    *,
    timetable: Literal["partitioned", "data_interval"] = "partitioned",
    profile: str | None = None,
    wait: str | timedelta | None = "1h",
    steps: Mapping[str, Mapping[str, object]] | None = None,
    **options: object,
) -> DAG | None:
    """The pipeline as an Airflow DAG where Airflow reads the file, else None: nothing is imported then.

    One task a step. `timetable="partitioned"` gives runs whose key is the interval; `"data_interval"` gives classic ones, for
    templates such as `{{ ds }}`. `profile` is the one of headrace.toml. A step whose past is not made yet waits for it, without a
    worker, as long as `wait` says. `steps={"groups": {"pool": "big"}}` hands options to one step's operator, and all others
    (`tags`, `catchup`, `default_args`, ...) go to `airflow.sdk.DAG`.
    """
    if not _is_read_by_airflow():
        return None
    from headrace.airflow.dag import make_dag

    return make_dag(pipeline.graph(), timetable=timetable, profile=profile, wait=wait, steps=steps or {}, options=options)


def _is_read_by_airflow() -> bool:
    """Whether a function of Airflow's DAG processing is importing the file, seen on the stack: that Airflow is loaded says nothing.

    The scheduler's processor, `airflow dags …` and the start of a task all read DAG files through `airflow.dag_processing`; a
    step, which opens the pipeline again when the task runs, does not.
    """
    if "airflow" not in sys.modules:
        return False
    frame = sys._getframe(2)  # noqa: SLF001  # there is no other way to ask who imports
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module == "headrace.run.loading":
            return False
        if module.startswith("airflow.dag_processing."):
            return True
        frame = frame.f_back  # type: ignore[assignment]  # None at the outermost
    return False
