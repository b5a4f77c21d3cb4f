"""A local Airflow, all set: what `headrace airflow up` starts, waits for and stops.

Four processes, the ones that `airflow standalone` starts; started one by one, since those of standalone also serve logs on all
interfaces, and it does not notice when one of them dies. Airflow is not imported here. The invariant: everything listens on loopback
only, and whatever becomes of this process, the keeper ends them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from headrace.airflow.discovery import pipeline_files
from headrace.airflow.home import Home
from headrace.airflow.rest import Rest
from headrace.airflow.surroundings import DATABASE, Wanted, surroundings
from headrace.core.errors import ConfigurationError, HeadraceError, MissingLibraryError

__all__ = ["AirflowEndedError", "LocalAirflow", "Seen", "airflow_version", "start"]

_PORT = 8080
_PAUSE_S = 0.5
_PARSE_S = 60.0  # the longest wait for files that may hold no DAG at all
_STOP_S = 40.0
_LINES = 15
_COMMANDS = {
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "api-server": ("api-server",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


class AirflowEndedError(HeadraceError):
    """A process of Airflow ended by itself, or did not come up in time; the message has the last lines of its log."""


@dataclass(frozen=True)
class Seen:
    """What Airflow made of the files: `dags` as (id, schedule, file), `errors` as (file, last line), `silent` files that gave neither."""

    dags: tuple[tuple[str, str, str], ...]
    errors: tuple[tuple[str, str], ...]
    silent: tuple[str, ...]


@dataclass(frozen=True)
class LocalAirflow:
    """One that was started. `stop` ends it; so does the end of this process."""

    home: Home
    address: str
    wanted: Wanted
    keeper: subprocess.Popen[str]
    began: datetime
    prepared: str | None  # the version for which the database in the home is prepared once all is well

    def wait_until_up(self) -> Seen:
        """Wait until it is healthy and has read the files. AirflowEndedError if it ends, or is not healthy in time."""
        rest = Rest(self.address)
        until = time.monotonic() + self.wanted.timeout_s
        while unwell := rest.unhealthy(since=self.began):
            self.check()
            if time.monotonic() > until:
                name = next((name for name in _COMMANDS if name.replace("-", "_") in unwell), "api-server")
                raise AirflowEndedError(
                    f"Airflow did not come up in {self.wanted.timeout_s:g} s: no sign of {', '.join(unwell)}. "
                    f"Allow more with --timeout.\n{self._last_lines(name)}"
                )
            time.sleep(_PAUSE_S)
        if self.prepared is not None:
            self.home.note_prepared(self.prepared)
        return self._wait_for_files(rest)

    def _wait_for_files(self, rest: Rest) -> Seen:
        """What it made of the files, once it has read them or a minute is over. An answer that fails is asked for again: it is busy just then."""
        until = time.monotonic() + _PARSE_S
        while True:
            try:
                seen = self.seen(rest)
            except (OSError, ValueError) as error:
                if time.monotonic() > until:
                    raise AirflowEndedError(
                        f"Airflow is healthy, but does not say what it has read: {error}\n{self._last_lines('api-server')}"
                    ) from error
            else:
                if (seen.dags or seen.errors) and not seen.silent:
                    return seen
                if time.monotonic() > until or not (seen.silent or self.wanted.git):
                    return seen
            self.check()
            time.sleep(_PAUSE_S)

    def seen(self, rest: Rest) -> Seen:
        """What Airflow has made of the files by now, of what it has read since it was started."""
        dags = [dag for dag in rest.dags() if _is_since(dag.get("last_parsed_time"), self.began)]
        errors = [error for error in rest.import_errors() if _is_since(error.get("timestamp"), self.began)]
        told = {str(dag.get("relative_fileloc")) for dag in dags} | {str(error["filename"]) for error in errors}
        return Seen(
            tuple(sorted((str(dag["dag_id"]), str(dag.get("timetable_summary") or ""), str(dag["relative_fileloc"])) for dag in dags)),
            tuple(sorted((str(e["filename"]), str(e["stack_trace"]).strip().rpartition("\n")[2]) for e in errors)),
            tuple(str(file) for file in self.home.files(self.wanted.git_folder) if str(file) not in told),
        )

    def check(self) -> None:
        """AirflowEndedError when one of its processes has ended, and so all of them."""
        if self.keeper.poll() is None:
            return
        name, code = _answer(self.keeper)
        raise AirflowEndedError(f"Airflow's {name or 'keeper'} ended {_how(code)}, so all of it was stopped.\n{self._last_lines(name)}")

    def stop(self) -> None:
        """End all its processes; some seconds."""
        assert self.keeper.stdin is not None
        self.keeper.stdin.close()
        try:
            self.keeper.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
        self.home.clear()

    def _last_lines(self, name: str) -> str:
        file = self.home.logs / f"{name}.log"
        lines = file.read_text(errors="replace").strip().splitlines()[-_LINES:] if file.exists() else []
        return "\n".join([f"The last lines of {file}:", *(f"    {line}" for line in lines)])


def airflow_version() -> str:
    """The version that is installed. MissingLibraryError when there is none."""
    return _version_of("apache-airflow-core", "headrace[airflow]", "`headrace airflow up` needs Airflow")


def start(wanted: Wanted, *, environment: Mapping[str, str], tell: Callable[[str], None]) -> LocalAirflow:
    """Start Airflow with its home, database and pipelines; it is not up yet.

    ConfigurationError for a folder without pipelines or a port that is taken, MissingLibraryError for what is not installed,
    RunsAlreadyError when the home is in use.
    """
    installed = airflow_version()
    if wanted.git is not None:
        _version_of("apache-airflow-providers-git", "apache-airflow-providers-git", "--git needs Airflow's provider for git")
    elif not pipeline_files(wanted.folder):
        raise ConfigurationError(
            f"No file in {wanted.folder} calls `airflow_dag`. End a pipeline file with: dag = hr.airflow_dag(…); "
            "or name the folder: headrace airflow up FOLDER"
        )
    home = Home(wanted.home)
    home.make()
    lock = home.lock()
    try:
        if wanted.git is None:
            home.show(wanted.folder)
        port = _free_port(wanted.port)
        tell(f"starting Airflow {installed}, which takes half a minute; its logs: {home.logs}")
        return _launch(home, wanted, installed, port, surroundings(wanted, home, port=port, environment=environment), lock)
    finally:
        os.close(lock)  # the keeper has it by now


def _launch(home: Home, wanted: Wanted, installed: str, port: int, environment: Mapping[str, str], lock: int) -> LocalAirflow:
    is_own = environment.get(DATABASE) == home.database
    airflow = (sys.executable, "-P", "-m", "airflow")  # -P: what lies in the current folder is no module of Airflow's
    asked = {
        "logs": str(home.logs),
        "first": {} if is_own and home.is_prepared(installed) else {"db-migrate": (*airflow, "db", "migrate")},
        "then": {name: (*airflow, *arguments) for name, arguments in _COMMANDS.items()},
    }
    began = datetime.now(UTC)
    command = (sys.executable, "-P", "-m", "headrace.airflow.keeper")
    keeper = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
        pass_fds=(lock,),
    )
    assert keeper.stdin is not None
    keeper.stdin.write(json.dumps(asked) + "\n")
    keeper.stdin.flush()
    address = f"http://127.0.0.1:{port}"
    home.write(address=address, session=keeper.pid)
    return LocalAirflow(home, address, wanted, keeper, began, installed if is_own else None)


def _version_of(package: str, extra: str, why: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise MissingLibraryError(f"{why}, which is not installed. Install it: pip install '{extra}'") from None


def _free_port(asked: int | None) -> int:
    """The port asked for, or else 8080, or else any that is free."""
    for port in (asked,) if asked is not None else (_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigurationError(f"Port {asked} is taken, or not yours to use. Name another with --port, or none for one that is free.")


def _is_since(time: object, began: datetime) -> bool:
    return time is not None and datetime.fromisoformat(str(time)) >= began


def _answer(keeper: subprocess.Popen[str]) -> tuple[str, int]:
    """What a keeper says that has ended: whose end it was, and the exit code."""
    assert keeper.stdout is not None
    try:
        told = json.loads(keeper.stdout.read())
    except ValueError:
        return "", keeper.returncode
    return str(told["ended"] or ""), int(told["code"])


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
