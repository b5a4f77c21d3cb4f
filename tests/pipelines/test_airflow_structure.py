"""Assets and groups in runs of DAGs: what is told of a published dataset, whom it triggers, and how a group's steps end."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from airflow_home import Home, make_home, needs_airflow

from headrace.run.session import open_lake_at

pytestmark = [pytest.mark.integration, needs_airflow, pytest.mark.xdist_group("structure")]  # their runs are made once

FILE = '''
"""Prices of three days at a time, and who reads them."""
from pathlib import Path

import headrace as hr

maker = hr.Pipeline("maker", schedule="@daily", start="2026-01-01")


@maker.table(publish=True, key="id", group="prepare")
def things(when: hr.Interval, factor: int = 2):
    """The things of a day."""
    return [{"id": n * factor, "day": when.start.day} for n in range(3)]


@maker.table(every="3d", publish=True, group="prepare")
def counted(things: hr.Frame):
    return f"select count(*) as n from {things}"


@maker.table(group="prepare", layer="gold")
def fragile(things: hr.Frame):
    if Path(__file__).with_name("broken").exists():
        raise ZeroDivisionError("by zero")
    return f"select * from {things}"


@maker.table(publish=True)
def after(fragile: hr.Frame):
    return f"select * from {fragile}"


@maker.table(every="12h", publish=True)
def halves(when: hr.Interval):
    return [{"hour": when.start.hour}]


taker = hr.Pipeline("taker", start="2026-01-01")
taker.source("things", hr.dataset("maker.things"))
taker.source("after", hr.dataset("maker.after"))

weekly = hr.Pipeline("weekly", schedule="0 0 * * 1", start="2026-01-01")
weekly.source("things", hr.dataset("maker.things", every="1d"))

made = hr.airflow_dag(maker, steps={"prepare": {"priority_weight": 5}})
taken = hr.airflow_dag(taker)
rolled = hr.airflow_dag(weekly, timetable="assets")
'''
WAITS = """
from datetime import timedelta

import headrace as hr

waits = hr.Pipeline("waits", schedule="@daily", start="2026-01-01")


@waits.table(group="g")
def days(when: hr.Interval):
    return [{"day": when.start.day}]


@waits.table(history={"days": "2d"}, group="g")
def recent(days):
    return "select * from days"


@waits.table(group="g")
def last(recent):
    return "select * from recent"


dag = hr.airflow_dag(waits, steps={"g": {"wait": timedelta(seconds=1)}})
"""
TOLD = {
    "step",
    "state",
    "cached",
    "intervals",
    "version",
    "rows_read",
    "rows_kept",
    "rows_quarantined",
    "size_bytes",
    "fingerprint",
    "metrics",
}


def key(day: int, **more: Any) -> dict[str, Any]:
    return {"dag": "maker", "key": f"2026-01-{day:02}T00:00:00", **more}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = make_home(tmp_path_factory.mktemp("assets") / "home")
    (made.dags / "both.py").write_text(FILE)
    return made


@pytest.fixture(scope="module")
def runs(home: Home) -> list[dict[str, Any]]:
    """Three days, the third again, one by hand without a key, an experiment, and one that is kept."""
    asked = [key(1), key(2), key(3), key(3)]
    asked.append({"dag": "maker", "logical_date": None, "conf": {"at": "2026-01-02"}})
    asked.append(key(2, conf={"things.factor": 3}))
    asked.append(key(2, conf={"things.factor": 4, "keep": True}))
    found, _ = home.run("both.py", *asked)
    return found


@pytest.fixture(scope="module")
def broken(home: Home, runs: list[dict[str, Any]]) -> dict[str, Any]:
    (home.dags / "broken").touch()
    (found,), _ = home.run("both.py", key(4))
    return found


def test_a_step_of_a_group_waits_for_its_past_and_its_failure_is_told_as_its_own(home: Home, broken: dict[str, Any]) -> None:
    (home.dags / "waits.py").write_text(WAITS)
    (run,), (log,) = home.run("waits.py", {"dag": "waits", "key": "2026-01-05T00:00:00"})
    assert run["state"] == "failed"
    steps = {one["step"]: one for one in run["tasks"]["g"]["told"]["steps"]}
    assert {name: one["state"] for name, one in steps.items()} == {
        "days": "cached",
        "recent": "failed",
    }  # cached: it was made before the wait
    assert "waited; 1 commits are still missing" in log
    assert "headrace backfill waits.py --from 2026-01-04 --to 2026-01-04" in str(steps["recent"])
    assert run["tasks"]["run-record"]["told"]["states"] == {"blocked": 1, "cached": 1, "failed": 1}


def told(run: dict[str, Any]) -> dict[str, set[str]]:
    """The keys that were told of each dataset."""
    return {name: {e["key"] for e in run["events"] if e["asset"] == name} for name in {e["asset"] for e in run["events"]}}


def test_each_published_dataset_is_told_of_with_its_intervals_start_as_key(runs: list[dict[str, Any]]) -> None:
    assert told(runs[0]) == {
        "maker.things": {"2026-01-01T00:00:00"},
        "maker.after": {"2026-01-01T00:00:00"},
        "maker.halves": {"2026-01-01T00:00:00", "2026-01-01T12:00:00"},
    }
    assert {e["uri"] for e in runs[0]["events"]} == {"headrace://maker/things", "headrace://maker/after", "headrace://maker/halves"}


def test_a_dataset_on_a_coarser_grid_is_told_of_in_the_run_that_makes_it(runs: list[dict[str, Any]]) -> None:
    assert "maker.counted" not in told(runs[1])
    assert told(runs[2])["maker.counted"] == {"2026-01-01T00:00:00"}


def test_a_cached_step_tells_too(runs: list[dict[str, Any]]) -> None:
    (event,) = [e for e in runs[3]["events"] if e["asset"] == "maker.things"]
    assert (event["extra"]["state"], event["extra"]["cached"], event["key"]) == ("cached", True, "2026-01-03T00:00:00")


def test_a_run_by_hand_tells_of_its_interval(runs: list[dict[str, Any]]) -> None:
    assert told(runs[4])["maker.things"] == {"2026-01-02T00:00:00"}


def test_an_experiment_is_not_told_of_unless_it_is_kept(runs: list[dict[str, Any]]) -> None:
    assert runs[5]["state"] == runs[6]["state"] == "success"
    assert set(told(runs[5])) == {"maker.halves"}
    assert set(told(runs[6])) == {"maker.things", "maker.after", "maker.halves"}


def test_an_event_tells_what_was_made_in_a_small_document(runs: list[dict[str, Any]]) -> None:
    (event,) = [e for e in runs[0]["events"] if e["asset"] == "maker.things"]
    assert set(event["extra"]) >= TOLD
    assert (event["extra"]["rows_kept"], event["extra"]["version"]) == (3, 1)
    assert len(event["extra"]["fingerprint"]) >= 32


def test_a_consumer_is_asked_to_run_for_the_key_and_a_coarser_one_for_its_own(runs: list[dict[str, Any]]) -> None:
    asks = {e["asset"]: e["asks"] for e in runs[2]["events"]}
    monday = date(2026, 1, 3) - timedelta(days=date(2026, 1, 3).weekday())
    assert asks["maker.things"] == {"taker": "2026-01-03T00:00:00", "weekly": f"{monday}T00:00:00"}
    assert asks["maker.after"] == {"taker": "2026-01-03T00:00:00"}
    assert asks["maker.counted"] == {}


def test_a_group_is_one_task_that_tells_of_each_of_its_steps(runs: list[dict[str, Any]]) -> None:
    assert set(runs[0]["tasks"]) == {"prepare", "after", "halves", "in-order", "run-record"}
    steps = {one["step"]: one for one in runs[0]["tasks"]["prepare"]["told"]["steps"]}
    assert {name: one["state"] for name, one in steps.items()} == {"things": "made", "counted": "skipped", "fragile": "made"}
    assert steps["things"]["rows_kept"] == 3
    assert runs[0]["tasks"]["run-record"]["told"]["states"] == {"cached": 2, "made": 3}


def test_when_a_step_of_a_group_fails_the_record_tells_the_steps_before_it_from_it(home: Home, broken: dict[str, Any]) -> None:
    assert broken["state"] == "failed"
    assert (broken["tasks"]["prepare"]["state"], broken["tasks"]["prepare"]["tries"]) == ("failed", 1)
    steps = {one["step"]: one["state"] for one in broken["tasks"]["prepare"]["told"]["steps"]}
    assert steps == {"things": "made", "counted": "skipped", "fragile": "failed"}
    assert broken["tasks"]["after"]["state"] == "upstream_failed"
    assert broken["tasks"]["run-record"]["told"]["states"] == {"blocked": 1, "cached": 3, "failed": 1, "made": 1}
    assert "maker.things" not in told(broken)  # the task failed, so nothing is told; its second try would tell


def test_what_is_stored_of_a_task_is_small(runs: list[dict[str, Any]], broken: dict[str, Any]) -> None:
    for run in [*runs, broken]:
        for task in run["tasks"].values():
            assert len(json.dumps(task.get("told"))) < 16_384
        for event in run["events"]:
            assert len(json.dumps(event["extra"])) < 4_096


def test_a_group_leaves_what_separate_tasks_leave(home: Home, runs: list[dict[str, Any]]) -> None:
    lake = open_lake_at(str(home.folder / "lake"), read_only=True)
    assert {"maker.things", "maker.counted", "maker.fragile", "maker.after", "maker.halves"} <= set(lake.datasets())
