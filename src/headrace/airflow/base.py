"""What every operator holds: the file, the pipeline in it, and the profile; and how its work ends when Airflow ends the task.

The invariant: plain texts only, none of them a template, so that a DAG serializes the same at every parse.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowTaskTimeout

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from headrace.airflow.lineage import Taken

__all__ = ["PipelineOperator"]

_GIVEN_UP = "__fail__"  # Airflow's own word for it
_ENDED = 143  # as of a process that SIGTERM ended


class PipelineOperator(BaseOperator):
    """A task of a pipeline's DAG."""

    def __init__(self, *, file: str, pipeline: str, profile: str | None = None, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # Airflow's own options
        self.file = file
        self.pipeline = pipeline
        self.profile = profile
        self.turns: dict[str, Taken] = {}  # what was taken while the task ran, for its lineage
        self.links: dict[str, str] = {}  # found while the task runs, for the buttons of its page
        self._is_working = False

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """What Airflow's OpenLineage provider tells when the task starts; it alone calls this, where it is installed and set up."""
        from headrace.airflow.lineage import lineage_before

        return lineage_before(self.file)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any]:  # noqa: ARG002  # the provider's signature
        """What it tells when the task has ended, well or not: schemas, rows, checks and commits of what was read and made."""
        from headrace.airflow.lineage import lineage_of

        return lineage_of(self.turns)

    @contextmanager
    def working(self) -> Iterator[None]:
        """While a step runs: a signal that ends the task ends the step, wherever it is."""
        self._is_working = True
        try:
            yield
        finally:
            self._is_working = False

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a wait. One that Airflow gave up (no triggerer runs, or it broke) ends as one in which nobody could look."""
        resume = getattr(self, "resume", None)
        if next_method != _GIVEN_UP or resume is None:
            return super().resume_execution(next_method, next_kwargs, context)
        error = f"it did not answer ({(next_kwargs or {}).get('error', 'unknown')}); is one running?"
        event: Mapping[str, object] = {"missing": "perhaps all", "error": error}
        return resume(context, event)

    def on_kill(self) -> None:
        """End the step at once, its own process too. Airflow calls this from the task's signal handler, and goes on with the task after it.

        What is raised here goes through the step from wherever it is: a process of its own is ended on the way, and nothing that was
        not committed by now ever is. It is an exit, so that Airflow tries again what it did not end on purpose.
        """
        if self._is_working and not isinstance(sys.exception(), AirflowTaskTimeout):
            self.log.warning("headrace: Airflow ends this task, and so the step; what it has not committed by now is not there")
            raise SystemExit(_ENDED)
