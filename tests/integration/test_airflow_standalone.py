"""The same file on a real Airflow: scheduler, DAG processor, API server and triggerer, as `headrace airflow up` starts them.

One server for the whole module; each test has pipelines of its own in it, so that they may come in any order.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_server import Airflow, airflow_server, until

import headrace as hr

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

SALES = '''
"""How much was sold."""
from datetime import UTC, datetime

import headrace as hr
from pydantic import BaseModel

END = datetime(2026, 2, 1, tzinfo=UTC)  # nothing of the schedule besides what a test asks for
sales = hr.Pipeline("NAME", schedule="@daily", start="2026-01-01")


class Order(BaseModel):
    id: int
    day: str
    cents: int


sales.source("orders", "FOLDER/{start:%Y-%m-%d}.csv", contract=Order)


@sales.table(key="id")
def paid(orders):
    """One row an order."""
    return "select * from orders where cents > 0"


@sales.table(layer="gold")
def total(paid):
    """How much in all."""
    return "select count(*) as n, sum(cents) as cents from paid"


dag = hr.airflow_dag(sales, end_date=END, MORE)
'''

TICKS = """
import headrace as hr

ticks = hr.Pipeline("ticks", schedule="1m", start="2026-01-01")


@ticks.table
def tick(run: hr.Interval):
    return "select $start as began"


dag = hr.airflow_dag(ticks)
"""

SLOW = '''
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import headrace as hr

END = datetime(2026, 2, 1, tzinfo=UTC)
slow = hr.Pipeline("NAME", schedule="@daily", start="2026-01-01")
PLACE = Path("FOLDER")


@slow.table
def numbers():
    """It says which process works, and ends when it may."""
    (PLACE / f"began-{time.time_ns()}-{os.getpid()}-{os.getppid()}").touch()
    while not (PLACE / "go").exists():
        time.sleep(0.1)
    return "select range as n from range(1000)"


dag = hr.airflow_dag(slow, end_date=END, steps={"numbers": {"retry_delay": timedelta(seconds=1)}})
'''

STRICT = """
from datetime import UTC, datetime

import headrace as hr
from pydantic import BaseModel, Field

END = datetime(2026, 2, 1, tzinfo=UTC)
strict = hr.Pipeline("strict", schedule="@daily", start="2026-01-01")


class Weight(BaseModel):
    grams: int = Field(gt=0)


strict.source("weights", "FOLDER/weights.csv", contract=Weight)


@strict.table
def heavy(weights):
    return "select * from weights where grams > 100"


dag = hr.airflow_dag(strict, end_date=END)
"""

AVERAGES = """
from datetime import UTC, datetime

import headrace as hr

END = datetime(2026, 2, 1, tzinfo=UTC)
averages = hr.Pipeline("averages", schedule="@daily", start="2026-01-01")


@averages.table
def values():
    return "select epoch($start::timestamp)::bigint as v"


@averages.table(history={"values": "3d"})
def average(values):
    return "select count(*) as n, avg(v) as mean from values"


dag = hr.airflow_dag(averages, wait="10m", end_date=END)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Orders by day, petrol by state, purchases by day, and weights that are none."""
    folder = tmp_path_factory.mktemp("data")
    for day in range(1, 20):
        rows = "".join(f"{day * 100 + i},2026-01-{day:02},{(i * 37 * day) % 500}\n" for i in range(50))
        (folder / f"2026-01-{day:02}.csv").write_text("id,day,cents\n" + rows)
    (folder / "weights.csv").write_text("grams\n" + "-1\n" * 50)
    header = "Petrol_tax,Average_income,Paved_Highways,Population_Driver_licence(%),Petrol_Consumption\n"
    states = (f"{7 + i % 4},{3000 + 61 * i},{1000 + 377 * i},{0.45 + (i % 13) / 50:.3f},{400 + 3 * i + i % 13 * 20}\n" for i in range(48))
    (folder / "petrol.csv").write_text(header + "".join(states))
    for day in range(1, 16):
        lines = (f"{day}-{i},{1 + (i + day) % 9},{1.5 + i % 7},{i % 40},2010-12-{day:02} 10:00:00\n" for i in range(120))
        (folder / f"2010-12-{day:02}.csv").write_text("InvoiceNo,Quantity,UnitPrice,CustomerID,InvoiceDate\n" + "".join(lines))
    return folder


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    pipelines = {example.name: example.read_text() for example in EXAMPLES.glob("*.py")}
    pipelines |= {f"{name}.py": sales(name, data) for name in ("by_hand", "by_backfill", "by_command", "compared", "shared")}
    pipelines["classic.py"] = sales("classic", data, 'timetable="data_interval"')
    pipelines |= {"ticks.py": TICKS, "averages.py": AVERAGES, "strict.py": STRICT.replace("FOLDER", str(data))}
    for name in ("killed", "doubled"):
        (data / name).mkdir()
        pipelines[f"{name}.py"] = SLOW.replace("NAME", name).replace("FOLDER", str(data / name))
    settings = {
        "HEADRACE_SOURCES_STATES": str(data / "petrol.csv"),
        "HEADRACE_SOURCES_PURCHASES": str(data / "{start:%Y-%m-%d}.csv"),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    with airflow_server(folder, pipelines, environment=settings) as started:
        yield started


def sales(name: str, data: Path, more: str = "") -> str:
    return SALES.replace("NAME", name).replace("FOLDER", str(data)).replace(", MORE", f", {more}" if more else "")


def key(day: int) -> str:
    return f"2026-01-{day:02}T00:00:00"


def headrace(*arguments: object, lake: Path, **environment: str) -> str:
    """`headrace` itself, from a shell that knows nothing of Airflow."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "HEADRACE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *map(str, arguments), "--lake", str(lake)],
        env=kept | {"HEADRACE_TRACKING": "none", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(lake: Path, dataset: str, at: str) -> Counter[tuple[Any, ...]]:
    """What an interval of a dataset holds, as a bag."""
    table = hr.open_lake(lake).read(dataset, at=at)
    return Counter(tuple(row.values()) for row in table.to_pylist())


def fingerprint(lake: Path, dataset: str, at: str) -> tuple[int, str]:
    manifest = hr.open_lake(lake).manifest(dataset, at=at)
    return manifest.version, manifest.content.fingerprint


# ---------------------------------------------------------------- the examples, and all the ways in which a run starts


def test_the_examples_run_to_their_predictions_and_leave_what_headrace_run_leaves(airflow: Airflow, tmp_path: Path) -> None:
    # The schedule's run of the shop waits for thirty days that nobody has made, and runs come one at a time.
    waiting = until(lambda: airflow.runs("shop"), "the run of the schedule", 60)[0]["dag_run_id"]
    airflow.wait_for("shop", waiting, "spending", "deferred")  # a task that defers at the moment of the next line would wait on
    airflow.ask("PATCH", f"dags/shop/dagRuns/{waiting}", {"state": "failed"})
    runs = {
        "tumours": airflow.trigger("tumours"),
        "petrol": airflow.trigger("petrol", key="2026-11-01T08:00:00"),
        "shop": airflow.trigger("shop", conf={"at": "2010-12-01"}),
    }
    for dag, run in runs.items():
        assert airflow.wait(dag, run) == "success", airflow.story(dag, run)
    assert airflow.told("tumours", runs["tumours"], "diagnoses")["rows_kept"] == 569
    assert airflow.told("tumours", runs["tumours"], "forest.promotion")["verdict"]["decision"] == "promote"
    assert sum(rows(airflow.lake, "petrol.expected", "2026-11-01T08").values()) == 48
    assert airflow.told("shop", runs["shop"], "run-record")["interval"] == "2010-12-01"
    by_schedule = until(lambda: [run for run in airflow.runs("petrol") if run["run_type"] == "scheduled"], "the hour of the schedule", 120)[
        0
    ]
    assert airflow.wait("petrol", by_schedule["dag_run_id"]) == "success", airflow.story("petrol", by_schedule["dag_run_id"])
    filled = airflow.backfill("petrol", "2026-11-02T08:00:00Z", "2026-11-02T09:00:00Z", max_active_runs=1, reprocess_behavior="failed")
    assert [(run["partition_key"], run["state"]) for run in filled] == [(f"2026-11-02T0{hour}:00:00", "success") for hour in (8, 9)]
    at = airflow.told("tumours", runs["tumours"], "run-record")["interval"]
    headrace("run", EXAMPLES / "tumours.py", "--at", at, "--no-report", lake=tmp_path / "lake")
    for step in ("measured", "cells", "forest", "diagnoses"):
        assert fingerprint(airflow.lake, f"tumours.{step}", at) == fingerprint(tmp_path / "lake", f"tumours.{step}", at)
    assert rows(airflow.lake, "tumours.diagnoses", at) == rows(tmp_path / "lake", "tumours.diagnoses", at)


def test_airflow_has_nothing_to_say_against_the_files(airflow: Airflow) -> None:
    assert airflow.errors == []
    assert airflow.warnings == []
    assert not [line for line in airflow.output.splitlines() if "can't be read" in line or "has no DAG" in line]


def test_a_file_that_is_added_or_changed_is_read_without_a_restart(airflow: Airflow, data: Path) -> None:
    text = sales("added", data)
    airflow.write("added.py", text)
    assert airflow.dag("added")["description"] == "How much was sold."
    airflow.write("added.py", text.replace("How much was sold.", "How much was paid."))
    until(lambda: airflow.dag("added")["description"] == "How much was paid.", "the file of now", 90, lambda: str(airflow.errors))


def test_a_schedule_starts_a_run_when_its_interval_is_over(airflow: Airflow) -> None:
    def start_of(run: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(run["partition_key"]).replace(tzinfo=UTC)

    def age(run: dict[str, Any]) -> timedelta:
        return datetime.fromisoformat(run["queued_at"]) - start_of(run)

    def prompt() -> dict[str, Any] | None:
        """One that did not come late, as the first may, while Airflow reads all the other files."""
        done = [run for run in airflow.runs("ticks") if run["run_type"] == "scheduled" and run["state"] == "success"]
        assert all(timedelta(minutes=1) <= age(run) for run in done), done
        return next((run for run in done if age(run) < timedelta(minutes=3)), None)

    run = until(prompt, "a scheduled run", 240, lambda: str(airflow.runs("ticks")))
    assert airflow.told("ticks", run["dag_run_id"], "tick")["intervals"] == [f"{start_of(run):%Y-%m-%dT%H:%M}"]


def test_a_run_by_hand_is_about_the_interval_that_it_names(airflow: Airflow) -> None:
    by_key = airflow.trigger("by_hand", key=key(2))
    by_time = airflow.trigger("by_hand", conf={"at": "2026-01-03T15:00"})
    for run in (by_key, by_time):
        assert airflow.wait("by_hand", run) == "success", airflow.story("by_hand", run)
    assert airflow.told("by_hand", by_key, "total")["intervals"] == ["2026-01-02"]
    assert airflow.told("by_hand", by_time, "total")["intervals"] == ["2026-01-03"]


def test_a_backfill_makes_every_interval_once_and_headrace_skips_what_it_made(airflow: Airflow) -> None:
    made = airflow.backfill("by_backfill", "2026-01-04", "2026-01-06")
    assert [(run["partition_key"], run["state"]) for run in made] == [(key(day), "success") for day in (4, 5, 6)]
    said = headrace("backfill", airflow.pipelines / "by_backfill.py", "--from", "2026-01-04", "--to", "2026-01-07", lake=airflow.lake)
    assert re.search(r"3 made", said), said  # the three steps of the seventh, and nothing of the days before
    again = airflow.backfill("by_backfill", "2026-01-07", "2026-01-07")
    assert airflow.told("by_backfill", again[-1]["dag_run_id"], "total")["cached"] is True


def test_a_backfill_from_airflows_command_line_skips_what_headrace_made(airflow: Airflow) -> None:
    headrace("run", airflow.pipelines / "by_command.py", "--at", "2026-01-08", "--no-report", lake=airflow.lake)
    airflow.command("backfill", "create", "--dag-id", "by_command", "--from-date", "2026-01-08", "--to-date", "2026-01-09")

    def done() -> list[dict[str, Any]] | None:
        runs = [run for run in airflow.runs("by_command") if run["run_type"] == "backfill"]
        return runs if len(runs) == 2 and all(run["state"] in ("success", "failed") for run in runs) else None

    runs = {run["partition_key"]: run["dag_run_id"] for run in until(done, "the backfill", 240, lambda: str(airflow.runs("by_command")))}
    assert [airflow.told("by_command", runs[key(day)], "total")["state"] for day in (8, 9)] == ["cached", "made"]


def test_a_classic_run_has_its_data_interval(airflow: Airflow) -> None:
    run = airflow.trigger("classic", logical_date="2026-01-05T00:00:00Z")
    assert airflow.wait("classic", run) == "success", airflow.story("classic", run)
    told = airflow.told("classic", run, "total")
    found = airflow.ask("GET", f"dags/classic/dagRuns/{run}")
    assert found["data_interval_start"], found
    last = datetime.fromisoformat(found["data_interval_end"]) - timedelta(days=1)
    assert told["intervals"] == [f"{last:%Y-%m-%d}"]
    made = airflow.backfill("classic", "2026-01-10", "2026-01-11")
    assert [airflow.told("classic", one["dag_run_id"], "total")["intervals"] for one in made] == [["2026-01-10"], ["2026-01-11"]]


# ---------------------------------------------------------------- what is committed


def test_airflow_leaves_what_headrace_run_leaves(airflow: Airflow, tmp_path: Path) -> None:
    run = airflow.run("compared", key=key(12))
    headrace("run", airflow.pipelines / "compared.py", "--at", "2026-01-12", "--no-report", lake=tmp_path / "lake")
    assert airflow.states("compared", run) == {"orders": "success", "paid": "success", "total": "success", "run-record": "success"}
    for step in ("orders", "paid", "total"):
        assert fingerprint(airflow.lake, f"compared.{step}", "2026-01-12") == fingerprint(
            tmp_path / "lake", f"compared.{step}", "2026-01-12"
        )
        assert rows(airflow.lake, f"compared.{step}", "2026-01-12") == rows(tmp_path / "lake", f"compared.{step}", "2026-01-12")


def test_a_cleared_task_makes_nothing_that_stands(airflow: Airflow) -> None:
    run = airflow.run("shared", key=key(13))
    airflow.clear("shared", run, "paid")
    airflow.wait_for("shared", run, "paid", "success")
    until(
        lambda: airflow.tasks("shared", run)["paid"]["try_number"] == 2 and airflow.state("shared", run) == "success", "a second try", 120
    )
    assert 'trigger the DAG with force=["paid"], at="2026-01-13"' in airflow.log("shared", run, "paid", 2)
    assert fingerprint(airflow.lake, "shared.paid", "2026-01-13")[0] == 1


# ---------------------------------------------------------------- what goes wrong


def test_a_contract_that_is_broken_fails_once(airflow: Airflow) -> None:
    run = airflow.trigger("strict", key=key(3))
    assert airflow.wait("strict", run) == "failed"
    tasks = airflow.tasks("strict", run)
    assert (tasks["weights"]["state"], tasks["weights"]["try_number"], tasks["weights"]["max_tries"]) == ("failed", 1, 2)
    assert tasks["heavy"]["state"] == "upstream_failed"
    log = airflow.log("strict", run, "weights")
    assert "grams" in log
    assert tasks["run-record"]["state"] == "success"


def test_a_task_that_is_killed_is_tried_again_and_leaves_one_result(airflow: Airflow, data: Path) -> None:
    run = airflow.trigger("killed", key=key(3))
    worker, _ = began(data / "killed", 1)[0]
    os.kill(worker, signal.SIGKILL)
    began(data / "killed", 2)
    (data / "killed" / "go").touch()
    assert airflow.wait("killed", run) == "success", airflow.story("killed", run)
    assert airflow.tasks("killed", run)["numbers"]["try_number"] == 2
    assert fingerprint(airflow.lake, "killed.numbers", "2026-01-03")[0] == 1
    assert sum(rows(airflow.lake, "killed.numbers", "2026-01-03").values()) == 1000


def test_a_second_try_beside_a_first_that_airflow_lost_leaves_one_commit(airflow: Airflow, data: Path) -> None:
    """The process that beats for the first is stopped; its child works on, and both end at the same time."""
    run = airflow.trigger("doubled", key=key(3))
    first, supervisor = began(data / "doubled", 1)[0]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        second, _ = began(data / "doubled", 2, within_s=180)[1]
        assert is_alive(first)
        assert is_alive(second)
        (data / "doubled" / "go").touch()
        assert airflow.wait("doubled", run) == "success", airflow.story("doubled", run)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    until(lambda: not is_alive(first), "the first to end", 60)
    assert airflow.tasks("doubled", run)["numbers"]["try_number"] == 2
    assert fingerprint(airflow.lake, "doubled.numbers", "2026-01-03")[0] == 1
    assert len(hr.open_lake(airflow.lake).read("doubled.numbers", at="2026-01-03")) == 1000
    time.sleep(2)
    assert airflow.state("doubled", run) == "success"


def test_a_step_waits_for_its_past_in_the_triggerer_and_goes_on_when_it_is_made(airflow: Airflow) -> None:
    run = airflow.trigger("averages", key=key(5))
    airflow.wait_for("averages", run, "average", "deferred")
    headrace(
        "backfill", airflow.pipelines / "averages.py", "--from", "2026-01-03", "--to", "2026-01-04", "--only", "values", lake=airflow.lake
    )
    assert airflow.wait("averages", run) == "success", airflow.story("averages", run)
    assert rows(airflow.lake, "averages.average", "2026-01-05").most_common()[0][0][0] == 3


def began(folder: Path, count: int, *, within_s: float = 120) -> list[tuple[int, int]]:
    """The processes that have begun the step, in order, each with its parent, once there are so many."""

    def found() -> list[tuple[int, int]] | None:
        names = sorted(file.name.split("-") for file in folder.glob("began-*"))
        return [(int(pid), int(parent)) for _, _, pid, parent in names] if len(names) >= count else None

    return until(found, f"{count} processes in {folder}", within_s)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
