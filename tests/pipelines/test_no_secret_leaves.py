"""No secret leaves a run of `headrace run`, however it fails: every byte that it wrote or printed is looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from canaries import BASIC, MARK, PASSWORD, PIPELINE, SPOILT, connection, echoing_server, environment, leaks_in, leaks_under

pytestmark = pytest.mark.integration


def headrace(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "AIRFLOW"))}
    command = [sys.executable, "-m", "headrace", *words]
    return subprocess.run(command, cwd=folder, env={**kept, **environment(), **more}, capture_output=True, check=False, timeout=200)


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Runs that failed, with all that they left: their folder, and what they printed."""
    pytest.importorskip("sklearn", reason="the extra `sklearn` is not installed")
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "leaks.py").write_text(PIPELINE)
    (folder / "spoilt.py").write_text(SPOILT)
    (folder / "headrace.toml").write_text(
        '[local]\ntracking = "mlflow"\ntracking_connection = "my_tracker"\nlineage = "file:lineage.jsonl"\n'
    )
    with echoing_server() as (server, seen):
        mine = {"AIRFLOW_CONN_MY_TRACKER": json.dumps(connection(server))}
        printed = {
            "run": headrace(folder, "run", "leaks.py", "--at", "2026-01-02", **mine),
            "json": headrace(folder, "run", "leaks.py", "--at", "2026-01-03", "--json", **mine),
            "spoilt": headrace(folder, "run", "spoilt.py", **mine),
            "doctor": headrace(folder, "doctor", "leaks.py", HEADRACE_TRACKING_URI=environment()["SHOP_URL"], **mine),
            "no connection": headrace(folder, "sync", "leaks.py"),
            "a broken one": headrace(folder, "sync", "leaks.py", AIRFLOW_CONN_MY_TRACKER=f"http://ana:{PASSWORD}[@h:{PASSWORD}"),
            "sync": headrace(folder, "sync", "leaks.py", **mine),
        }
        end = time.monotonic() + 30
        while not (folder / "lake/outbox/last-error.txt").exists() and time.monotonic() < end:
            time.sleep(0.05)
    return folder, printed, seen


def test_the_runs_did_fail_in_all_those_ways_and_the_tracker_was_asked(failed):
    folder, printed, seen = failed
    receipts = {one["step"]: one for one in json.loads(printed["json"].stdout)["receipts"]}
    states = {name: one["state"] for name, one in receipts.items()}
    assert [name for name, state in states.items() if state != "failed"] == ["good", "line", "line.promotion"]
    assert receipts["plain"]["error"].count("***") >= 1
    assert seen[0].startswith(f"Basic {BASIC}")
    assert "failed at" in (folder / "lake/outbox/last-error.txt").read_text()
    assert [one.returncode for one in printed.values()] == [1, 1, 2, 0, 2, 2, 1]


def test_nothing_that_was_printed_shows_a_secret(failed):
    _, printed, _ = failed
    assert not [leak for name, done in printed.items() for leak in leaks_in(name, done.stdout + done.stderr)]


def test_messages_still_say_what_happened(failed):
    _, printed, _ = failed
    said = printed["run"].stderr.decode()
    assert "`plain` raised ValueError: no answer: ***" in said
    assert "ran longer than its timeout" in said
    assert "There is no connection `my_tracker`, which tracking_connection" in printed["no connection"].stderr.decode()
    assert "`my_tracker`, of type http, from the variable AIRFLOW_CONN_MY_TRACKER" in printed["doctor"].stdout.decode()


def test_nothing_that_was_written_holds_a_secret(failed):
    folder, _, _ = failed
    assert (folder / "lake/reports/leaks").is_dir()
    assert "errorMessage" in (folder / "lineage.jsonl").read_text()
    assert not leaks_under(folder)


def test_the_search_finds_what_is_there(tmp_path):
    (tmp_path / "a").write_text(f"x {MARK} y")
    (tmp_path / "b").write_text(BASIC)
    assert len(leaks_under(tmp_path)) == 2
