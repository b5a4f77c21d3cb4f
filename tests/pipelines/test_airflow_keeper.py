"""The process that keeps Airflow's: whatever becomes of it or of its parent, none of them is left. Without Airflow."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from commands import headrace

from headrace.airflow import local
from headrace.airflow.home import Home
from headrace.airflow.keeper import end_session, processes_of
from headrace.core.errors import ConfigurationError, MissingLibraryError

SLEEP = (sys.executable, "-c", "import time; time.sleep(300)")
FAMILY = (
    sys.executable,
    "-c",
    "import os, time; os.fork() or os.setpgid(0, 0); time.sleep(300)",
)  # the child has a process group of its own
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(300)",
)


@contextmanager
def keeper(logs: Path, **asked: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "headrace.airflow.keeper"]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert started.stdin is not None
        started.stdin.write(json.dumps({"logs": str(logs), "first": {}, "then": {}, **asked}) + "\n")
        started.stdin.flush()
        yield started
    finally:
        started.kill()
        end_session(started.pid, grace_s=0)
        started.communicate()


def until(count: int, session: int) -> None:
    end = time.monotonic() + 20
    while len(processes_of(session)) != count:
        assert time.monotonic() < end, processes_of(session)
        time.sleep(0.02)


def test_all_end_when_the_parent_says_so_children_of_children_too(tmp_path: Path) -> None:
    with keeper(tmp_path, then={"one": SLEEP, "two": FAMILY}) as kept:
        until(4, kept.pid)
        said, _ = kept.communicate(timeout=20)
        assert json.loads(said) == {"ended": None, "code": 0}
        assert processes_of(kept.pid) == []


def test_all_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent = (
        "import json, subprocess, sys, time\n"
        "kept = subprocess.Popen([sys.executable, '-m', 'headrace.airflow.keeper'], stdin=subprocess.PIPE, text=True, start_new_session=True)\n"
        "kept.stdin.write(sys.argv[1] + '\\n'); kept.stdin.flush(); print(kept.pid, flush=True); time.sleep(300)\n"
    )
    asked = json.dumps({"logs": str(tmp_path), "first": {}, "then": {"one": SLEEP, "two": FAMILY}})
    with subprocess.Popen([sys.executable, "-c", parent, asked], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        session = int(started.stdout.readline())
        try:
            until(4, session)
            started.kill()
            until(0, session)
        finally:
            started.kill()
            end_session(session, grace_s=0)


def test_when_one_ends_by_itself_all_end_and_it_is_named(tmp_path: Path) -> None:
    with keeper(tmp_path, then={"one": SLEEP, "two": (sys.executable, "-c", "print('no more'); raise SystemExit(3)")}) as kept:
        assert kept.stdout is not None
        assert json.loads(kept.stdout.readline()) == {"ended": "two", "code": 3}
        until(0, kept.pid)
    assert (tmp_path / "two.log").read_text() == "no more\n"


def test_what_comes_first_has_to_end_well(tmp_path: Path) -> None:
    with keeper(tmp_path, first={"database": (sys.executable, "-c", "raise SystemExit('no')")}, then={"one": SLEEP}) as kept:
        assert kept.stdout is not None
        assert json.loads(kept.stdout.readline()) == {"ended": "database", "code": 1}
    assert (tmp_path / "database.log").read_text() == "no\n"
    assert not (tmp_path / "one.log").exists()


def test_one_that_will_not_end_is_killed(tmp_path: Path) -> None:
    with keeper(tmp_path, then={"one": STUBBORN}, grace_s=0.1) as kept:
        end = time.monotonic() + 20
        while not ((tmp_path / "one.log").exists() and (tmp_path / "one.log").read_text()):
            assert time.monotonic() < end
            time.sleep(0.02)
        kept.communicate(timeout=20)
        assert processes_of(kept.pid) == []


def test_what_a_killed_keeper_left_is_ended_at_the_next_start(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    airflow = (sys.executable, "-c", "import time; time.sleep(300)", "airflow")
    with keeper(home.logs, then={"scheduler": airflow}) as kept:
        until(2, kept.pid)
        home.write(address="http://127.0.0.1:8081", session=kept.pid)
        os.kill(kept.pid, signal.SIGKILL)
        kept.wait()
        assert len(processes_of(kept.pid)) == 1
        os.close(home.lock())
        assert processes_of(kept.pid) == []


# ---------------------------------------------------------------- what the command says before anything starts


@pytest.mark.skipif(importlib.util.find_spec("airflow") is None, reason="Airflow is not installed: pip install 'headrace[airflow]'")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere",), 2, "There is no folder"),
        ((".",), 2, "calls `airflow_dag`"),
        ((".", "--branch", "main"), 2, "--branch goes with --git"),
        ((".", "--home", "file.txt"), 2, "--home"),
    ],
)
def test_what_is_wrong_with_the_command_is_told_at_once(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    (tmp_path / "file.txt").touch()
    if words == "--home":
        (tmp_path / "shop.py").write_text("dag = hr.airflow_dag(shop)\n")
    said = headrace("airflow", "up", *arguments, cwd=tmp_path)
    assert (said.code, words in said.err) == (code, True), said.err
    assert not (tmp_path / ".airflow").exists()


def test_without_airflow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "version", absent)
    with pytest.raises(MissingLibraryError, match=r"pip install 'headrace\[airflow\]'"):
        local.airflow_version()


def absent(_: str) -> str:
    raise PackageNotFoundError


def test_a_port_that_is_taken_is_told_and_one_that_was_not_asked_for_is_found() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} is taken"):
            local._free_port(port)
        assert local._free_port(None) != port
