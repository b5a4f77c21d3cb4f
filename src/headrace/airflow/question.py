"""The operators that ask a person: one starts a question's run, one asks and waits, one carries out the answer.

What is open, and what an answer does, headrace decides (`headrace.run.questions`). The invariant: a challenger is promoted only by a
person's answer to a question that is open at that moment, however late the answer is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, TaskDeferred

from headrace.airflow.base import PipelineOperator
from headrace.core.ports import JSON

try:
    from airflow.sdk.exceptions import TaskAwaitingInput
except ImportError:  # Airflow 3.2 defers to a trigger of its own
    TaskAwaitingInput = TaskDeferred  # type: ignore[assignment, misc]

if TYPE_CHECKING:
    from headrace.run.session import Session
    from headrace.steps.overrides import Answer

__all__ = ["APPROVE", "REJECT", "AskOperator", "DecisionOperator", "QuestionOperator"]

APPROVE = "Approve"
REJECT = "Reject"
_KINDS = {APPROVE: "promote", REJECT: "reject"}
_NO_REASON = "no reason was given in Airflow"


class AskOperator(PipelineOperator, TriggerDagRunOperator):
    """Starts the run that asks about the challenger that waits: once, however often this is tried or cleared."""

    ui_color = "#ffe9c7"
    custom_operator_name = "asks a person"

    def __init__(self, *, model: str, trigger_dag_id: str, **options: object) -> None:
        given: dict[str, object] = {"trigger_dag_id": trigger_dag_id, "logical_date": None, "skip_when_already_exists": True}
        super().__init__(**{"deferrable": False, **given, **options})  # type: ignore[arg-type]
        self.model = model

    def execute(self, context: Context) -> None:
        """Start it, by an id that names the question. Skipped when no challenger waits, or when it was asked about already."""
        from headrace.run.questions import find_question

        session = _session(self, context)
        found = find_question(session, self.model)
        if found is None:
            _skip(self, f"no challenger of `{self.model}` waits for a person")
        asked = found.asked
        self.trigger_run_id = f"{asked.model.label}-v{asked.version}-decision-{asked.number}-{asked.nonce[:8]}"
        self.conf = {"question": asked.number}
        self.log.info("headrace: decision %s left the challenger of %s waiting for a person", asked.number, asked.model.label)
        super().execute(context)


class QuestionOperator(PipelineOperator, HITLOperator):
    """Shows a challenger beside the champion and waits for a person, without a worker. Skipped once nobody is asked any more."""

    ui_color = "#ffe9c7"
    custom_operator_name = "a person answers"

    def __init__(self, *, model: str, subject: str, **options: object) -> None:
        super().__init__(subject=subject, **{"options": [APPROVE, REJECT], **options})  # type: ignore[arg-type]
        self.model = model

    def execute(self, context: Context) -> NoReturn:
        """Ask, and wait for the answer or for what closes the question."""
        from headrace.airflow.question_trigger import QuestionTrigger
        from headrace.run.questions import challenger_of, find_question, subject, text

        number = dict(context["params"]).get("question")
        session = _session(self, context)
        found = find_question(session, self.model, number if isinstance(number, int) else None)
        if found is None:
            _skip(self, f"no challenger of `{self.model}` waits for a person")
        if not found.is_open:
            _skip(self, f"nobody is asked any more: {found.closed}")
        challenger = challenger_of(session, self.model, found)
        self.subject, self.body = subject(challenger), text(challenger)
        self.log.info("headrace: %s\n%s", self.subject, self.body)
        with suppress(TaskAwaitingInput, TaskDeferred):  # it asks; the wait is ours, since not only a person may close the question
            super().execute(context)
        until = None if self.response_timeout is None else (datetime.now(UTC) + self.response_timeout).isoformat()
        from headrace.run.access import plain_access

        way_in = session.connections.of_lake()
        connection = "" if way_in is None else way_in.id
        trigger = QuestionTrigger(
            str(context["ti"].id),
            session.lake.uri,
            self.pipeline,
            self.model,
            found.number,
            until,
            connection,
            plain_access(session.config),
        )
        self.defer(trigger=trigger, method_name="resume", kwargs={"number": found.number})

    def resume(self, context: Context, event: Mapping[str, object], number: int = 0) -> dict[str, JSON]:  # noqa: ARG002  # Airflow gives it
        """The answer, who gave it and why, as an XCom."""
        if event.get("closed"):
            _skip(self, f"nobody is asked any more: {event['closed']}")
        if event.get("error_type") == "timeout":
            _skip(
                self,
                f"nobody answered within {self.response_timeout}; the challenger waits on: headrace approve FILE {self.model}, or clear this task",
            )
        chosen = event.get("chosen_options")
        if not isinstance(chosen, list | tuple) or not chosen or chosen[0] not in _KINDS:
            raise AirflowException(f"the question of decision {number} got no answer ({event.get('error', event)}); it is asked again")
        given, user = event.get("params_input"), event.get("responded_by_user")
        why = str(given.get("why") or "").strip() if isinstance(given, Mapping) else ""
        who = str(user.get("name") or user.get("id")) if isinstance(user, Mapping) else "somebody in Airflow"
        self.log.info("headrace: %s answered %s: %s", who, chosen[0], why or _NO_REASON)
        return {"question": number, "decision": _KINDS[str(chosen[0])], "who": who, "why": why or _NO_REASON}


class DecisionOperator(PipelineOperator):
    """Writes a person's answer into the chain of decisions: once, however often it is tried."""

    ui_color = "#ffe9c7"
    custom_operator_name = "keeps the answer"

    def __init__(self, *, model: str, question: str, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.model = model
        self.question = question

    def execute(self, context: Context) -> dict[str, JSON]:
        """Decide. Skipped, with the reason, when the question was closed before the answer."""
        from headrace.airflow.failure import fail
        from headrace.core.errors import ClosedQuestionError
        from headrace.run.questions import answer

        given = context["ti"].xcom_pull(task_ids=self.question)
        if not isinstance(given, Mapping):
            _skip(self, f"nobody answered: task `{self.question}` was marked as done by hand; clear it to ask again")
        session = _session(self, context)
        try:
            kind: Answer = "promote" if given["decision"] == "promote" else "reject"
            decision = answer(session, self.model, kind, number=int(given["question"]), who=str(given["who"]), why=str(given["why"]))
        except ClosedQuestionError as closed:
            _skip(self, f"nothing was decided. {closed}")
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told first
            fail(self, context, error, step=f"{self.model}.promotion", session=session)
        self.log.info("headrace: decision %s: %s %s, by %s", decision.number, decision.kind, decision.model.label, decision.who)
        told: dict[str, JSON] = {"decision": decision.kind, "number": decision.number, "who": decision.who, "why": decision.why}
        return told | {"model": self.model, "interval": decision.model.label, "version": decision.version}


def _skip(operator: PipelineOperator, why: str) -> NoReturn:
    """End a task as skipped, with the reason in its log."""
    operator.log.info("headrace: %s", why)
    raise AirflowSkipException(why)


def _session(operator: PipelineOperator, context: Context) -> Session:
    """The pipeline and its lake. What is wrong with them ends the task, in headrace's words."""
    from headrace.airflow.connections import serve_connections
    from headrace.airflow.failure import fail
    from headrace.run.opening import open_pipeline

    try:
        serve_connections()
        return open_pipeline(Path(operator.file).resolve(), name=operator.pipeline, profile=operator.profile, who="airflow")
    except Exception as error:  # noqa: BLE001
        fail(operator, context, error, step=operator.task_id)
