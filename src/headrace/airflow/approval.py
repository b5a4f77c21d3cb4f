"""Models that a person promotes: a task that asks, and a DAG of its own for each question, so that no run waits behind one.

Only structure is made here, and only for models with `approval=True`. The invariant: the pipeline's own DAG never waits for a person; it
starts a run of `<pipeline>.<model>.approval` for each challenger that waits, at most once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param
from airflow.sdk.definitions.param import ParamsDict

from headrace.core.errors import ConfigurationError, MissingLibraryError
from headrace.core.graph import Graph
from headrace.core.interval import format_duration, parse_duration
from headrace.core.step import TrainedModel

if TYPE_CHECKING:
    from headrace.airflow.question import AskOperator

__all__ = ["approval_id", "ask_tasks", "make_approval_dags"]

ASK = "ask-about-"  # with hyphens, which no step's name has
QUESTION = "question"
DECISION = "decision"
_RETRY: Mapping[str, object] = {"retries": 4, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": 2.0}
_ASK_AGAIN = timedelta(seconds=5)  # Airflow loses an answer that comes within half a second of the form, and fails the task
_AT_ONCE = 16  # runs: a newer question comes while older ones close


def approval_id(pipeline: str, model: str) -> str:
    """The id of the DAG that asks about a model."""
    return f"{pipeline}.{model}.approval"


def ask_tasks(graph: Graph, tasks: Mapping[str, Any], common: Mapping[str, Any]) -> list[AskOperator]:
    """The tasks of the pipeline's DAG that ask, each after its model's promotion. `tasks` are those made already, by step."""
    models = _asking(graph)
    if not models:
        return []
    operators = _operators(models[0])
    made = []
    for model in models:
        ask = operators.AskOperator(
            task_id=f"{ASK}{model.name}",
            model=model.name,
            trigger_dag_id=approval_id(graph.name, model.name),
            task_group=tasks[f"{model.name}.promotion"].task_group,
            doc_md=f"Starts a run of `{approval_id(graph.name, model.name)}` when a challenger of `{model.name}` waits for a person.",
            **{**_RETRY, **common},
        )
        ask.set_upstream(tasks[f"{model.name}.promotion"])
        made.append(ask)
    return made


def make_approval_dags(
    graph: Graph, common: Mapping[str, Any], *, timeout: str | timedelta | None, options: Mapping[str, object]
) -> Sequence[DAG]:
    """A DAG for each model that asks; Airflow registers them as they are made. A question waits for an answer as long as `timeout` says."""
    longest = _length(timeout) if isinstance(timeout, str) else timeout
    return [_approval_dag(graph, model, common, longest, options) for model in _asking(graph)]


def _approval_dag(
    graph: Graph, model: TrainedModel, common: Mapping[str, Any], timeout: timedelta | None, options: Mapping[str, object]
) -> DAG:
    operators = _operators(model)
    with DAG(approval_id(graph.name, model.name), **_dag_options(graph, model, timeout, options)) as dag:
        question = operators.QuestionOperator(
            task_id=QUESTION,
            model=model.name,
            subject=f"Shall the challenger of {graph.name}.{model.name} serve?",
            params={"why": Param("", title="Why", description="The reason; kept with the decision.", type=["null", "string"])},
            response_timeout=timeout,
            execution_timeout=None,
            doc_md="Shows the challenger beside the champion, and waits for a person. Skipped when nobody is asked any more.",
            **{**_RETRY, "retry_delay": _ASK_AGAIN, **common},
        )
        decision = operators.DecisionOperator(
            task_id=DECISION,
            model=model.name,
            question=QUESTION,
            doc_md="Writes the answer into the chain of decisions. Skipped when the question was closed meanwhile.",
            **{**_RETRY, **common},
        )
        decision.set_upstream(question)
    # Only now: a task's form would show them too.
    said = "The number of the decision that asked. Empty: the challenger that waits now."
    dag.params = ParamsDict({"question": Param(None, said, title="Question", type=["null", "integer"])})
    return dag


def _dag_options(graph: Graph, model: TrainedModel, timeout: timedelta | None, options: Mapping[str, object]) -> dict[str, Any]:
    closes = "until it is answered" if timeout is None else f"for {format_duration(timeout)}"
    told: dict[str, Any] = {
        "schedule": None,
        "catchup": False,
        "max_active_runs": _AT_ONCE,
        "is_paused_upon_creation": False,  # a question that nobody sees is never answered
        "description": f"Shall a challenger of {model.name} serve?",
        "doc_md": (
            f"One run a question: shall this challenger of `{graph.name}.{model.name}` become the champion? Runs of `{graph.name}` start them; a run that "
            f"is started by hand asks about the challenger that waits. A question is open {closes}, or until a newer challenger supersedes it.\n\n{cleandoc(model.doc)}"
        ).strip(),
        "tags": ["headrace", graph.name, "approval"],
    }
    if "rerun_with_latest_version" in DAG.__annotations__:  # from Airflow 3.3 on
        told["rerun_with_latest_version"] = True
    return told | {name: options[name] for name in ("auto_register", "access_control", "default_args", "owner_links") if name in options}


def _length(timeout: str) -> timedelta:
    try:
        return parse_duration(timeout)
    except ConfigurationError as error:
        raise ConfigurationError(f"airflow_dag: approval_timeout={timeout!r}: {error}") from None


def _asking(graph: Graph) -> list[TrainedModel]:
    return [step for step in graph.steps.values() if isinstance(step, TrainedModel) and step.needs_approval]


def _operators(model: TrainedModel) -> Any:
    """The module of the operators, which need Airflow's standard provider. MissingLibraryError where that is not installed."""
    try:
        from headrace.airflow import question
    except ImportError as error:
        if not str(error.name).startswith("airflow.providers"):
            raise
        raise MissingLibraryError(
            f"airflow_dag: model `{model.name}` has approval=True, which asks a person by Airflow's standard provider, and `{error.name}` is not "
            "there. Install it: pip install apache-airflow-providers-standard"
        ) from error
    return question
