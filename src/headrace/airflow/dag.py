"""From a graph to a DAG: one task a step or a group of steps, grouped by layer, and one that closes the run.

Only structure is made here, from what the pipeline file declares: no settings file is read and no lake is opened, so that parsing is
quick and the same everywhere. The invariant: the same file gives the same serialized DAG, on every machine, at every parse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from airflow.sdk import DAG, TaskGroup, TriggerRule
from airflow.sdk.definitions.param import ParamsDict

from headrace.airflow.alerts import AlertTo, with_alerts
from headrace.airflow.approval import ask_tasks, make_approval_dags
from headrace.airflow.assets import asset
from headrace.airflow.direction import mark_order
from headrace.airflow.form import params_of
from headrace.airflow.links import add_links
from headrace.airflow.operator import GroupOperator, RunRecordOperator, StepOperator
from headrace.airflow.options import check_dag_options, check_step_options, layer_of, task_options
from headrace.airflow.schedule import schedule_of
from headrace.core.errors import ConfigurationError
from headrace.core.graph import Graph
from headrace.core.grouping import Unit, units_of
from headrace.core.interval import parse_duration
from headrace.core.step import Promotion, Source, Step, is_published

__all__ = ["make_dag"]

RECORD = "run-record"  # with a hyphen, which no step's name has; so have the groups
_RECORD_DOC = "Writes the run record and the report, however the steps ended. The run's state is that of its steps."


def make_dag(
    graph: Graph,
    *,
    timetable: str,
    profile: str | None,
    wait: str | timedelta | None,
    steps: Mapping[str, Mapping[str, object]],
    options: Mapping[str, object],
    approval_timeout: str | timedelta | None = "7d",
    alert: AlertTo | Sequence[AlertTo] | None = None,
    deadline: str | timedelta | None = None,
) -> DAG:
    """The DAG of a pipeline. ConfigurationError or UnknownNameError for what Airflow can't be told."""
    units = units_of(graph.steps)
    check_dag_options(options)
    options = with_alerts(graph, options, alert=alert, deadline=deadline)
    check_step_options(graph, units, steps)
    common: dict[str, Any] = {"file": graph.where.file, "pipeline": graph.name, "profile": profile}
    default_args = cast("Mapping[str, object]", options.get("default_args") or {})
    schedule = options["schedule"] if "schedule" in options else schedule_of(graph, timetable)
    with DAG(graph.name, **{**_defaults(graph, timetable), **options, "schedule": schedule}) as dag:
        layers: dict[str, TaskGroup] = {}
        tasks: dict[str, StepOperator | GroupOperator] = {}
        for unit in units.values():
            members = [graph.steps[name] for name in unit.steps]
            asked = {**task_options(members, default_args), **steps.get(unit.name, {})}
            asked["wait_s"] = _seconds(asked.pop("wait", wait))
            asked["task_group"] = _layer_group(layer_of(members), layers)
            tasks[unit.name] = _task(graph, unit, {**common, **asked})
        for unit in units.values():
            for read in unit.reads:
                tasks[unit.name].set_upstream(tasks[read])
        record = RunRecordOperator(task_id=RECORD, trigger_rule=TriggerRule.ALL_DONE, doc_md=_RECORD_DOC, **common)
        record.set_upstream([*tasks.values(), *ask_tasks(graph, _by_step(units, tasks), common), *mark_order(graph, schedule=schedule)])
        add_links(graph, units, tasks, record)
        # A teardown does not count for the run's state: without it, a run whose steps failed would be green since its last task is.
        record.as_teardown()
    # Only now: each task copies what the DAG has when it is made, which for a big pipeline is n times n.
    dag.params = ParamsDict({**params_of(graph), **dag.params})
    make_approval_dags(graph, common, timeout=approval_timeout, options=options)
    return dag


def _by_step(units: Mapping[str, Unit], tasks: Mapping[str, StepOperator | GroupOperator]) -> dict[str, StepOperator | GroupOperator]:
    return {step: tasks[unit.name] for unit in units.values() for step in unit.steps}


def _task(graph: Graph, unit: Unit, asked: dict[str, Any]) -> StepOperator | GroupOperator:
    members = [graph.steps[name] for name in unit.steps]
    # In the order of the steps: a set would serialize in another order at each parse.
    published = [asset(f"{graph.name}.{step.name}") for step in members if is_published(step)]
    read = [asset(name) for name in dict.fromkeys(_read_elsewhere(step) for step in members) if name]
    asked |= {"outlets": [*published, *asked.get("outlets", ())], "inlets": [*read, *asked.get("inlets", ())]}
    try:
        if unit.is_group:
            return GroupOperator(task_id=unit.name, steps=list(unit.steps), **asked)
        return StepOperator(task_id=unit.name, step=unit.name, kind=members[0].kind, **asked)
    except ConfigurationError:
        raise
    except Exception as error:  # Airflow has errors of its own for each option
        raise ConfigurationError(f"airflow_dag: Airflow can't make the task of `{unit.name}` with its options: {error}") from error


def _layer_group(layer: str, made: dict[str, TaskGroup]) -> TaskGroup:
    if layer not in made:
        made[layer] = TaskGroup(f"layer-{layer}", group_display_name=layer, prefix_group_id=False)
    return made[layer]


def _read_elsewhere(step: Step) -> str:
    """The dataset of another pipeline that a step reads; empty if none."""
    return step.options.location if isinstance(step, Source) and step.options.is_dataset else ""


def _seconds(wait: str | timedelta | None) -> float:
    longest = parse_duration(wait) if isinstance(wait, str) else wait
    return 0.0 if longest is None else longest.total_seconds()


def _defaults(graph: Graph, timetable: str) -> dict[str, Any]:
    """What a DAG is told unless the user says otherwise."""
    defaults: dict[str, Any] = {
        "catchup": False,
        "description": graph.doc.partition("\n")[0] or None,
        "doc_md": graph.doc or None,
        "tags": ["headrace", graph.name],  # its approval DAGs have the second, too
    }
    if "rerun_with_latest_version" in DAG.__annotations__:  # from Airflow 3.3 on
        defaults["rerun_with_latest_version"] = True  # a task that is cleared runs today's code
    if graph.first is not None:
        # A partitioned run comes one tick after the start of its interval, a classic one's logical date is that start.
        defaults["start_date"] = graph.first.start if timetable == "data_interval" else graph.first.end
    if any(isinstance(step, Promotion) for step in graph.steps.values()):
        defaults["max_active_runs"] = 1  # models are judged in time's order
    return defaults
