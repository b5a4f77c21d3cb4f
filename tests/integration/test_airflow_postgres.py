"""Airflow's database is a PostgreSQL that the test starts, and tasks run beside each other."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from airflow_server import Airflow, airflow_server
from postgres import postgres

import headrace as hr

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

WIDE = '''
import time
from pathlib import Path

import headrace as hr

wide = hr.Pipeline("wide", schedule="@daily", start="2026-01-01")


def meet(name: str, day: str) -> str:
    """Ends when all three have come."""
    (Path("FOLDER") / f"{day}-{name}").touch()
    until = time.monotonic() + 120
    while len(list(Path("FOLDER").glob(f"{day}-*"))) < 3:
        assert time.monotonic() < until, "the others did not come"
        time.sleep(0.1)
    return f"select '{name}' as name, range as n from range(1000)"


@wide.table
def north(day: hr.Interval):
    return meet("north", day.label)


@wide.table
def centre(day: hr.Interval):
    return meet("centre", day.label)


@wide.table
def south(day: hr.Interval):
    return meet("south", day.label)


@wide.table(layer="gold")
def total(north, centre, south):
    return "select count(*) as n from (from north union all from centre union all from south)"


dag = hr.airflow_dag(wide)
'''


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "met").mkdir()
    with (
        postgres("airflow") as url,
        airflow_server(folder, {"wide.py": WIDE.replace("FOLDER", str(folder / "met"))}, "--database", url) as started,
    ):
        yield started
        assert started.stop(signal.SIGTERM) == 0  # as a service manager asks it; by Ctrl-C elsewhere


def test_tasks_run_beside_each_other_and_a_backfill_fills_the_days(airflow: Airflow) -> None:
    run = airflow.run("wide", key="2026-01-02T00:00:00")
    assert set(airflow.states("wide", run).values()) == {"success"}
    made = airflow.backfill("wide", "2026-01-03", "2026-01-05", max_active_runs=2)
    assert [one["state"] for one in made] == ["success"] * 3
    lake = hr.open_lake(airflow.lake)
    for day in range(2, 6):
        assert lake.read("wide.total", at=f"2026-01-{day:02}").to_pylist() == [{"n": 3000}]
    assert airflow.warnings == []
    assert airflow.errors == []


def test_it_really_is_the_database_and_its_password_is_not_told(airflow: Airflow) -> None:
    assert not (airflow.home / "airflow.db").exists()
    assert "not-to-be-shown" not in airflow.output
    for log in (airflow.home / "logs").glob("*.log"):
        assert "not-to-be-shown" not in log.read_text(errors="replace"), log
    assert "postgresql" in airflow.command("config", "get-value", "database", "sql_alchemy_conn").replace("\n", " ")
