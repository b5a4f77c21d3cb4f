"""Waiting for a local Airflow: what its server answers while it has much to do. The server is a stand-in; nothing else is started."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from headrace.airflow import local
from headrace.airflow.home import Home
from headrace.airflow.local import AirflowEndedError, LocalAirflow
from headrace.airflow.rest import COMPONENTS
from headrace.airflow.surroundings import Wanted

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LATER = "2026-01-01T00:01:00Z"


@contextmanager
def answering(failures: int) -> Iterator[str]:
    """A server that is healthy, and has one DAG; that it tells when it has failed so many times."""
    left = [failures]

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_failing = self.path.startswith("/api/v2/dags") and left[0] > 0
            left[0] -= is_failing
            self.send_response(500 if is_failing else 200)
            self.end_headers()
            self.wfile.write(json.dumps(self.told()).encode())

        def told(self) -> dict[str, object]:
            if self.path.startswith("/api/v2/monitor"):
                return {name: {"status": "healthy", f"latest_{name}_heartbeat": LATER} for name in COMPONENTS}
            dag = {"dag_id": "shop", "timetable_summary": "0 0 * * *", "relative_fileloc": "shop.py", "last_parsed_time": LATER}
            return {"access_token": "let-me-in", "dags": [dag], "import_errors": [], "total_entries": 1 if "/dags" in self.path else 0}

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def started(folder: Path, address: str, *, keeper: str = "input()") -> Iterator[LocalAirflow]:
    """One that has read a repository, kept by a process that does nothing."""
    home = Home(folder / "home")
    home.make()
    command = [sys.executable, "-c", keeper]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield LocalAirflow(home, address, Wanted(folder, home.folder, git="shop.git", git_folder=""), process, BEGAN, None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_PAUSE_S", 0.001)


def test_a_server_that_fails_while_it_is_busy_is_asked_again(tmp_path: Path) -> None:
    with answering(failures=3) as address, started(tmp_path, address) as airflow:
        assert airflow.wait_until_up().dags == (("shop", "0 0 * * *", "shop.py"),)


def test_one_that_goes_on_failing_is_told_with_the_last_lines_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_PARSE_S", 0.05)
    with answering(failures=10**6) as address, started(tmp_path, address) as airflow:
        (airflow.home.logs / "api-server.log").write_text("the disk is full\n")
        with pytest.raises(AirflowEndedError, match=r"(?s)healthy, but does not say what it has read: .*500.*the disk is full"):
            airflow.wait_until_up()


def test_one_that_ends_meanwhile_is_told_as_ended(tmp_path: Path) -> None:
    ended = 'print(\'{"ended": "scheduler", "code": 3}\')'
    with (
        answering(failures=10**6) as address,
        started(tmp_path, address, keeper=ended) as airflow,
        pytest.raises(AirflowEndedError, match="Airflow's scheduler ended with exit code 3"),
    ):
        airflow.wait_until_up()
