"""A server's process for tests: started on a free loopback port, waited for until it answers, killed and started again at will.

The invariant: when the `with` is left, or the process of the tests is gone, however it went, the server is gone too. A shell of its own
session keeps it, which ends it as soon as the pipe between us breaks.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

__all__ = ["ServerProcess", "running"]

_KEPT = 'exec 3>&1; "$@" >>"$LOG" 2>&1 3>&- & echo $! >&3; exec 3>&- >&-; read -r _; kill -9 $! 2>/dev/null; wait $! 2>/dev/null'
_UP_S = 60.0  # on a machine that does other things as well
_STARTS = 3  # a free port may be taken by another before the server has it


@dataclass
class ServerProcess:
    """One that runs. `command` makes the command line for a port; the port stays the same when it is started again."""

    folder: Path
    command: Callable[[int], Sequence[str]]
    environment: Mapping[str, str]
    port: int = 0
    pid: int = 0
    _keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has printed."""
        file = self.folder / "server.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def is_alive(self) -> bool:
        """Whether the server's process is there."""
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return self.pid > 0 and not _is_dead(self.pid)

    def start(self) -> None:
        """Start it and wait until it answers."""
        for left in reversed(range(_STARTS)):
            is_new = not self.port
            self.port = self.port or _free_port()
            self._spawn()
            if self._answers():
                return
            self.kill()
            assert left, f"{self.command(self.port)[0]} does not answer:\n{self.log[-4000:]}"
            if is_new:
                self.port = 0

    def kill(self) -> None:
        """Kill it, as `kill -9` does; nothing if it is gone already."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        with suppress(BrokenPipeError):
            self._keeper.stdin.close()
        try:
            self._keeper.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait(10)
        self._keeper = None

    def restart(self) -> None:
        """Kill it and start it again, on what it has left on its disk."""
        self.kill()
        self.start()

    def _spawn(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Without a session of its own, the Ctrl-C of a terminal would end the shell and not what it keeps.
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEPT, "sh", *self.command(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.folder,
            env={**self.environment, "LOG": str(self.folder / "server.log")},
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        with self._keeper.stdout as told:
            self.pid = int(told.readline())

    def _answers(self) -> bool:
        """Whether it answers to HTTP, with anything, before long."""
        end = time.monotonic() + _UP_S
        while self.is_alive and time.monotonic() < end:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return self.is_alive
            except (OSError, HTTPException):
                time.sleep(0.05)
            finally:
                connection.close()
        return False


@contextmanager
def running(folder: Path, command: Callable[[int], Sequence[str]], environment: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """Start a server whose command line is made for a port. Of this process's environment it has the PATH and little else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
    process = ServerProcess(folder, command, {**kept, "NO_PROXY": "127.0.0.1,localhost", **(environment or {})})
    try:
        process.start()
        yield process
    finally:
        process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_dead(pid: int) -> bool:
    """Whether a process has ended and only waits to be asked for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return False
