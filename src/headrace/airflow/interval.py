"""Which interval an Airflow run is about. Pure, and without Airflow: what a run knows of its times goes in, an interval comes out.

Airflow knows six kinds of run, and each says its time in another way. The invariant: the answer is a whole interval of the
pipeline's grid, in UTC, not before its start and over, and the same for every task and every try of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from headrace.core.errors import ConfigurationError
from headrace.core.graph import Graph
from headrace.core.interval import Interval, parse_time, to_utc
from headrace.run.opening import checked_interval

__all__ = ["RunTimes", "interval_of", "is_too_early"]


@dataclass(frozen=True)
class RunTimes:
    """What Airflow says of a run's times; None where it says nothing.

    `at` is the run's parameter. Partitioned runs have a key, and mostly its date; classic ones a logical date and a data interval,
    which is empty for a plain cron schedule. Every run has `run_after`: it never changes, unlike the time at which a task runs.
    """

    run_after: datetime
    at: str | None = None
    partition_key: str | None = None
    partition_date: datetime | None = None
    data_interval: tuple[datetime, datetime] | None = None
    logical_date: datetime | None = None


def interval_of(graph: Graph, times: RunTimes, *, now: datetime) -> Interval:
    """The interval of a run: the one asked for by `at`, else that of its partition, else of its data interval, else the last complete one.

    The last complete one is meant as of the logical date, if a person gave one, or of `run_after`. ConfigurationError for a time
    that names no interval, or one that the pipeline can't run.
    """
    now = max(now, to_utc(times.run_after))
    start, asked = _start(graph, times)
    return checked_interval(graph, start, now=now, asked=asked)


def is_too_early(graph: Graph, times: RunTimes) -> bool:
    """Whether a run is about a time before the pipeline's start: a dataset of another pipeline may begin earlier than its reader."""
    return graph.first is not None and graph.grid.at(_start(graph, times)[0]).start < graph.first.start


def _start(graph: Graph, times: RunTimes) -> tuple[datetime, str]:
    if times.at:
        return parse_time(times.at), f"at={times.at}"
    if times.partition_date is not None:
        return to_utc(times.partition_date), f"partition {times.partition_key or times.partition_date.isoformat()}"
    if times.partition_key is not None:
        return _start_of_key(times.partition_key), f"partition {times.partition_key}"
    if times.data_interval is not None and times.data_interval[0] < times.data_interval[1]:
        last = graph.grid.last_ended_by(times.data_interval[1])
        return last.start, f"data interval {times.data_interval[0].isoformat()}/{times.data_interval[1].isoformat()}"
    known = times.logical_date or times.run_after
    return graph.grid.last_ended_by(known).start, f"run of {known.isoformat()}"


def _start_of_key(key: str) -> datetime:
    try:
        return parse_time(key)
    except ConfigurationError:
        raise ConfigurationError(
            f"The partition key `{key}` names no interval: a run's key is the interval's start in UTC, such as 2026-11-20T08:00:00."
        ) from None
