"""Pipelines and DAGs that a published dataset triggers, on a real Airflow: with the key, for one interval and for the hours of a day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow_server import Airflow, airflow_server, until

import headrace as hr

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

MAKER = """
import headrace as hr

maker = hr.Pipeline("maker", schedule="@daily", start="2026-01-01")


@maker.table(publish=True, group="prepare")
def things(when: hr.Interval):
    return [{"id": n, "day": when.start.day} for n in range(3)]


@maker.table(publish=True, group="prepare")
def more(things):
    return "select id, id + 1 as next from things"


@maker.table(every="1h", publish=True)
def ticks(when: hr.Interval):
    return [{"hour": when.start.hour}]


dag = hr.airflow_dag(maker)
"""

TAKER = """
import headrace as hr

taker = hr.Pipeline("taker", start="2026-01-01")
taker.source("things", hr.dataset("maker.things"))
taker.source("more", hr.dataset("maker.more"))


@taker.table(layer="gold")
def joined(things, more):
    return "select t.day, m.next from things t join more m using (id)"


dag = hr.airflow_dag(taker)
"""

LATER = """
import headrace as hr

later = hr.Pipeline("later", start="2026-02-01")
later.source("things", hr.dataset("maker.things"))
dag = hr.airflow_dag(later)
"""

HOURS = """
import headrace as hr

hours = hr.Pipeline("hours", start="2026-01-01")
hours.source("ticks", hr.dataset("maker.ticks", every="1h"))


@hours.table
def counted(ticks):
    return "select count(*) as n from ticks"


dag = hr.airflow_dag(hours)
"""

OWN = """
from airflow.sdk import DAG, PartitionedAssetTimetable, task

from headrace.airflow import asset

with DAG("own", schedule=PartitionedAssetTimetable(assets=asset("maker.things"))):

    @task
    def told(dag_run=None, triggering_asset_events=None):
        (event,) = triggering_asset_events[asset("maker.things")]
        return {"key": dag_run.partition_key, "rows": event.extra["rows_kept"]}

    told()
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    files = {"maker.py": MAKER + OWN, "taker.py": TAKER, "hours.py": HOURS, "later.py": LATER}
    with airflow_server(tmp_path_factory.mktemp("airflow"), files) as started:
        for dag in ("maker", "taker", "hours", "later", "own"):
            started.dag(dag)
        yield started


@pytest.fixture(scope="module")
def made(airflow: Airflow) -> str:
    """A run of the producer by hand: it has no key of its own, only an interval."""
    return airflow.run("maker", conf={"at": "2026-01-05"})


def triggered(airflow: Airflow, dag: str) -> dict[str, Any]:
    """The one run of the interval that an asset has triggered, when it has ended well. (The schedule has its own runs, of yesterday.)"""

    def found() -> list[dict[str, Any]]:
        return [run for run in airflow.runs(dag) if run["partition_key"] == "2026-01-05T00:00:00"]

    runs = until(found, f"a run of {dag}", 120, lambda: str(airflow.all("assets/events", "asset_events")))
    assert airflow.wait(dag, runs[0]["dag_run_id"]) == "success", airflow.story(dag, runs[0]["dag_run_id"])
    assert [run["run_type"] for run in found()] == ["asset_triggered"]
    return runs[0]


def test_airflow_has_nothing_to_say_against_the_files(airflow: Airflow) -> None:
    assert airflow.errors == []
    assert airflow.warnings == []


def test_a_consumer_runs_once_for_the_interval_of_all_that_it_reads(airflow: Airflow, made: str) -> None:
    run = triggered(airflow, "taker")
    assert airflow.told("taker", run["dag_run_id"], "joined")["intervals"] == ["2026-01-05"]
    table = hr.open_lake(airflow.lake).read("taker.joined", at="2026-01-05")
    assert sorted(tuple(row.values()) for row in table.to_pylist()) == [(5, 1), (5, 2), (5, 3)]


def test_a_daily_consumer_of_an_hourly_dataset_waits_for_the_hours_of_the_day(airflow: Airflow, made: str) -> None:
    triggered(airflow, "hours")
    assert hr.open_lake(airflow.lake).read("hours.counted", at="2026-01-05").to_pylist() == [{"n": 24}]


def test_an_interval_before_a_consumers_start_is_skipped_by_it(airflow: Airflow, made: str) -> None:
    run = triggered(airflow, "later")
    assert airflow.states("later", run["dag_run_id"]) == {"things": "skipped", "run-record": "skipped"}


def test_a_dag_of_ones_own_is_triggered_with_the_key_and_what_was_made(airflow: Airflow, made: str) -> None:
    run = triggered(airflow, "own")
    assert airflow.told("own", run["dag_run_id"], "told") == {"key": "2026-01-05T00:00:00", "rows": 3}


def test_assets_are_named_as_the_datasets_are(airflow: Airflow, made: str) -> None:
    found = {asset["name"]: asset["uri"] for asset in airflow.all("assets", "assets")}
    assert found == {f"maker.{name}": f"headrace://maker/{name}" for name in ("things", "more", "ticks")}
