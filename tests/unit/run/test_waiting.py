"""Sources that wait: for a file, for one that grows, for a dataset; what goes on meanwhile, and what is said when time is up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

import headrace as hr
from headrace.config import read_config
from headrace.core.arrival import Awaited, Sight, Vigil
from headrace.core.errors import NotReadyError, SourceError
from headrace.core.interval import Interval
from headrace.core.plan import Decision
from headrace.core.receipt import Receipt
from headrace.run.arrival import awaited, look_from_afar
from headrace.run.backfill import Ran, carry_out
from headrace.run.observe import Request, make_plan
from headrace.run.session import Session, open_lake_at

DAY = Interval.of("2026-01-05", "2026-01-06")


@dataclass
class World:
    """A session whose sleeps take no time: the n-th does what `on` says."""

    folder: Path
    slept: list[float] = field(default_factory=list[float])
    on: dict[int, Callable[[], object]] = field(default_factory=dict[int, Callable[[], object]])
    told: list[str] = field(default_factory=list[str])

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on.get(len(self.slept), lambda: None)()

    def watch(self, decision: Decision, receipt: Receipt | None) -> None:
        what = receipt.state if receipt else decision.reason if decision.action == "wait" else "starts"
        self.told.append(f"{decision.step} {what}")

    def session(self, pipeline: hr.Pipeline) -> Session:
        config = read_config(None, environment={}, overrides={"lake": str(self.folder / "lake"), "tracking": "none"})
        return Session(pipeline.graph(), config, open_lake_at(config.lake_uri), file=self.folder / "p.py", sleep=self.sleep)

    def run(self, pipeline: hr.Pipeline, *, jobs: int = 1) -> Ran:
        return carry_out(self.session(pipeline), Request([DAY]), jobs=jobs, watch=self.watch)

    def write(self, text: str = "id\n1\n", *, name: str = "2026-01-05.csv", age_s: float = 3600) -> None:
        path = self.folder / name
        path.write_text(text)
        os.utime(path, (time.time() - age_s, time.time() - age_s))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def pipeline(world: World, wait: str | None = "2h", **options: object) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
    shop.source("orders", str(world.folder / "{start:%Y-%m-%d}.csv"), wait=wait, **options)  # type: ignore[arg-type]

    @shop.table
    def other():
        return "select 1 as one"

    @shop.table
    def total(orders):
        return "select count(*) as n from orders"

    return shop


class TestAFile:
    def test_that_is_there_is_not_waited_for(self, world: World) -> None:
        world.write()
        assert not world.run(pipeline(world)).outcome.errors
        assert world.slept == []

    @pytest.mark.parametrize("jobs", [1, 3])
    def test_is_read_when_it_arrives_and_other_steps_go_on_meanwhile(self, world: World, jobs: int) -> None:
        world.on[3] = world.write
        ran = world.run(pipeline(world), jobs=jobs)
        assert [(r.step, r.state) for r in ran.receipts] == [("orders", "made"), ("other", "made"), ("total", "made")]
        path = world.folder / "2026-01-05.csv"
        assert (
            world.told.index(f"orders waiting up to 2h: there is no file at `{path}`")
            < world.told.index("other made")
            < world.told.index("orders starts")
        )
        assert len(world.slept) == 3

    def test_is_looked_for_with_longer_and_longer_pauses(self, world: World) -> None:
        world.run(pipeline(world))
        assert world.slept[1:7] == pytest.approx([2, 4, 8, 16, 30, 30], abs=1)
        assert sum(world.slept) == pytest.approx(7200, abs=5)

    def test_that_never_comes_is_an_error_that_says_what_was_missing_and_since_when(self, world: World) -> None:
        world.write(name="2026-01-04.csv")
        ran = world.run(pipeline(world, "10m"))
        (error,) = ran.outcome.errors.values()
        assert isinstance(error, SourceError)
        text = str(error)
        assert text.startswith(
            f"Source `orders` {DAY}: There is no file at `{world.folder}/2026-01-05.csv`. The nearest interval that has one is 2026-01-04"
        )
        assert text.endswith("Z, as long as wait= allows (10m).")
        assert f"It was waited for since {datetime.now(UTC):%Y-%m-%d}" in text

    def test_that_never_comes_is_an_empty_table_where_that_is_declared_normal(self, world: World) -> None:
        shop = pipeline(world, "10m", missing="empty", contract=_contract())
        assert world.run(shop).receipts[0].rows_kept == 0
        assert sum(world.slept) == pytest.approx(600, abs=5)

    def test_that_grows_is_read_when_it_has_stopped(self, world: World) -> None:
        world.on = {2: lambda: world.write("id\n1\n", age_s=0), 3: lambda: world.write("id\n1\n2\n", age_s=0)}
        assert world.run(pipeline(world)).receipts[0].rows_kept == 2
        assert len(world.slept) == 4

    def test_that_grows_until_time_is_up_is_not_read(self, world: World) -> None:
        sizes = iter(range(10_000))

        def grow() -> None:
            world.write("id\n" + "1\n" * (1 + next(sizes)), age_s=0)

        world.on = dict.fromkeys(range(1, 1000), grow)
        (error,) = world.run(pipeline(world, "5m")).outcome.errors.values()
        assert "is there with" in str(error)
        assert "bytes, and still changes. It was waited for since" in str(error)

    def test_without_wait_is_missing_at_once(self, world: World) -> None:
        assert isinstance(next(iter(world.run(pipeline(world, None)).outcome.errors.values())), SourceError)
        assert world.slept == []

    def test_that_landed_before_is_not_waited_for(self, world: World) -> None:
        world.write()
        world.run(pipeline(world))
        (world.folder / "2026-01-05.csv").unlink()
        again = world.run(pipeline(world, contract=_contract()))
        assert (again.receipts[0].state, world.slept) == ("made", [])


class TestADataset:
    def consumer(self, wait: str = "2h") -> hr.Pipeline:
        crm = hr.Pipeline("crm", schedule="@daily", start="2026-01-01")
        crm.source("orders", hr.dataset("shop.orders"), wait=wait)
        return crm

    def test_is_read_when_it_is_made(self, world: World) -> None:
        world.write()
        world.on[2] = lambda: World(world.folder).run(pipeline(world))
        assert world.run(self.consumer()).receipts[0].rows_kept == 1
        assert world.told[0] == "orders waiting up to 2h: `shop.orders` is not made for [2026-01-05, 2026-01-06)"

    def test_that_is_never_made_is_named_with_its_interval_and_the_command(self, world: World) -> None:
        (error,) = world.run(self.consumer("10m")).outcome.errors.values()
        assert isinstance(error, NotReadyError)
        assert "reads `shop.orders`: 1 of 1 intervals is not made: [2026-01-05, 2026-01-06)." in str(error)
        assert "headrace backfill FILE --from 2026-01-05 --to 2026-01-05 --only orders\nIt was waited for since" in str(error)


class TestInterrupted:
    def test_while_it_waits_a_run_ends_and_says_what_was_not_made(self, world: World) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        world.on[2] = interrupt
        ran = world.run(pipeline(world))
        assert ran.outcome.is_interrupted
        assert [(r.step, r.state) for r in ran.receipts] == [("orders", "skipped"), ("other", "made"), ("total", "skipped")]


class TestFromAfar:
    def test_a_look_needs_the_plain_texts_alone(self, world: World) -> None:
        shop = pipeline(world)
        session = world.session(shop)
        what = awaited(session, shop.graph().step("orders"), DAY)
        assert what is not None
        same = Awaited.from_json(what.as_json())
        assert same == what
        assert look_from_afar(same, now=datetime.now(UTC)).mark is None
        world.write()
        assert look_from_afar(same, now=datetime.now(UTC)).is_settled

    def test_a_lake_that_is_not_there_has_nothing(self, world: World) -> None:
        what = Awaited("orders", DAY, "dataset", "shop.orders", str(world.folder / "none"), 60)
        assert look_from_afar(what, now=datetime.now(UTC)).mark is None
        assert not (world.folder / "none").exists()


class TestPlan:
    def test_does_not_wait(self, world: World) -> None:
        plan = make_plan(world.session(pipeline(world)), Request([DAY]))
        assert [d.action for d in plan.decisions] == ["run", "run", "run"]
        assert world.slept == []


def test_what_changes_between_two_looks_has_not_arrived() -> None:
    vigil = Vigil()
    for mark in ("1", "2", None, "2"):
        vigil = vigil.after(Sight(mark, ""))
        assert not vigil.has_arrived
    assert vigil.after(Sight("2", "")).has_arrived


def _contract() -> type:
    from pydantic import BaseModel

    class Order(BaseModel):
        id: int

    return Order


def test_a_file_that_is_missing_is_told_with_those_that_are_called_alike(world: World) -> None:
    world.write(name="order.csv")
    shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")
    shop.source("orders", str(world.folder / "orders.csv"), wait="1m")
    (error,) = world.run(shop).outcome.errors.values()
    assert "Beside it: `order.csv`." in str(error)
