"""What Airflow is told of a task and of the DAG: from the steps first, then from the user, whose words are checked here.

The invariant: an option that Airflow does not know is told by its name and its step, before Airflow sees it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, TriggerRule

from headrace.airflow import airflow_dag
from headrace.core.errors import ConfigurationError, UnknownNameError, did_you_mean
from headrace.core.graph import Graph
from headrace.core.grouping import Unit
from headrace.core.redaction import public
from headrace.core.step import Policy, Predictions, Promotion, Source, Step, Table

__all__ = ["check_dag_options", "check_step_options", "layer_of", "task_options"]

_OURS = frozenset({"dag", "file", "pipeline", "profile", "self", "step", "steps", "task_group", "task_id", "kwargs"})
_RETRY_DELAY = timedelta(seconds=30)
_LONGEST_RETRY_DELAY = timedelta(minutes=15)
_GRACE = timedelta(minutes=1)  # the step itself ends at its timeout; this is for a task that hangs around it


def task_options(steps: Sequence[Step], default_args: Mapping[str, object]) -> dict[str, Any]:
    """What a task is told of its steps. The user's `default_args` go before what no step says by itself."""
    policies = [step.policy for step in steps]
    limits = [policy.timeout_s for policy in policies]
    said: dict[str, Any] = {
        "doc_md": "\n\n".join(_doc(step) if len(steps) == 1 else f"**{step.name}**: {_doc(step)}" for step in steps),
        # A step skips in the runs between those of a coarser grid; who reads it goes on with the newest.
        "trigger_rule": TriggerRule.NONE_FAILED,
    }
    defaults: dict[str, Any] = {
        "retries": max(policy.retries for policy in policies),
        "retry_delay": _RETRY_DELAY,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": _LONGEST_RETRY_DELAY,
    }
    if any(policy.retries != Policy().retries for policy in policies):
        said["retries"] = defaults["retries"]
    if None not in limits:
        said["execution_timeout"] = timedelta(seconds=sum(limit or 0 for limit in limits)) + _GRACE
    return {name: value for name, value in defaults.items() if name not in default_args} | said


def layer_of(steps: Sequence[Step]) -> str:
    """The layer of what a task makes in the end."""
    step = steps[-1]
    if isinstance(step, Source):
        return "bronze"
    if isinstance(step, Table):
        return step.layer
    return "gold" if isinstance(step, Predictions) else "models"


def check_step_options(graph: Graph, units: Mapping[str, Unit], steps: Mapping[str, Mapping[str, object]]) -> None:
    """UnknownNameError or ConfigurationError for names in `steps=` that are no task's, and options that no task takes."""
    known = {*inspect.signature(BaseOperator.__init__).parameters, "wait"} - _OURS
    for name, asked in steps.items():
        if name in graph.steps and name not in units:
            group = graph.steps[name].policy.group
            raise ConfigurationError(
                f"airflow_dag: steps= names `{name}`, which shares the task of its group. Give the options to the group: steps={{{group!r}: {{…}}}}."
            )
        if name not in units:
            raise UnknownNameError(f"airflow_dag: steps= names `{name}`, which `{graph.name}` does not have. {did_you_mean(name, units)}")
        for option in asked:
            if option not in known:
                why = "headrace gives it itself" if option in _OURS else f"Airflow's operators don't take it. {did_you_mean(option, known)}"
                raise ConfigurationError(
                    f"airflow_dag: steps= gives `{name}` the option `{option}`; {why}".rstrip() + ("" if why[-1] in ".?" else ".")
                )


def check_dag_options(options: Mapping[str, object]) -> None:
    """ConfigurationError for a keyword that is neither `airflow_dag`'s nor a DAG's."""
    known = {*inspect.signature(DAG).parameters, *inspect.signature(airflow_dag).parameters} - {"dag_id", "self", "pipeline", "options"}
    strange = next((name for name in options if name not in known), None)
    if strange is not None:
        raise ConfigurationError(f"airflow_dag: `{strange}` is not an option of it, nor of an Airflow DAG. {did_you_mean(strange, known)}")


def _doc(step: Step) -> str:
    if isinstance(step, Source):
        verb = "Reads" if step.options.is_dataset else "Collects"
        return f"{verb} `{public(step.options.location)}` ({step.options.format}), every {step.grid.label}."
    if isinstance(step, Predictions):
        return f"All rows of `{step.data}` through the champion of `{step.model}`."
    if isinstance(step, Promotion):
        return f"Judges `{step.model}` against its gate and the champion, in time's order."
    return inspect.cleandoc(step.doc) or f"The {step.kind} `{step.name}`."
