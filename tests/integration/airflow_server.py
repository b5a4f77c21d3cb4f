"""A real Airflow for tests, started by `headrace airflow up` as a user would, and a small client of its REST API.

    with airflow_server(tmp_path, {"sales.py": SALES}) as airflow:
        run = airflow.trigger("sales", key="2026-01-02T00:00:00")
        assert airflow.wait("sales", run) == "success", airflow.story("sales", run)

A start costs 20 s of CPU and a gigabyte, so a module starts one and asks it many things. The invariant: when the `with` is left, however
it is left, no process of it is there.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from headrace.airflow.keeper import end_session, processes_of

T = TypeVar("T")
_PR_SET_PDEATHSIG = 1  # see prctl(2)
DONE = ("success", "failed")
UP_S = 240.0  # on a machine that does other things as well
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RefusedError(AssertionError):
    """The API answered with an error; `status` is the HTTP one."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Airflow:
    """One that runs. `pipelines` is the folder that it watches, `lake` headrace's unless a profile was asked for, `home` Airflow's own."""

    folder: Path
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    address: str = ""
    session: int = 0
    _token: str = field(default="", repr=False)

    @property
    def pipelines(self) -> Path:
        return self.folder / "pipelines"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    @property
    def output(self) -> str:
        """What `headrace airflow up` has printed."""
        return (self.folder / "up.txt").read_text()

    # ------------------------------------------------------------ the API

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: object) -> Any:
        """A request to /api/v2; the JSON of the answer. RefusedError for any but 2xx."""
        where = f"/api/v2/{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        return json.loads(self._answer(method, where, None if body is None else json.dumps(body).encode()) or b"null")

    def page(self, path: str) -> str:
        """A page of the server, such as one that a button leads to. RefusedError for any but 2xx."""
        return self._answer("GET", path).decode()

    def _answer(self, method: str, path: str, body: bytes | None = None) -> bytes:
        if not self._token:
            with _DIRECT.open(f"{self.address}/auth/token", timeout=60) as answer:
                self._token = json.loads(answer.read())["access_token"]
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, body, headers, method=method)
        try:
            with _DIRECT.open(request, timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise RefusedError(f"{method} {path}: {error.code} {error.read().decode()[:2000]}", error.code) from None

    def all(self, path: str, key: str, **query: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while page := self.ask("GET", path, limit=100, offset=len(found), **query)[key]:
            found += page
        return found

    # ------------------------------------------------------------ DAGs and runs

    def write(self, name: str, text: str) -> None:
        """Put a pipeline file into the folder, whole at once."""
        file = self.pipelines / name
        aside = file.with_suffix(".tmp")
        aside.write_text(text)
        aside.replace(file)

    def dag(self, dag: str, *, within_s: float = 90) -> dict[str, Any]:
        """A DAG, as soon as its file has been read."""

        def found() -> Any:
            return next((d for d in self.all("dags", "dags") if d["dag_id"] == dag and not d["is_stale"]), None)

        return until(found, f"DAG {dag}", within_s, lambda: str(self.errors))

    @property
    def errors(self) -> list[dict[str, Any]]:
        return self.all("importErrors", "import_errors")

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return self.all("dagWarnings", "dag_warnings")

    def trigger(
        self, dag: str, *, key: str | None = None, logical_date: str | None = None, conf: Mapping[str, Any] | None = None, **more: object
    ) -> str:
        """Start a run; its id."""
        body = {"logical_date": logical_date, "conf": dict(conf or {}), **({"partition_key": key} if key else {}), **more}
        return str(self.ask("POST", f"dags/{dag}/dagRuns", body)["dag_run_id"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """The runs of a DAG, the oldest first."""
        return sorted(self.all(f"dags/{dag}/dagRuns", "dag_runs"), key=lambda run: str(run["queued_at"]))

    def state(self, dag: str, run: str) -> str:
        return str(self.ask("GET", f"dags/{dag}/dagRuns/{run}")["state"])

    def wait(self, dag: str, run: str, *, within_s: float = 240) -> str:
        """How a run ended: `success` or `failed`."""
        return until(
            lambda: state if (state := self.state(dag, run)) in DONE else None,
            f"the end of {dag} {run}",
            within_s,
            lambda: self.story(dag, run),
        )

    def run(self, dag: str, *, key: str | None = None, conf: Mapping[str, Any] | None = None, within_s: float = 240) -> str:
        """Start a run and wait for its success; its id."""
        run = self.trigger(dag, key=key, conf=conf)
        assert self.wait(dag, run, within_s=within_s) == "success", self.story(dag, run)
        return run

    # ------------------------------------------------------------ tasks

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """The task instances of a run, by task."""
        return {ti["task_id"]: ti for ti in self.all(f"dags/{dag}/dagRuns/{run}/taskInstances", "task_instances")}

    def states(self, dag: str, run: str) -> dict[str, str]:
        return {name: str(ti["state"]) for name, ti in self.tasks(dag, run).items()}

    def wait_for(self, dag: str, run: str, task: str, *states: str, within_s: float = 120) -> dict[str, Any]:
        """A task instance, as soon as it is in one of some states."""

        def found() -> dict[str, Any] | None:
            ti = self.tasks(dag, run).get(task)
            return ti if ti is not None and str(ti["state"]) in states else None

        return until(found, f"{task} of {dag} {run} {' or '.join(states)}", within_s, lambda: self.story(dag, run))

    def told(self, dag: str, run: str, task: str, key: str = "return_value") -> Any:
        """A task's XCom."""
        value = self.ask("GET", f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}")["value"]
        return json.loads(value) if isinstance(value, str) else value

    def log(self, dag: str, run: str, task: str, attempt: int = 1) -> str:
        """The log of a task's try: its events, one a line."""
        try:
            told = self.ask("GET", f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}", full_content="true")
        except RefusedError as error:
            return str(error)
        return "\n".join(line if isinstance(line, str) else str(line.get("event")) for line in told["content"])

    def clear(self, dag: str, run: str, *tasks: str, **more: object) -> None:
        """Clear tasks of a run, so that they run again."""
        body = {"dry_run": False, "dag_run_id": run, "only_failed": False, "task_ids": list(tasks), **more}
        self.ask("POST", f"dags/{dag}/clearTaskInstances", body)

    def backfill(self, dag: str, first: str, last: str, **more: object) -> list[dict[str, Any]]:
        """Make runs from one date to another, both included, and wait for them; the runs."""
        body = {"dag_id": dag, "from_date": first, "to_date": last, **more}
        number = until(lambda: self._begin(body), f"the start of a backfill of {dag}", 120)
        until(lambda: self.ask("GET", f"backfills/{number}")["completed_at"], f"backfill {number} of {dag}", 300)
        return [run for run in self.runs(dag) if run["run_type"] == "backfill"]

    def _begin(self, body: Mapping[str, Any]) -> int | None:
        """A backfill's number; None where Airflow found its SQLite busy, took back what it had begun, and is to be asked again."""
        try:
            return int(self.ask("POST", "backfills", body)["id"])
        except RefusedError as error:
            if error.status != HTTPStatus.SERVICE_UNAVAILABLE or "locked" not in str(error):
                raise
            return None

    def story(self, dag: str, run: str) -> str:
        """The states of a run's tasks, and the logs of those that did not end well: for the message of a test that fails."""
        lines = [f"{dag} {run}: {self.states(dag, run)}"]
        for name, ti in self.tasks(dag, run).items():
            if ti["state"] not in ("success", "skipped", None):
                lines.append(f"--- {name}, try {ti['try_number']}\n{self.log(dag, run, name, max(1, ti['try_number']))}")
        return "\n".join(lines)[-8000:]

    # ------------------------------------------------------------ from outside

    def command(self, *arguments: str) -> str:
        """Airflow's own command line, in the surroundings of the server; what it prints."""
        environment = server_environment(self)

        def printed() -> tuple[str] | None:
            command = [sys.executable, "-P", "-m", "airflow", *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if "database is locked" in done.stderr:  # SQLite: as `_begin` has it
                return None
            assert done.returncode == 0, done.stdout + done.stderr
            return (done.stdout,)

        return until(printed, f"airflow {' '.join(arguments)}", 120)[0]

    def processes(self) -> list[int]:
        return processes_of(self.session)

    def stop(self, sign: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(90)


@contextmanager
def airflow_server(
    folder: Path, pipelines: Mapping[str, str] | None = None, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Airflow]:
    """Start `headrace airflow up` with these files and wait until it is up. `arguments` and `environment` are added to the usual ones."""
    airflow = start_server(folder, pipelines, *arguments, environment=environment)
    try:
        wait_until_up(airflow)
        yield airflow
        is_asked = airflow.process.poll() is None
        code = airflow.stop()
        assert code == 0 or not is_asked, airflow.output
        assert airflow.processes() == []
        assert not is_open(airflow.address)
    finally:
        airflow.process.kill()
        airflow.process.wait()
        if airflow.session:
            end_session(airflow.session)


def start_server(
    folder: Path,
    pipelines: Mapping[str, str] | None = None,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    output: str = "up.txt",
) -> Airflow:
    """The same, without waiting; whoever calls it stops it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "HEADRACE_"))}
    used = kept | {"HEADRACE_TRACKING": "none", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **(environment or {})}
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    for name, text in (pipelines or {}).items():
        (folder / "pipelines" / name).write_text(text)
    command = [sys.executable, "-m", "headrace", "airflow", "up"]
    if "--git" not in arguments:
        command.append(str(folder / "pipelines"))
    if "--profile" not in arguments:  # which has a lake of its own
        command += ["--lake", str(folder / "lake")]
    command += ["--home", str(folder / "home"), "--port", str(free_port()), *arguments]
    with (folder / output).open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=used, cwd=folder, preexec_fn=_end_with_us)
    return Airflow(folder, process, used)


def _end_with_us() -> None:
    """In the new process: Ctrl-C for it when the process of the tests is gone, even one that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(address: str) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) == 0


def wait_until_up(airflow: Airflow) -> None:
    def is_up() -> bool:
        note = airflow.home / "up.json"
        if note.exists():
            told = json.loads(note.read_text())
            airflow.address, airflow.session = told["address"], told["session"]
        assert airflow.process.poll() is None, airflow.output
        return "Airflow is up" in airflow.output

    until(is_up, "Airflow to be up", UP_S, lambda: airflow.output)


def server_environment(airflow: Airflow) -> dict[str, str]:
    """The environment of the server's processes: that of its scheduler."""
    for pid in airflow.processes():
        raw = Path(f"/proc/{pid}/environ").read_bytes()
        if b"AIRFLOW__CORE__DAGS_FOLDER" in raw:
            return dict(item.split("=", 1) for item in raw.decode().split("\0") if "=" in item)
    raise AssertionError("no process of the server is there")


def until(look: Callable[[], T | None], what: str, within_s: float, why: Callable[[], str] = str) -> T:
    """What `look` gives, as soon as it gives anything."""
    end = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {within_s:g} s for {what}\n{why()}")
        time.sleep(0.5)
