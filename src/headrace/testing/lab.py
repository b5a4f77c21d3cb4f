"""The lab: a pipeline on a lake in memory, at a time of the test's choosing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

from headrace.config import Value, read_config
from headrace.core.errors import NotReadyError, UnknownNameError, did_you_mean
from headrace.core.graph import Graph
from headrace.core.interval import Interval, parse_time
from headrace.core.manifest import Content, Manifest, digest_of
from headrace.core.ports import JSON, WriteOrder
from headrace.core.receipt import Receipt
from headrace.core.step import Source, Step, Table, is_published
from headrace.lake.commit import Attempt
from headrace.run.backfill import carry_out
from headrace.run.execute import execute_step
from headrace.run.observe import Request
from headrace.run.reading import OpenLake
from headrace.run.session import Session, open_lake_at

__all__ = ["Lab", "Row", "run_step"]

Row = Mapping[str, object]


class HasGraph(Protocol):
    """A pipeline."""

    def graph(self) -> Graph: ...


class Lab:
    """A pipeline with a lake in memory and a fixed clock.

    `now` is the time that every part of headrace sees; without it, the end of the interval that is run. `locations` say where
    sources lie, in place of what the pipeline says: `{"purchases": "tests/data/{start:%Y-%m-%d}.csv"}`. Nothing is published.
    """

    def __init__(
        self,
        pipeline: HasGraph,
        *,
        now: str | datetime | None = None,
        settings: Mapping[str, JSON] | None = None,
        locations: Mapping[str, str | Path] | None = None,
    ) -> None:
        self.graph = pipeline.graph()
        self._now = None if now is None else parse_time(now)
        self._locations = {name: str(where) for name, where in (locations or {}).items()}
        self._settings = _by_step(settings or {})
        self._lake = open_lake_at("memory://", clock=self._clock)
        self._running: datetime | None = None
        self.session = self._session()

    @property
    def lake(self) -> OpenLake:
        """The lake, to read from: `lab.lake.read("shop.spending")`."""
        return OpenLake(self._lake)

    def run(self, at: str | datetime | None = None) -> Sequence[Receipt]:
        """Run one interval; raise the first step's error if one failed."""
        interval = self.interval(at)
        self._running = interval.end
        self.session = self._session()
        ran = carry_out(self.session, Request([interval]), jobs=1)
        for error in ran.outcome.errors.values():
            raise error
        return ran.receipts

    def put(self, dataset: str, rows: Sequence[Row], at: str | datetime | None = None) -> None:
        """Commit literal rows as a dataset's rows of one interval, in place of running its step."""
        step = self._step(dataset)
        interval = step.grid.at(self.interval(at).start)
        self._commit(step, interval, rows)
        self.session = self._session()

    def read(self, name: str, at: str | datetime | None = None) -> list[dict[str, Any]]:
        """The rows of a dataset of this pipeline (`spending`, `spending.train`) as a list of dicts."""
        return cast("list[dict[str, Any]]", self.lake.read(f"{self.graph.name}.{name}", at).to_pylist())

    def step(self, name: str, inputs: Mapping[str, Sequence[Row]], at: str | datetime | None = None) -> list[dict[str, Any]]:
        """Run one table on literal rows: see `run_step`. Splits are left out, so that a few rows will do."""
        self._step(name)
        whole = replace(self.graph, steps={n: replace(s, split=None) if isinstance(s, Table) else s for n, s in self.graph.steps.items()})
        target = whole.step(name)
        interval = target.grid.at(self.interval(at).start)
        self._running = interval.end
        for read, intervals in whole.reads(target, interval):
            if read.dataset not in inputs:
                raise NotReadyError(
                    f"step `{name}` reads `{read.dataset}`, and no rows were given for it: inputs={{{read.dataset!r}: [{{…}}, …]}}"
                )
            for one in intervals:
                mine = [r for r in inputs[read.dataset] if _end_of(r, intervals[-1].end) == one.end]
                self._commit(whole.step(read.dataset), one, [{k: v for k, v in r.items() if k != "interval_end"} for r in mine])
        self.session = replace(self._session(), graph=whole)
        execute_step(self.session, name, interval)
        return self.read(name, interval.start)

    def interval(self, at: str | datetime | None = None) -> Interval:
        """The pipeline's interval that holds `at`; without it the last one that is over by the lab's time, or the first."""
        if at is not None:
            return self.graph.grid.at(parse_time(at))
        if self._now is not None:
            return self.graph.grid.last_complete(self._now)
        return self.graph.first or self.graph.grid.at(parse_time("2026-01-01"))

    # ------------------------------------------------------------ private

    def _clock(self) -> datetime:
        return self._now or self._running or self.interval().end

    def _session(self) -> Session:
        file = Path(self.graph.where.file)
        real = file if file.is_file() else None
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
        places = {f"HEADRACE_SOURCES_{name.upper()}": where for name, where in self._locations.items()}
        config = read_config(real, environment={**environment, **places}, overrides={"lake": "memory://", "tracking": "none"})
        nowhere = {name: Value(False, "the lab") for name, step in self.graph.steps.items() if is_published(step)}
        config = replace(config, published=nowhere)
        return Session(self.graph, config, self._lake, clock=self._clock, sleep=lambda _: None, overrides=self._settings, who="test")

    def _step(self, name: str) -> Step:
        step = self.graph.steps.get(name)
        if step is None:
            raise UnknownNameError(f"Pipeline `{self.graph.name}` has no dataset `{name}`. {did_you_mean(name, self.graph.steps)}")
        return step

    def _commit(self, step: Step, interval: Interval, rows: Sequence[Row]) -> Manifest:
        is_split = isinstance(step, Table) and step.split is not None
        sides = step.split.parts if isinstance(step, Table) and step.split is not None else ("rows",)
        contract = step.contract if isinstance(step, Source) else None

        def work(attempt: Attempt, _: Manifest | None) -> tuple[Content, Mapping[str, JSON]]:
            if not rows:
                return Content(kind="data", step_kind=step.kind, fingerprint=digest_of("literal"), schema={}), {}
            paths = {side: attempt.file(side, layer="silver") for side in sides}
            order = WriteOrder(
                paths,
                key=step.key if isinstance(step, Table) else (),
                split=step.split if isinstance(step, Table) else None,
                interval=interval,
                contract=contract,
                time=step.time if isinstance(step, Table) and is_split else None,
            )
            with tempfile.TemporaryDirectory() as work_folder, self.session.engine.session(work=Path(work_folder)) as session:
                written = session.write([dict(row) for row in rows], order, values={})
            parts = tuple(attempt.part(side, "silver", rows=written.rows[side]) for side in sides)
            schema = dict.fromkeys(sides, written.schema)
            return Content(kind="data", step_kind=step.kind, parts=parts, schema=schema, fingerprint=digest_of("literal")), {}

        return self.session.log(step.name).commit(interval, work)


def run_step(
    pipeline: HasGraph,
    step: str | Callable[..., object],
    inputs: Mapping[str, Sequence[Row]],
    *,
    at: str | datetime | None = None,
    settings: Mapping[str, JSON] | None = None,
) -> list[dict[str, Any]]:
    """Run one table on literal rows, by dataset, and give its rows as a list of dicts, whole: its split is not made.

    `settings` are the step's own, by name. The rows of an input with history count as those of the newest interval that it reads,
    unless they have an `interval_end`.
    """
    name = step if isinstance(step, str) else step.__name__
    lab = Lab(pipeline, settings={f"{name}.{parameter}": value for parameter, value in (settings or {}).items()})
    return lab.step(name, inputs, at)


def _end_of(row: Row, default: datetime) -> datetime:
    given = row.get("interval_end")
    return parse_time(given) if isinstance(given, str | datetime) else default


def _by_step(settings: Mapping[str, JSON]) -> dict[str, dict[str, JSON]]:
    found: dict[str, dict[str, JSON]] = {}
    for name, value in settings.items():
        step, _, parameter = name.rpartition(".")
        found.setdefault(step, {})[parameter] = value
    return found
