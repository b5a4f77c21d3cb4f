"""Backfills that run backwards, refused as they are created where steps need earlier runs.

Airflow refuses them for DAGs in which a task depends on its past. For partitioned runs that has no other effect, since they have no
logical date by which Airflow would know an earlier run; classic ones would be blocked by a failed run, however their past was made
since, so there the task itself refuses (`waiting.check_direction`). The invariant: no task of any run waits because of this.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow.sdk import BaseOperator, CronPartitionTimetable

from headrace.core.graph import Graph
from headrace.core.grouping import Unit
from headrace.core.past import needs_past

__all__ = ["refuse_backwards"]


def refuse_backwards(graph: Graph, units: Mapping[str, Unit], tasks: Mapping[str, BaseOperator], *, schedule: object) -> None:
    """Mark the tasks whose steps need earlier runs, if the DAG's runs are partitioned ones that a backfill can make."""
    if not isinstance(schedule, CronPartitionTimetable):
        return
    for unit in units.values():
        if any(needs_past(graph, graph.steps[name]) for name in unit.steps):
            tasks[unit.name].depends_on_past = True
