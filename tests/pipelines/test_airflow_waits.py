"""Order and alerts, as Airflow's own code sees them: backfills that run backwards, deadlines, and the trigger that looks into the lake."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow_home import HERE, Home, make_home, needs_airflow
from commands import headrace

from headrace.core.interval import Interval
from headrace.run.execute import execute_step
from headrace.run.opening import open_pipeline

pytestmark = [pytest.mark.integration, needs_airflow]

DAYS = """
import headrace as hr

{name} = hr.Pipeline("{name}", schedule="@daily", start="2026-01-01")


@{name}.table
def events(when: hr.Interval) -> list[dict[str, int]]:
    return [{{"day": when.start.day}}]


@{name}.table(history={{"events": "{history}"}})
def recent(events: hr.Frame) -> str:
    return f"select * from {{events}}"


dag = hr.airflow_dag({name}, {options})
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("airflow")).folder


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    return make_home(tmp_path / "home", template)


def inside(home: Home, name: str, file: str, dag: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(HERE / "airflow_inside.py"), name, str(home.dags / file), dag],
        env=home.environment(**environment),
        cwd=home.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return json.loads((home.folder / "answer").read_text())  # type: ignore[no-any-return]


def write(home: Home, name: str, *, history: str = "2d", options: str = "") -> str:
    (home.dags / f"{name}.py").write_text(DAYS.format(name=name, history=history, options=options))
    return f"{name}.py"


def test_a_backfill_that_runs_backwards_is_refused_where_steps_need_their_past_and_its_runs_do_not_wait_for_each_other(home: Home) -> None:
    found = inside(home, "backfills", write(home, "past"), "past")
    assert found["backwards"].startswith("InvalidBackfillDirection")
    assert found["forwards"] == "created"
    assert found["keys"] == [f"2026-01-0{day}T00:00:00" for day in (2, 3, 4)]
    assert found["blocked"] == []


def test_classic_runs_are_not_blocked_by_earlier_ones_and_the_run_before_has_the_id_by_which_a_task_asks_for_it(home: Home) -> None:
    found = inside(home, "backfills", write(home, "classic", options='timetable="data_interval"'), "classic")
    assert found["backwards"] == "created"  # a task of the first one refuses, see below
    assert found["blocked"] == []
    assert found["runs"] == [f"backfill__2026-01-0{day}T00:00:00+00:00" for day in (3, 4, 5)]  # the end of its interval


def test_a_step_refuses_a_classic_backfill_that_runs_backwards(home: Home) -> None:
    found = inside(home, "directions", write(home, "classic", options='timetable="data_interval"'), "classic")
    assert found["backwards"].startswith(
        "This backfill of `classic` runs backwards: the run of the interval before, backfill__2026-01-03T00:00:00+00:00,"
    )
    assert (found["forwards"], found["needs no past"], found["scheduled"]) == ("", "", "")
    assert found["asked"] == [["backfill__2026-01-03T00:00:00+00:00"]] * 2


def test_the_trigger_fires_when_all_is_made_when_time_is_up_and_when_it_can_not_look(home: Home) -> None:
    found = inside(home, "triggers", write(home, "waits"), "waits")
    assert found["there"] == {"missing": 0, "error": ""}
    assert found["not there"] == {"missing": 1, "error": ""}
    assert found["made meanwhile"] == {"missing": 0, "error": ""}
    assert found["no lake"]["missing"] == 1
    assert found["no lake"]["error"].startswith("UnknownNameError: There is no lake at ")


JUDGED = """
from datetime import timedelta

import headrace as hr

judged = hr.Pipeline("judged", schedule="@daily", start="2026-01-01")


@judged.table
def points(when: hr.Interval):
    return [{"x": float(n), "y": 3.0 * n + when.start.day} for n in range(20)]


@judged.model(points, features=["x"], target="y", gate=hr.at_least("r2", 0.5))
def line():
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


dag = hr.airflow_dag(judged, wait=timedelta(seconds=2), profile="local")
"""


def test_a_promotion_waits_for_an_earlier_model_that_is_trained_and_goes_on_when_it_is_not_judged_in_time(home: Home) -> None:
    pytest.importorskip("sklearn")
    (home.dags / "judged.py").write_text(JUDGED)
    session = open_pipeline(home.dags / "judged.py", lake=str(home.folder / "lake"))
    for step in ("points", "line"):
        execute_step(session, step, Interval.of("2026-01-01", "2026-01-02"))
    (run,), (log,) = home.run("judged.py", {"dag": "judged", "key": "2026-01-02T00:00:00"})
    assert "waiting up to 2 s for 1 commits of earlier runs: `line.promotion` 2026-01-01" in log
    assert "goes on before `line.promotion` 2026-01-01, which were not judged in time" in log
    assert run["tasks"]["line.promotion"]["told"]["verdict"]["decision"] == "promote"


def test_airflows_server_shows_reports_to_who_may_read_logs_and_nothing_else(home: Home) -> None:
    file = write(home, "shown")
    said = headrace("run", file, "--at", "2026-01-01", cwd=home.dags, env={"HEADRACE_LAKE": str(home.folder / "lake")})
    assert said.code == 0, said.err
    found = inside(home, "reports", file, "shown")
    status, policy, text = found["viewer"]
    assert (status, "sandbox" in policy, "default-src 'none'" in policy) == (200, True, True)
    assert "<h1" in text
    assert found["nobody"][0] == 403
    assert found["unknown"][0] == 401
    assert [found[name][0] for name in ("link out", "other file", "upwards", "not written", "no lake told")] == [404] * 5
    assert "AIRFLOW__HEADRACE__LAKES" in found["no lake told"][2]
    assert found["address"] == "/base/headrace/reports/shown/2026/01/01/00/00-1440m.html"
    assert found["model pages"] == ["", "", "http://mlflow:5000/base/#/models/shop.groups", "https://m/#/models/shop.groups"]


# ---------------------------------------------------------------- telling people


@pytest.fixture
def posted() -> Iterator[tuple[str, list[tuple[str | None, dict[str, Any]]]]]:
    """A webhook's address, and what was posted there: the authorization and the document."""
    found: list[tuple[str | None, dict[str, Any]]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.append((self.headers.get("Authorization"), json.loads(body)))
            self.send_response(200 if self.path == "/tell" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", found
    server.shutdown()
    thread.join()
    server.server_close()


def hook(address: str, path: str = "/tell") -> dict[str, str]:
    told = {"conn_type": "http", "host": address, "password": "hunter2hunter2", "extra": {"path": path}}
    return {"AIRFLOW_CONN_HOOK": json.dumps(told)}


def test_a_late_run_is_told_with_its_interval_and_what_to_type_and_the_dag_has_one_version(
    home: Home, posted: tuple[str, list[tuple[str | None, dict[str, Any]]]]
) -> None:
    address, documents = posted
    found = inside(home, "deadlines", write(home, "late", options='deadline="2h", alert="hook"'), "late", **hook(address))
    assert (found["versions"], found["after_s"]) == (1, 7200)
    assert [event["state"] for event in found["events"]] == ["running", "success"]
    ((key, told),) = documents
    assert key == "Bearer hunter2hunter2"
    assert told["text"].startswith("Pipeline `late`: the run of 2026-01-02 is late.\nIt is not done 2h after it was queued")
    assert "headrace plan late.py --at 2026-01-02" in told["headrace"]["fix"]


def test_a_failed_task_is_told_to_the_webhook_and_to_a_callback_and_the_secret_is_nowhere(
    home: Home, posted: tuple[str, list[tuple[str | None, dict[str, Any]]]]
) -> None:
    address, documents = posted
    file = write(home, "told", options='wait=None, alert=["hook", say]')
    text = (home.dags / file).read_text()
    say = 'def say(context):\n    print("SAID", context["headrace"]["step"], context["headrace"]["fix"])\n\n\n'
    (home.dags / file).write_text(text.replace("dag = ", say + "dag = "))
    home.more.update(hook(address))
    (run,), (log,) = home.run(file, {"dag": "told", "key": "2026-01-03T00:00:00"})
    assert run["tasks"]["recent"]["state"] == "failed"
    ((_, told),) = documents
    command = "headrace backfill told.py --from 2026-01-02 --to 2026-01-02"
    assert (told["headrace"]["pipeline"], told["headrace"]["step"], told["headrace"]["interval"]) == ("told", "recent", "2026-01-03")
    assert told["headrace"]["fix"] == f"{command}, then clear the task."
    assert "1 interval of an earlier run that is not made: `events` 2026-01-02. " in told["headrace"]["error"]
    assert f"SAID recent {command}" in log
    assert "hunter2" not in log
    assert run["tasks"]["recent"]["told"]["fix"] == told["headrace"]["fix"]


def test_a_webhook_that_is_not_there_changes_nothing(home: Home, posted: tuple[str, list[tuple[str | None, dict[str, Any]]]]) -> None:
    home.more.update(hook(posted[0], path="/secret/gone"))
    (run,), (log,) = home.run(write(home, "gone", options='wait=None, alert="hook"'), {"dag": "gone", "key": "2026-01-03T00:00:00"})
    assert run["tasks"]["events"]["state"] == "success"
    assert "the webhook of connection `hook` answered 404" in log
    assert "/secret/gone" not in log
