"""Steps as values, with little to write: for tests of what is decided from them."""

from __future__ import annotations

from datetime import datetime, timedelta

from headrace.core.errors import Where
from headrace.core.graph import Graph, problems_of
from headrace.core.interval import Grid, parse_time
from headrace.core.split import Split
from headrace.core.step import Input, ModelSpec, Predictions, Promotion, Source, SourceOptions, Step, Table, TrainedModel

DAILY = Grid.parse("@daily")
HOURLY = Grid.parse("@hourly")
_HERE = Where("pipeline.py", 1)


def nothing() -> str:
    return "select 1 as one"


def source(name: str, location: str = "rows.csv", *, line: int = 1, grid: Grid = DAILY) -> Source:
    return Source(name, Where("pipeline.py", line), grid, SourceOptions("csv", location))


def table(
    name: str,
    *reads: str | Input,
    line: int = 1,
    grid: Grid = DAILY,
    key: tuple[str, ...] = (),
    time: str | None = None,
    split: Split | None = None,
) -> Table:
    inputs = tuple(Input(r, r) if isinstance(r, str) else r for r in reads)
    return Table(name, Where("pipeline.py", line), grid, nothing, inputs, key=key, time=time, split=split)


def model(name: str, data: str, *features: str, line: int = 1, grid: Grid = DAILY, is_newest: bool = False, **spec: object) -> TrainedModel:
    said = ModelSpec(features or ("x",), **spec)  # type: ignore[arg-type]
    return TrainedModel(name, Where("pipeline.py", line), grid, nothing, data, said, (Input(data, data, is_newest=is_newest),))


def promotion(of: TrainedModel) -> Promotion:
    return Promotion(f"{of.name}.promotion", of.where, of.grid, of.name, (Input("model", of.name),))


def predictions(name: str, of: str, data: str, *, line: int = 1, grid: Grid = DAILY) -> Predictions:
    reads = (Input("data", data), Input("model", f"{of}.promotion", is_newest=True))
    return Predictions(name, Where("pipeline.py", line), grid, of, data, (), reads)


def days(far: int, near: int = 0) -> tuple[timedelta, timedelta]:
    return timedelta(days=far), timedelta(days=near)


def problems(*steps: Step, name: str = "shop", start: str | None = "2026-01-01") -> list[str]:
    """What is wrong with steps, as it is told."""
    return [str(p) for p in problems_of(name, _HERE, _start(start), steps)[0]]


def graph(*steps: Step, grid: Grid = DAILY, start: str | None = "2026-01-01") -> Graph:
    found, ordered = problems_of("shop", _HERE, _start(start), steps)
    assert not found
    return Graph("shop", _HERE, grid, _start(start), {s.name: s for s in ordered})


def _start(start: str | None) -> datetime | None:
    return None if start is None else parse_time(start)
