"""`headrace airflow up` on a git repository: what is pushed is what runs next, a second start, and every way in which it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_server import Airflow, airflow_server, free_port, is_open, start_server, until, wait_until_up

import headrace as hr

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

VERSIONED = '''
import time
from pathlib import Path

from said import SAID  # a module beside the file

import headrace as hr

versioned = hr.Pipeline("versioned", schedule="@daily", start="2026-01-01")


@versioned.table
def first(run: hr.Interval):
    """It ends when it may."""
    (Path("FOLDER") / f"began-{run.label}").touch()
    while not (Path("FOLDER") / "go").exists():
        time.sleep(0.1)
    return "select 1 as n"


@versioned.table
def second(first):
    return f"select '{SAID}' as said, n from first"


dag = hr.airflow_dag(versioned)
'''


def git(*arguments: object) -> None:
    named = {
        "GIT_AUTHOR_NAME": "Ana",
        "GIT_AUTHOR_EMAIL": "ana@example.org",
        "GIT_COMMITTER_NAME": "Ana",
        "GIT_COMMITTER_EMAIL": "ana@example.org",
    }
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *map(str, arguments)], env=os.environ | named | plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working tree; what is pushed from it goes to the bare repository beside it. Its pipelines are in the folder `flows`."""
    folder = tmp_path_factory.mktemp("git")
    git("init", "-q", "--bare", "-b", "main", folder / "origin.git")
    git("clone", "-q", folder / "origin.git", folder / "clone")
    push(folder / "clone", "old", VERSIONED.replace("FOLDER", str(folder)))
    return folder / "clone"


def push(clone: Path, said: str, text: str | None = None) -> None:
    flows = clone / "flows"
    flows.mkdir(exist_ok=True)
    (flows / "said.py").write_text(f'SAID = "{said}"\n')
    if text is not None:
        (flows / "versioned.py").write_text(text)
    git("-C", clone, "add", "-A")
    git("-C", clone, "commit", "-q", "-m", said)
    git("-C", clone, "push", "-q", "origin", "HEAD:main")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def airflow(folder: Path, clone: Path) -> Iterator[Airflow]:
    with airflow_server(folder, None, "flows", "--git", str(clone.parent / "origin.git"), "--branch", "main") as started:
        yield started


def test_what_is_pushed_is_what_runs_next_and_a_run_keeps_its_version_until_it_is_cleared(airflow: Airflow, clone: Path) -> None:
    assert airflow.errors == []
    assert re.search(r"^versioned +0 0 \* \* \* +versioned.py$", airflow.output, re.MULTILINE)
    before = airflow.dag("versioned")["bundle_version"]
    running = airflow.trigger("versioned", key="2026-01-02T00:00:00")
    until(lambda: (clone.parent / "began-2026-01-02").exists(), "the first step", 120, lambda: airflow.story("versioned", running))
    push(clone, "new")
    until(lambda: airflow.dag("versioned")["bundle_version"] != before, "the new version", 120)
    later = airflow.trigger("versioned", key="2026-01-03T00:00:00")
    until(lambda: (clone.parent / "began-2026-01-03").exists(), "the other first step", 120, lambda: airflow.story("versioned", later))
    (clone.parent / "go").touch()
    for run in (running, later):
        assert airflow.wait("versioned", run) == "success", airflow.story("versioned", run)
    lake = hr.open_lake(airflow.lake)
    said = {day: lake.read("versioned.second", at=day).to_pylist()[0]["said"] for day in ("2026-01-02", "2026-01-03")}
    assert said == {"2026-01-02": "old", "2026-01-03": "new"}
    airflow.clear("versioned", running, "second")
    airflow.wait_for("versioned", running, "second", "success")
    until(
        lambda: airflow.tasks("versioned", running)["second"]["try_number"] == 2 and airflow.state("versioned", running) == "success",
        "a try",
        120,
    )
    assert hr.open_lake(airflow.lake).read("versioned.second", at="2026-01-02").to_pylist()[0]["said"] == "new"


def test_a_second_start_on_the_same_home_says_where_the_first_is(airflow: Airflow, clone: Path) -> None:
    second = start_server(airflow.folder, None, "flows", "--git", str(clone.parent / "origin.git"), output="second.txt")
    assert second.process.wait(60) == 1
    said = (airflow.folder / "second.txt").read_text()
    assert f"runs already, at {airflow.address}" in said
    assert airflow.process.poll() is None


def test_what_it_starts_listens_on_loopback_only(airflow: Airflow) -> None:
    listening = [address for pid in airflow.processes() for address in listens(pid)]
    assert f"127.0.0.1:{airflow.address.rpartition(':')[2]}" in listening
    assert {address.rpartition(":")[0] for address in listening} == {"127.0.0.1"}


def test_when_it_is_killed_nothing_of_it_is_left_and_it_starts_again_with_what_it_knew(tmp_path: Path, clone: Path) -> None:
    arguments = ("flows", "--git", str(clone.parent / "origin.git"))
    first = start_server(tmp_path, None, *arguments)
    try:
        wait_until_up(first)
        processes = first.processes()
        assert len(processes) > 4
        first_version = first.dag("versioned")["bundle_version"]
        first.process.kill()
        until(lambda: not first.processes(), "its processes to end", 60)
        assert not is_open(first.address)
    finally:
        first.process.kill()
    with airflow_server(tmp_path, None, *arguments) as second:
        assert second.dag("versioned")["bundle_version"] == first_version
        scheduler = next(pid for pid in second.processes() if "scheduler" in command_of(pid))
        os.kill(scheduler, signal.SIGKILL)
        assert second.process.wait(60) == 1
        assert "Airflow's scheduler ended by signal 9, so all of it was stopped" in second.output
        assert f"The last lines of {second.home / 'logs' / 'scheduler.log'}" in second.output
        assert second.processes() == []


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "versioned.py").write_text(VERSIONED)
    url = f"postgresql+psycopg2://me:hunter2@127.0.0.1:{free_port()}/airflow"
    started = start_server(tmp_path, None, "--database", url)
    assert started.process.wait(120) == 1
    assert "Airflow's db-migrate ended with exit code 1" in started.output
    assert "Connection refused" in started.output
    assert "hunter2" not in started.output
    assert not (tmp_path / "home" / "up.json").exists()


def listens(pid: int) -> list[str]:
    """The TCP addresses on which a process listens, as the kernel says."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and parts[9] in inodes:
                address, port = parts[1].split(":")
                shown = socket.inet_ntoa(bytes.fromhex(address)[::-1]) if family == "tcp" else f"[{address}]"
                found.append(f"{shown}:{int(port, 16)}")
    return found


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
