"""Sources that wait under Airflow: deferred to the triggerer until the file is there, and what is told when it never comes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from airflow_home import Home, make_home, needs_airflow
from object_servers import moto_server

from headrace.core.interval import Interval

DAY = Interval.of("2026-01-05", "2026-01-06")

pytestmark = [pytest.mark.integration, needs_airflow]

ARRIVALS = '''
"""Rows that come late."""

from pydantic import BaseModel

import headrace as hr

late = hr.Pipeline("late", schedule="@daily", start="2026-01-01")
late.source("orders", "orders/{start:%Y-%m-%d}.csv", wait="25s")


@late.table
def total(orders):
    return "select count(*) as n from orders"


after = hr.Pipeline("after", schedule="@daily", start="2026-01-01")
after.source("totals", hr.dataset("late.total"), wait="2s")



class Order(BaseModel):
    id: int


together = hr.Pipeline("together", schedule="@daily", start="2026-01-01")
together.source("orders", "orders/{start:%Y-%m-%d}.csv", wait="2s", missing="empty", contract=Order, group="both")


@together.table(group="both")
def counted(orders):
    return "select count(*) as n from orders"


dag = hr.airflow_dag(late)
other = hr.airflow_dag(after)
third = hr.airflow_dag(together)
'''


def key(dag: str, day: int) -> dict[str, Any]:
    return {"dag": dag, "key": f"2026-01-{day:02}T00:00:00"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, list[dict[str, Any]], list[str]]:
    """The file comes while it is waited for; its reader in another pipeline; a file that never comes; its reader; and a group that does without."""
    home = make_home(tmp_path_factory.mktemp("airflow"))
    (home.dags / "late.py").write_text(ARRIVALS)
    (home.dags / "orders").mkdir()
    started = home.start("late.py", key("late", 1), key("after", 1), key("late", 2), key("after", 2), key("together", 2))
    _wait_for(home.folder / "log", "waits up to 25 s, without a worker")
    with (home.dags / "orders" / "2026-01-01.csv").open("w") as file:  # it grows for some seconds
        for line in ("id", *map(str, range(8))):  # with pauses much shorter than those between two looks
            file.write(f"{line}\n")
            file.flush()
            time.sleep(0.4)
    runs, logs = home.answer(started)
    return home, runs, logs


def test_a_file_that_arrives_while_it_is_waited_for_is_read_whole(ran: tuple[Home, list[dict[str, Any]], list[str]]) -> None:
    _, runs, logs = ran
    assert runs[0]["state"] == "success", logs[0][-4000:]
    assert runs[0]["tasks"]["orders"]["told"]["rows_kept"] == 8
    assert "`orders` waits up to 25 s, without a worker: there is no file at `" in logs[0]


def test_a_file_that_never_comes_fails_the_task_with_what_was_missing_and_since_when(
    ran: tuple[Home, list[dict[str, Any]], list[str]],
) -> None:
    _, runs, _logs = ran
    assert (runs[2]["state"], runs[2]["tasks"]["orders"]["state"], runs[2]["tasks"]["total"]["state"]) == (
        "failed",
        "failed",
        "upstream_failed",
    )
    error = str(runs[2]["tasks"]["orders"]["told"]["error"])
    assert "There is no file at `orders/2026-01-02.csv`. The nearest interval that has one is 2026-01-01" in error.replace(
        str(ran[0].dags) + "/", ""
    )
    assert "It was waited for since 20" in error
    assert "as long as wait= allows (25s)" in error
    assert runs[2]["tasks"]["orders"]["tries"] == 1


def test_a_dataset_of_another_pipeline_is_read_or_waited_for_in_vain(ran: tuple[Home, list[dict[str, Any]], list[str]]) -> None:
    _, runs, logs = ran
    assert runs[1]["state"] == "success", logs[1][-4000:]
    assert "waits up to" not in logs[1]
    assert runs[3]["state"] == "failed"
    error = str(runs[3]["tasks"]["totals"]["told"]["error"])
    assert "reads `late.total`: 1 of 1 intervals is not made: [2026-01-02, 2026-01-03)" in error
    assert "It was waited for since" in error


def test_a_group_waits_and_an_interval_without_a_file_is_empty_when_time_is_up(ran: tuple[Home, list[dict[str, Any]], list[str]]) -> None:
    _, runs, logs = ran
    assert runs[4]["state"] == "success", logs[4][-4000:]
    assert "`orders` waits up to 2 s, without a worker" in logs[4]
    told = runs[4]["tasks"]["both"]["told"]["steps"]
    assert [(one["step"], one["state"], one["rows_kept"]) for one in told] == [("orders", "made", 0), ("counted", "made", 1)]


def _wait_for(log: Path, text: str) -> None:
    until = time.monotonic() + 120
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < until, log.read_text()[-4000:]
        time.sleep(0.2)


TRIGGERED = """
import asyncio, json, sys
from datetime import UTC, datetime
from importlib import import_module

def event(awaited, since):
    place, arguments = ArrivalTrigger(awaited, since or datetime.now(UTC).isoformat()).serialize()
    module, _, name = place.rpartition(".")
    async def first():
        async for one in getattr(import_module(module), name)(**json.loads(json.dumps(arguments))).run():
            return one.payload
    return asyncio.run(first())

from headrace.airflow import arrival
from headrace.airflow.arrival import ArrivalTrigger
arrival._MOST_FAILURES = 2
print(json.dumps([event(*asked) for asked in json.loads(sys.argv[1])]))
"""


def test_the_trigger_tells_what_came_what_did_not_and_why_it_could_not_look(tmp_path: Path) -> None:
    day = ["2026-01-05T00:00:00+00:00", "2026-01-06T00:00:00+00:00"]
    (tmp_path / "here.csv").write_text("id\n1\n")

    def awaited(location: str, longest_s: float = 60, kind: str = "files") -> dict[str, Any]:
        return {"step": "orders", "interval": day, "kind": kind, "location": location, "place": str(tmp_path), "longest_s": longest_s}

    now = None
    asked = [
        [[awaited("here.csv")], now],
        [[awaited("here.csv"), awaited("gone.csv", 5)], now],
        [[awaited("gone.csv")], "2026-01-01T00:00:00+00:00"],
        [[awaited("shop.orders", 1, "dataset")], now],
        [[awaited("nowhere://user:hunter2@there/x.csv")], now],
    ]
    command = [sys.executable, "-c", TRIGGERED, json.dumps(asked)]
    done = subprocess.run(command, env=Home(tmp_path).environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stdout.splitlines()[-1])
    assert [one["arrival"] for one in events] == ["orders"] * 5
    assert events[0]["late"] == []
    said = [[late["said"] for late in one["late"]] for one in events[1:4]]
    assert said == [["there is no file at `gone.csv`"], ["there is no file at `gone.csv`"], [f"`shop.orders` is not made for {DAY}"]]
    assert "nowhere" in events[4]["late"][0]["trouble"]
    assert "hunter2" not in json.dumps(events[4])


def test_the_trigger_looks_into_a_bucket_with_a_connection_of_airflows(tmp_path: Path) -> None:
    day = ["2026-01-05T00:00:00+00:00", "2026-01-06T00:00:00+00:00"]
    with moto_server() as server:
        server.client().put_object(Bucket=server.bucket, Key="here.csv", Body=b"id\n1\n")

        def awaited(key: str) -> dict[str, Any]:
            return {
                "step": "orders",
                "interval": day,
                "kind": "files",
                "location": f"s3://{server.bucket}/{key}",
                "place": str(tmp_path),
                "longest_s": 5,
                "connection": "my_aws",
                "access": {"own": ["connection"]},
            }

        extra = {"endpoint_url": server.endpoint, "region_name": server.region}
        told = {"conn_type": "aws", "login": server.access_key, "password": "hunter2", "extra": extra}
        environment = {**Home(tmp_path).environment(), "AIRFLOW_CONN_MY_AWS": json.dumps(told)}
        command = [sys.executable, "-c", TRIGGERED, json.dumps([[[awaited("here.csv")], None], [[awaited("gone.csv")], None]])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    here, gone = json.loads(done.stdout.splitlines()[-1])
    assert here["late"] == []
    assert [(late["said"], late["trouble"]) for late in gone["late"]] == [(f"there is no file at `s3://{server.bucket}/gone.csv`", "")]
    assert "hunter2" not in done.stdout
