"""From a graph to a DAG: one task a step, grouped by layer, and one that closes the run.

Only structure is made here, from what the pipeline file declares: no settings file is read and no lake is opened, so that parsing is
quick and the same everywhere. The invariant: the same file gives the same serialized DAG, on every machine, at every parse.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, CronPartitionTimetable, Param, TaskGroup, TriggerRule
from airflow.sdk.definitions.param import ParamsDict

from headrace.airflow.operator import RunRecordOperator, StepOperator
from headrace.core.errors import ConfigurationError, UnknownNameError, did_you_mean
from headrace.core.graph import Graph
from headrace.core.interval import parse_duration
from headrace.core.step import Predictions, Promotion, Setting, Source, Step, Table

__all__ = ["make_dag"]

TIMETABLES = ("partitioned", "data_interval")
RECORD = "run-record"  # with a hyphen, which no step's name has; so have the groups
_RETRY_DELAY = timedelta(seconds=30)
_LONGEST_RETRY_DELAY = timedelta(minutes=15)
_GRACE = timedelta(minutes=1)  # the step itself ends at its timeout; this is for a task that hangs around it


def make_dag(
    graph: Graph,
    *,
    timetable: str,
    profile: str | None,
    wait: str | timedelta | None,
    steps: Mapping[str, Mapping[str, object]],
    options: Mapping[str, object],
) -> DAG:
    """The DAG of a pipeline. ConfigurationError or UnknownNameError for what Airflow can't be told."""
    strange = next((name for name in steps if name not in graph.steps), None)
    if strange is not None:
        raise UnknownNameError(
            f"airflow_dag: steps= names `{strange}`, which `{graph.name}` does not have. {did_you_mean(strange, graph.steps)}"
        )
    common: dict[str, Any] = {"file": graph.where.file, "pipeline": graph.name, "profile": profile}
    longest = parse_duration(wait) if isinstance(wait, str) else wait
    wait_s = 0.0 if longest is None else longest.total_seconds()
    with DAG(graph.name, **{**_defaults(graph, timetable), **options}) as dag:
        groups: dict[str, TaskGroup] = {}
        tasks: dict[str, StepOperator] = {}
        for step in graph.steps.values():
            layer = _layer(step)
            if layer not in groups:
                groups[layer] = TaskGroup(f"layer-{layer}", group_display_name=layer, prefix_group_id=False)
            asked = {**_task_options(step), "task_group": groups[layer], **steps.get(step.name, {})}
            tasks[step.name] = StepOperator(task_id=step.name, step=step.name, wait_s=wait_s, **common, **asked)
            for read in dict.fromkeys(read.dataset for read in step.inputs):
                tasks[step.name].set_upstream(tasks[read])
        record = RunRecordOperator(task_id=RECORD, trigger_rule=TriggerRule.ALL_DONE, doc_md=_RECORD_DOC, **common)
        record.set_upstream(list(tasks.values()))
        # A teardown does not count for the run's state: without it, a run whose steps failed would be green since its last task is.
        record.as_teardown()
    # Only now: each task copies what the DAG has when it is made, which for a big pipeline is n times n.
    dag.params = ParamsDict({**_params(graph), **dag.params})
    return dag


def _defaults(graph: Graph, timetable: str) -> dict[str, Any]:
    """What a DAG is told unless the user says otherwise."""
    defaults: dict[str, Any] = {
        "schedule": _schedule(graph, timetable),
        "catchup": False,
        "description": graph.doc.partition("\n")[0] or None,
        "doc_md": graph.doc or None,
        "tags": ["headrace"],
    }
    if "rerun_with_latest_version" in DAG.__annotations__:  # from Airflow 3.3 on
        defaults["rerun_with_latest_version"] = True  # a task that is cleared runs today's code
    if graph.first is not None:
        # A partitioned run comes one tick after the start of its interval, a classic one's logical date is that start.
        defaults["start_date"] = graph.first.end if timetable == "partitioned" else graph.first.start
    if any(isinstance(step, Promotion) for step in graph.steps.values()):
        defaults["max_active_runs"] = 1  # models are judged in time's order
    return defaults


def _schedule(graph: Graph, timetable: str) -> CronPartitionTimetable | CronDataIntervalTimetable | None:
    if timetable not in TIMETABLES:
        raise ConfigurationError(f"airflow_dag: timetable={timetable!r} is not known. {did_you_mean(timetable, TIMETABLES)}")
    if not graph.is_scheduled:
        return None
    cron = graph.grid.cron
    if cron is None:
        raise ConfigurationError(
            f"airflow_dag: pipeline `{graph.name}` runs every {graph.grid.label}, which cron can't say, so Airflow can't schedule it. "
            "Choose a schedule that divides an hour or a day evenly, a day, a week or a month; or none, and trigger its runs."
        )
    if timetable == "partitioned":
        return CronPartitionTimetable(cron, timezone="UTC", run_offset=-1)
    return CronDataIntervalTimetable(cron, timezone="UTC")


# ---------------------------------------------------------------- what the trigger form asks


def _params(graph: Graph) -> dict[str, Param]:
    names = [*graph.steps, "all"]
    params = {
        "at": Param(
            None,
            "The interval, by its start, such as 2026-11-20T08. Empty: that of the run, or the last complete one.",
            type=["null", "string"],
        ),
        "force": Param(
            [], "Steps to make again whatever stands already.", type="array", items={"type": "string", "enum": names}, examples=names
        ),
        "keep": Param(
            False,
            "With force or other settings, a run is an experiment, written beside the current versions; keep makes it current.",
            type="boolean",
        ),
    }
    for step in graph.steps.values():
        for setting in step.settings:
            said = f"Setting of `{step.name}`, {setting.default!r} in the file. Empty: as the file and headrace.toml say."
            params[f"{step.name}.{setting.name}"] = Param(None, said, type=_types(setting), section=step.name)
    return params


def _types(setting: Setting) -> list[str]:
    """What JSON may be given for a setting: nothing, or what is like its default."""
    found = next((name for kind, name in _JSON_TYPES if isinstance(setting.default, kind)), None)
    return ["null", *([found] if found else ["string", "number", "boolean", "array", "object"])]


_JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),  # first: a bool is an int
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (tuple, "array"),
    (dict, "object"),
)


# ---------------------------------------------------------------- what a task is told


def _task_options(step: Step) -> dict[str, Any]:
    limit = step.policy.timeout_s
    return {
        "doc_md": _doc(step),
        # A step skips in the runs between those of a coarser grid; who reads it goes on with the newest.
        "trigger_rule": TriggerRule.NONE_FAILED,
        "retries": step.policy.retries,
        "retry_delay": _RETRY_DELAY,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": _LONGEST_RETRY_DELAY,
        "execution_timeout": None if limit is None else timedelta(seconds=limit) + _GRACE,
    }


def _layer(step: Step) -> str:
    if isinstance(step, Source):
        return "bronze"
    if isinstance(step, Table):
        return step.layer
    return "gold" if isinstance(step, Predictions) else "models"


def _doc(step: Step) -> str:
    if isinstance(step, Source):
        return f"Collects `{step.options.location}` ({step.options.format}), every {step.grid.label}."
    if isinstance(step, Predictions):
        return f"All rows of `{step.data}` through the champion of `{step.model}`."
    if isinstance(step, Promotion):
        return f"Judges `{step.model}` against its gate and the champion, in time's order."
    return step.doc or f"The {step.kind} `{step.name}`."


_RECORD_DOC = "Writes the run record and the report, however the steps ended. The run's state is that of its steps."
