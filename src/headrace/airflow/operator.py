"""The operators: one step of one run, the steps of a group, and the end of a run.

What they do is in `headrace.airflow.task`, which is imported when a task runs, so that parsing costs little. The invariant: an
operator holds plain texts and numbers only, so that a DAG serializes the same at every parse.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow.sdk import Context

from headrace.airflow.base import PipelineOperator
from headrace.core.ports import JSON

__all__ = ["GroupOperator", "RunRecordOperator", "StepOperator"]


class StepOperator(PipelineOperator):
    """One step of one run, by the same calls as `headrace run`. It waits for its past up to `wait_s` seconds, without a worker."""

    ui_color = "#dcebf7"

    def __init__(self, *, step: str, kind: str = "step", wait_s: float = 0, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.custom_operator_name = kind  # what the graph shows below the task's name
        self.step = step
        self.wait_s = wait_s

    def execute(self, context: Context) -> dict[str, JSON]:
        """Take the step's turn, once its past is made."""
        from headrace.airflow.task import take_step

        return take_step(self, self.step, context, wait_s=self.wait_s)

    def resume(self, context: Context, event: Mapping[str, object]) -> dict[str, JSON]:
        """Take the step's turn after waiting: what is still missing now is an error that names it."""
        from headrace.airflow.task import take_step

        self.log.info("headrace: waited; %s commits are still missing", event["missing"])
        return take_step(self, self.step, context, wait_s=0, event=event)

    def arrive(self, context: Context, event: Mapping[str, object]) -> dict[str, JSON]:
        """Take a source's turn after waiting for its files or its dataset: what is still missing now is an error that names it."""
        from headrace.airflow.task import take_step

        return take_step(self, self.step, context, wait_s=self.wait_s, event=event)


class GroupOperator(PipelineOperator):
    """The steps of a group, one after the other in the graph's order, as if each had a task of its own."""

    ui_color = "#dcebf7"
    custom_operator_name = "group"

    def __init__(self, *, steps: list[str], wait_s: float = 0, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.steps = steps
        self.wait_s = wait_s

    def execute(self, context: Context) -> dict[str, JSON]:
        """Take each step's turn, once its past is made."""
        from headrace.airflow.group import take_group

        return take_group(self, self.steps, context, wait_s=self.wait_s)

    def resume(self, context: Context, event: Mapping[str, object]) -> dict[str, JSON]:
        """Take the turns after waiting: what was made before stands. Nothing is waited for again once time was up."""
        from headrace.airflow.group import take_group

        self.log.info("headrace: waited; %s commits are still missing", event["missing"])
        return take_group(self, self.steps, context, wait_s=0 if event["missing"] else self.wait_s, event=event)

    def arrive(self, context: Context, event: Mapping[str, object]) -> dict[str, JSON]:
        """Take the turns after waiting for what one of the steps reads from outside."""
        from headrace.airflow.group import take_group

        return take_group(self, self.steps, context, wait_s=self.wait_s, event=event)


class RunRecordOperator(PipelineOperator):
    """The end of a run, however its steps ended: the run record and the report."""

    ui_color = "#e8e8e8"
    custom_operator_name = "record, report"

    def execute(self, context: Context) -> dict[str, JSON]:
        """Write the run record and the report."""
        from headrace.airflow.task import end_run

        return end_run(self, context)
