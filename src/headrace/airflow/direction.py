"""Backfills that run backwards, refused as they are created where steps need earlier runs.

Airflow refuses them for DAGs in which a task depends on its past. So such a DAG has one task that does, and does nothing else: a step that
did would be blocked for ever by the failed one of an earlier run that has a logical date, as runs by hand may have, however its past was made
since. Classic runs all have one; there a step itself refuses (`waiting.check_direction`). The invariant: no step of any run waits because of this.
"""

from __future__ import annotations

from airflow.sdk import BaseOperator, Context, CronPartitionTimetable

from headrace.core.graph import Graph
from headrace.core.past import needs_past

__all__ = ["OrderOperator", "mark_order"]

ORDER = "in-order"
_DOC = (
    "Does nothing. It tells Airflow that runs of this DAG build on earlier ones, so that a backfill which runs backwards is refused. "
    "It waits for itself in the run before, and nothing waits for it but the run record."
)


class OrderOperator(BaseOperator):
    """A task that the scheduler calls done, and no worker runs."""

    ui_color = "#e8e8e8"
    custom_operator_name = "no backfill backwards"
    inherits_from_empty_operator = True  # by this the scheduler knows

    def execute(self, context: Context) -> None:
        """Nothing, where somebody runs it all the same."""


def mark_order(graph: Graph, *, schedule: object) -> list[BaseOperator]:
    """The task that has Airflow refuse backfills backwards, if steps need earlier runs and the runs are partitioned ones that a backfill can make."""
    if not isinstance(schedule, CronPartitionTimetable) or not any(needs_past(graph, step) for step in graph.steps.values()):
        return []
    return [OrderOperator(task_id=ORDER, depends_on_past=True, doc_md=_DOC)]
