"""The same file as an Airflow 3 DAG: `airflow_dag`, the last line of a pipeline file.

This package is the only one that imports Airflow, and it does so only when Airflow reads the file: this module itself, which every
pipeline file loads, imports nothing. The invariant: who is not Airflow gets None, and pays nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from types import FrameType

    from airflow.sdk import DAG, Asset

    from headrace.core.graph import Graph

__all__ = ["airflow_dag", "asset"]

_READERS = ("airflow.dag_processing.dagbag", "airflow.dag_processing.importers")


class HasGraph(Protocol):
    """A pipeline."""

    def graph(self) -> Graph: ...


def airflow_dag(
    pipeline: HasGraph,
    *,
    timetable: Literal["partitioned", "data_interval", "assets"] = "partitioned",
    profile: str | None = None,
    wait: str | timedelta | None = "1h",
    steps: Mapping[str, Mapping[str, object]] | None = None,
    approval_timeout: str | timedelta | None = "7d",
    alert: str | Callable[[Any], object] | Sequence[str | Callable[[Any], object]] | None = None,
    deadline: str | timedelta | None = None,
    **options: object,
) -> DAG | None:
    """The pipeline as an Airflow DAG where Airflow reads the file, else None: nothing is imported then.

    One task a step, or a group of steps. `timetable="partitioned"` gives runs whose key is the interval; `"data_interval"` gives classic
    ones, for templates such as `{{ ds }}`; `"assets"` a run once the datasets of other pipelines that it reads are made, which is also what
    a pipeline without a schedule gets that reads some. `profile` is the one of headrace.toml. A step whose past is not made yet waits for it, without a
    worker, as long as `wait` says. `steps={"groups": {"pool": "big"}}` hands options to one step's (or group's) operator, and all others
    (`tags`, `catchup`, `default_args`, ...) go to `airflow.sdk.DAG`. A model with `approval=True` gets a DAG of its own, `<pipeline>.<model>.approval`,
    whose runs ask a person, as long as `approval_timeout` says.

    `alert` tells of each task that fails: the id of an Airflow connection to a webhook, a notifier or a callback of Airflow's, or several.
    `deadline="2h"` tells of a run that is not done two hours after it was queued.
    """
    read = _read_as()
    if read is None:
        return None
    if read == "import":
        options.setdefault("auto_register", False)  # a DAG of the importing file only if that names it: `from shop import dag`
    from headrace.airflow.dag import make_dag

    return make_dag(
        pipeline.graph(),
        timetable=timetable,
        profile=profile,
        wait=wait,
        steps=steps or {},
        options=options,
        approval_timeout=approval_timeout,
        alert=alert,
        deadline=deadline,
    )


def asset(name: str) -> Asset:
    """The Airflow asset of a published dataset, by its full name, to schedule DAGs of your own on: `asset("shop.spending")`.

    Its events have a partition key, the start of the interval in UTC, so a DAG is triggered by
    `schedule=PartitionedAssetTimetable(assets=asset("shop.spending"))`; a plain `schedule=[asset(...)]` takes events without a key only.
    Imports Airflow. ConfigurationError for a text that can't be a dataset's name.
    """
    from headrace.airflow.assets import asset as made

    return made(name)


def _read_as() -> Literal["file", "import"] | None:
    """Whether Airflow is importing the file that calls `airflow_dag`, seen on the stack: that Airflow is loaded says nothing.

    The DAG processor, `airflow dags ...` and the start of a task all read DAG files through Airflow's DagBag and its importers; a step,
    which opens the pipeline again when the task runs, does not. "import" is for a module that the file imports: Airflow reads a
    pipeline file by itself, so what imports it, for a contract or a helper, must not claim its DAG too.
    """
    if "airflow" not in sys.modules:
        return None
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # there is no other way to ask who imports
    modules: set[int] = set()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module == "headrace.run.loading":
            return None
        if module.startswith(_READERS):
            return "import" if len(modules) > 1 else "file"
        if frame.f_code.co_name == "<module>":
            modules.add(id(frame.f_globals))
        frame = frame.f_back
    return None
