"""Tasks that end before their time: by Airflow, by the system, by a limit. Nothing is left running, nothing half made, and what may pass is tried again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from airflow_home import Home, make_home, needs_airflow

from headrace.run.session import open_lake_at

pytestmark = [pytest.mark.integration, needs_airflow]

STEPS = '''
import os, signal, time
from datetime import timedelta
from pathlib import Path

import headrace as hr

ends = hr.Pipeline("ends", schedule="@daily", start="2026-01-01")
HERE = Path(__file__).parent


def first_time() -> bool:
    """Says whose turn it is, and whether it is the first."""
    is_first = not (HERE / "turn").exists()
    (HERE / "turn").write_text(str(os.getpid()))
    return is_first


@ends.table(timeout="100s")
def apart():
    how = (HERE / "how").read_text()
    if first_time() and how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    while (HERE / "how").read_text() == "asleep":
        time.sleep(0.05)
    return [{"x": 1}]


@ends.table
def inside():
    if (HERE / "how").read_text() == "too long":
        time.sleep(60)
    return [{"x": 1}]


quick = {"retry_delay": timedelta(0), "retry_exponential_backoff": 0}
dag = hr.airflow_dag(ends, steps={"apart": quick, "inside": {**quick, "execution_timeout": timedelta(seconds=3), "retries": 0}})
'''


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("airflow")).folder


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    home = make_home(tmp_path / "home", template)
    (home.dags / "ends.py").write_text(STEPS)
    return home


def committed(home: Home, step: str) -> list[tuple[int, ...]]:
    return list(open_lake_at(str(home.folder / "lake"), read_only=True).log("ends", step).versions(None).values())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc").is_dir() else True


def test_a_task_that_airflow_ends_ends_its_steps_process_and_the_next_try_makes_it(home: Home) -> None:
    (home.dags / "how").write_text("asleep")
    started = home.start("ends.py", {"dag": "ends", "key": "2026-01-01T00:00:00"})
    turn = home.dags / "turn"
    until = time.monotonic() + 100
    while not (turn.exists() and turn.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    child = int(turn.read_text())
    assert is_alive(child)
    (home.dags / "how").write_text("well")  # for the second try; the first is on its way out
    os.kill(child, signal.SIGSTOP)  # so that it can't end by itself
    started.send_signal(signal.SIGTERM)
    (run,), (log,) = home.answer(started)
    assert not is_alive(child)
    assert "Airflow ends this task, and so the step" in log
    assert (run["tasks"]["apart"]["state"], run["tasks"]["apart"]["tries"]) == ("success", 2)
    assert committed(home, "apart") == [(1,)]


def test_a_step_that_the_system_killed_is_tried_again(home: Home) -> None:
    (home.dags / "how").write_text("killed")
    (run,), (log,) = home.run("ends.py", {"dag": "ends", "key": "2026-01-01T00:00:00"})
    assert "step `apart` (2026-01-01) ended by signal SIGKILL in its own process" in log
    assert (run["tasks"]["apart"]["state"], run["tasks"]["apart"]["tries"]) == ("success", 2)
    assert committed(home, "apart") == [(1,)]


def test_airflows_own_time_limit_ends_a_step_and_is_told_in_words(home: Home) -> None:
    (home.dags / "how").write_text("too long")
    (run,), (log,) = home.run("ends.py", {"dag": "ends", "key": "2026-01-01T00:00:00"})
    assert run["tasks"]["inside"]["state"] == "failed"
    assert "`inside` ran longer than its execution_timeout of 3 s and was ended; nothing of it was committed" in log
    assert "`inside` raised AirflowTaskTimeout" not in log
    assert committed(home, "inside") == []
