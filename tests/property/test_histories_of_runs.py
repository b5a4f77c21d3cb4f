"""Whatever was run, edited and cleared before: a backfill leaves what an empty lake would have been given, and then nothing is left to do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace.run.backfill import carry_out
from headrace.run.observe import Request, make_plan
from headrace.testing import Lab

DAYS = [f"2026-01-0{day}" for day in range(1, 6)]


def steps(folder: Path, constant: int) -> hr.Pipeline:
    """A source by day, a table of it, one over history, one on a coarser grid, and one that reads both."""
    pipeline = hr.Pipeline("steps", start="2026-01-01")
    pipeline.source("given", str(folder / "{start:%Y-%m-%d}.csv"))

    @pipeline.table
    def scaled(given, by: int = 1):
        return f"select x * $by + {constant} as x from given"

    @pipeline.table(history={"scaled": "2d"})
    def summed(scaled):
        return "select sum(x)::bigint as x, count(distinct interval_end) as days from scaled"

    @pipeline.table(every="2d")
    def pairs(scaled):
        return "select max(x) as most from scaled"

    @pipeline.table
    def joined(summed, pairs):
        return "select x, most from summed, pairs"

    return pipeline


acts = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(DAYS), st.integers(1, 3)),
    st.tuples(st.just("edit"), st.just(""), st.integers(0, 1)),
    st.tuples(st.just("set"), st.just(""), st.integers(1, 2)),
    st.tuples(st.just("run"), st.sampled_from(DAYS), st.just(0)),
    st.tuples(st.just("clear"), st.sampled_from(DAYS), st.just(0)),
)


class World:
    """Files, code and settings as they are now, and one lake."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.constant, self.by, self.writes = folder, 0, 1, 0
        for day in DAYS:
            self.write(day, 1)
        self.lake: Any = None

    def write(self, day: str, value: int) -> None:
        self.writes += 1
        (self.folder / f"{day}.csv").write_text("x\n" + f"{value}\n" * (1 + self.writes % 2))

    def lab(self, *, is_fresh: bool = False) -> Lab:
        lab = Lab(steps(self.folder, self.constant), settings={"scaled.by": self.by})
        if self.lake is not None and not is_fresh:
            lab._lake = self.lake
            lab.session = lab._session()
        self.lake = self.lake or lab._lake
        return lab

    def act(self, what: str, day: str, value: int) -> None:
        if what == "write":
            self.write(day, value)
        elif what == "edit":
            self.constant = value
        elif what == "set":
            self.by = value
        elif what == "run":
            self.lab().run(day)
        else:
            lab = self.lab()
            log = lab._lake.log("steps", "scaled")
            if lab.interval(day) in log.versions(None):
                log.clear(lab.interval(day), why="test", who="test")


def request(lab: Lab) -> Request:
    return Request([lab.interval(day) for day in DAYS], is_backfill=True)


def contents(lab: Lab) -> dict[str, str]:
    found = {}
    for name in lab._lake.datasets():
        log = lab._lake.log(*name.split(".", 1))
        for interval in log.versions(None):
            current = log.current(interval)
            if current is not None and not name.endswith("_runs"):
                found[f"{name} {interval.label}"] = current.content.digest
    return found


def check(history: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for act in history:
            world.act(*act)
        lab, fresh = world.lab(), world.lab(is_fresh=True)
        for one in (lab, fresh):
            assert carry_out(one.session, request(one), jobs=1).outcome.errors == {}
        assert contents(lab) == contents(fresh)
        again = world.lab()
        assert make_plan(again.session, request(again)).to_run == ()


def test_a_backfill_after_edits_and_clearings_leaves_what_an_empty_lake_would_have_been_given() -> None:
    before = [("run", DAYS[3], 0), ("edit", "", 1), ("run", DAYS[1], 0), ("write", DAYS[1], 3), ("clear", DAYS[0], 0), ("set", "", 2)]
    check([*before, ("run", DAYS[4], 0), ("set", "", 1)])


@pytest.mark.integration
@settings(max_examples=10)
@given(st.lists(acts, max_size=10))
def test_any_history_and_a_backfill_leave_what_an_empty_lake_would_have_been_given(history: list[tuple[str, str, int]]) -> None:
    check(history)
