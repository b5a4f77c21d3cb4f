"""When a DAG runs: by the pipeline's schedule, or when the datasets that it reads of other pipelines are made.

The invariant: whatever starts a run, its key or its data interval names one whole interval of the pipeline's own grid.
"""

from __future__ import annotations

from airflow.sdk import (
    AssetAll,
    CronDataIntervalTimetable,
    CronPartitionTimetable,
    IdentityMapper,
    PartitionedAssetTimetable,
    PartitionMapper,
)
from airflow.sdk.definitions.asset import BaseAsset

from headrace.airflow.assets import asset
from headrace.core.errors import ConfigurationError, did_you_mean
from headrace.core.graph import Graph
from headrace.core.interval import Grid
from headrace.core.step import Source

__all__ = ["TIMETABLES", "schedule_of"]

TIMETABLES = ("partitioned", "data_interval", "assets")
_KEY = "%Y-%m-%dT%H:%M:%S"
# What Airflow can wait for: finer grid, coarser grid, the mapper to the coarser one's start, the window of the finer keys in it.
_ROLLUPS = (
    (Grid.parse("1m"), Grid.parse("@hourly"), "StartOfHourMapper", "HourWindow"),
    (Grid.parse("@hourly"), Grid.parse("@daily"), "StartOfDayMapper", "DayWindow"),
    (Grid.parse("@daily"), Grid.parse("0 0 * * 1"), "StartOfWeekMapper", "WeekWindow"),
    (Grid.parse("@daily"), Grid.parse("@monthly"), "StartOfMonthMapper", "MonthWindow"),
)

Schedule = CronPartitionTimetable | CronDataIntervalTimetable | PartitionedAssetTimetable | None


def schedule_of(graph: Graph, timetable: str) -> Schedule:
    """The DAG's schedule. ConfigurationError for one that Airflow can't be told."""
    if timetable not in TIMETABLES:
        raise ConfigurationError(f"airflow_dag: timetable={timetable!r} is not known. {did_you_mean(timetable, TIMETABLES)}")
    if timetable == "assets" or (timetable == "partitioned" and not graph.is_scheduled and _upstream(graph)):
        return _on_assets(graph)
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


def _upstream(graph: Graph) -> list[Source]:
    return [step for step in graph.steps.values() if isinstance(step, Source) and step.options.is_dataset]


def _on_assets(graph: Graph) -> PartitionedAssetTimetable:
    """A run for an interval once every dataset that is read in it has been made. One on a coarser grid is not waited for: its newest is read."""
    mappers: dict[BaseAsset, PartitionMapper] = {}
    upstream = _upstream(graph)
    for source in upstream:
        grid = _grid_of(source, graph)
        if not grid.is_coarser_than(graph.grid):
            mappers[asset(source.options.location)] = _mapper(source, grid, graph)
    if not mappers:
        found = (
            f"it reads {', '.join(f'`{s.options.location}`' for s in upstream)} on coarser grids than its own"
            if upstream
            else "it reads none"
        )
        raise ConfigurationError(
            f"airflow_dag: pipeline `{graph.name}` can't be triggered by datasets of other pipelines: {found}. Give it a schedule, "
            'or a source that is one as often as it runs: source("spending", hr.dataset("shop.spending")).'
        )
    condition = AssetAll(*mappers) if len(mappers) > 1 else next(iter(mappers))
    return PartitionedAssetTimetable(assets=condition, partition_mapper_config=mappers)


def _grid_of(source: Source, graph: Graph) -> Grid:
    """How often the other pipeline makes a dataset: as `hr.dataset(…, every=)` says, else as often as it is read."""
    every = source.options.options.get("every")
    return source.grid if every is None else Grid.parse(str(every), start=graph.start)


def _mapper(source: Source, grid: Grid, graph: Graph) -> PartitionMapper:
    if _are_same(grid, graph.grid):
        return IdentityMapper()
    found = next(
        ((mapper, window) for fine, coarse, mapper, window in _ROLLUPS if _are_same(fine, grid) and _are_same(coarse, graph.grid)), None
    )
    if found is None:
        raise ConfigurationError(
            f"airflow_dag: `{source.options.location}` is made every {grid.label} and pipeline `{graph.name}` runs every {graph.grid.label}, which "
            "Airflow can't wait for: it knows the hours of a day, the days of a week from Monday and of a month, and equal intervals. "
            f'Give the pipeline a schedule, which then starts its runs, and source(…, wait="1h"); or one of the intervals of `{source.name}`.'
        )
    try:
        from airflow.sdk import RollupMapper
    except ImportError:
        raise ConfigurationError(
            f"airflow_dag: `{source.options.location}` is made every {grid.label} and pipeline `{graph.name}` runs every {graph.grid.label}: only "
            'Airflow 3.3 and later can wait for all of them. Give the pipeline a schedule, and source(…, wait="1h").'
        ) from None
    from airflow import sdk

    mapper, window = found
    return RollupMapper(upstream_mapper=getattr(sdk, mapper)(input_format=_KEY, output_format=_KEY), window=getattr(sdk, window)())


def _are_same(one: Grid, other: Grid) -> bool:
    return one.step == other.step and (one.step is None or not (one.anchor - other.anchor) % one.step)
