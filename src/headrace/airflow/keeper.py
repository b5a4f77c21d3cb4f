"""A process that keeps others: it starts Airflow's, and ends them all when one of them ends, or when its own parent is gone.

`python -m headrace.airflow.keeper` reads a line of JSON from standard input: `logs`, `first` (a command that has to end well before the
others start) and `then` (commands by name), and may have `grace_s`. When its input ends, however its parent ended, it stops everything. It answers with one
line of JSON: `ended`, the name of the command that ended by itself or null, and its `code`. It needs a session of its own.

The invariant: when it is gone, so are all the processes of its session.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["end_session", "processes_of"]

_GRACE_S = 15.0  # Airflow's processes take some seconds to end well
_LAST_GRACE_S = 5.0
_PAUSE_S = 0.2


def processes_of(session: int) -> list[int]:
    """The processes of a session that are alive."""
    return [pid for pid in _all_processes() if pid != 0 and _session(pid) == session]


def end_session(session: int, *, but: int = 0, grace_s: float = _GRACE_S) -> None:
    """End all processes of a session: ask first, then kill."""
    for sign, longest_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _LAST_GRACE_S)):
        until = time.monotonic() + longest_s
        told: set[int] = set()
        while left := [pid for pid in processes_of(session) if pid != but]:
            for pid in left:
                if pid not in told:
                    told.add(pid)
                    _send(pid, sign)
            if time.monotonic() > until:
                break
            _reap()
            time.sleep(_PAUSE_S)


def main() -> None:
    asked = json.loads(_first_line())
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    ended: tuple[str | None, int] = (None, 0)
    try:
        ended = _keep(asked["first"], asked["then"], Path(asked["logs"]))
    except _StopError:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_session(os.getsid(0), but=os.getpid(), grace_s=float(asked.get("grace_s", _GRACE_S)))
    sys.stdout.write(json.dumps({"ended": ended[0], "code": ended[1]}) + "\n")


class _StopError(Exception):
    """Somebody asked the keeper to stop."""


def _stop(*_: object) -> None:
    raise _StopError


def _keep(first: Mapping[str, Sequence[str]], then: Mapping[str, Sequence[str]], logs: Path) -> tuple[str | None, int]:
    """Start the commands; which of them ended, unless the parent did."""
    for name, command in first.items():
        code = _wait({name: _start(name, command, logs)})
        if code is None or code[1]:
            return code or (None, 0)
    return _wait({name: _start(name, command, logs) for name, command in then.items()}) or (None, 0)


def _wait(running: Mapping[str, subprocess.Popen[bytes]]) -> tuple[str, int] | None:
    """The first of some processes that ends; None when the parent is gone first."""
    while True:
        for name, process in running.items():
            if process.poll() is not None:
                return name, process.returncode
        readable, _, _ = select.select([0], [], [], _PAUSE_S)
        if readable and not os.read(0, 1024):
            return None


def _start(name: str, command: Sequence[str], logs: Path) -> subprocess.Popen[bytes]:
    with (logs / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1) or b"\n"
    return line


# ---------------------------------------------------------------- processes


def _all_processes() -> list[int]:
    proc = Path("/proc")
    if (proc / "self").exists():
        return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit() and not _is_dead(entry)]
    told = subprocess.run(["ps", "-axo", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, state in (line.split() for line in told.splitlines()) if not state.startswith("Z")]


def _is_dead(entry: Path) -> bool:
    """Whether a process has ended, and only its parent has not asked for its exit code."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _send(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def _reap() -> None:
    """Let children that have ended go."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
