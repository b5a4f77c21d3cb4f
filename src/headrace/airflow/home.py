"""The folder of a local Airflow: its database, its logs, what it shows of the pipelines' folder, and who uses it now.

Airflow searches everything under a DAG folder, virtual environments and lakes included, unless a file `.airflowignore` at its top says
otherwise. So it is given a folder here, with such a file and a link to the pipelines; nothing is written among them. The invariant:
one Airflow at a time uses a home: its keeper holds the lock for as long as one of its processes may live.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headrace.airflow.discovery import IGNORED, pipeline_files, unsearched
from headrace.airflow.keeper import end_session, processes_of
from headrace.core.errors import ConfigurationError, HeadraceError

__all__ = ["Home", "RunsAlreadyError"]

_LAKE = "lake"
_NAME = "pipelines"  # of the DAG bundle, and of the folder that shows the pipelines


class RunsAlreadyError(HeadraceError):
    """An Airflow uses this home; `address` is where it listens, if it got as far."""

    def __init__(self, message: str, *, address: str) -> None:
        super().__init__(message)
        self.address = address


@dataclass(frozen=True)
class Home:
    """A folder that is an Airflow's alone; an absolute path."""

    folder: Path

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    @property
    def shown(self) -> Path:
        return self.folder / _NAME

    @property
    def bundle(self) -> str:
        return _NAME

    @property
    def _note(self) -> Path:
        return self.folder / "up.json"

    def make(self) -> None:
        """Make the folder, which git does not see. ConfigurationError where that can't be."""
        try:
            for folder in (self.logs, self.bundles):
                folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text("*\n")
        except OSError as error:
            raise ConfigurationError(f"Airflow's folder {self.folder} can't be made: {error}. Choose another with --home.") from error

    def show(self, pipelines: Path) -> None:
        """Show a folder of pipelines to Airflow, but for what is none."""
        shutil.rmtree(self.shown, ignore_errors=True)  # a link in it is removed, never what it leads to
        self.shown.mkdir()
        patterns = [".*/", *(f"{name}/" for name in IGNORED)]
        others = {other.as_posix() for other in unsearched(pipelines)}
        others |= set() if (pipelines / _LAKE).exists() else {_LAKE}  # the lake that the first run will make, unless told otherwise
        patterns += [f"/{pipelines.name}/{other}/" for other in sorted(others)]
        (self.shown / ".airflowignore").write_text("\n".join(patterns) + "\n")
        (self.shown / pipelines.name).symlink_to(pipelines, target_is_directory=True)

    def files(self, git_folder: str | None) -> list[Path]:
        """The pipeline files as the DAG processor names them. `git_folder` is the one within a repository, None without one."""
        if git_folder is None:
            found = [link for link in self.shown.iterdir() if link.is_symlink()]
            return [Path(link.name, file) for link in found for file in pipeline_files(link)]
        return pipeline_files(self.bundles / _NAME / "tracking_repo" / git_folder)

    @property
    def database(self) -> str:
        """The URL of the database that is here unless another was named. A writer waits a minute for the others: at SQLite's five
        seconds Airflow's API answers "database is locked" on a busy machine.
        """
        return f"sqlite:///{self.folder / 'airflow.db'}?timeout=60"

    def is_prepared(self, version: str) -> bool:
        """Whether the database that is here is one of this version of Airflow: preparing one again takes it some seconds."""
        mark = self.folder / "prepared"
        return (self.folder / "airflow.db").exists() and mark.exists() and mark.read_text() == version

    def note_prepared(self, version: str) -> None:
        (self.folder / "prepared").write_text(version)

    # ------------------------------------------------------------ who uses it

    def lock(self) -> int:
        """Take the home; a file descriptor that holds it, here and in who inherits it. RunsAlreadyError when another has it.

        What an Airflow left running whose keeper was killed is ended.
        """
        handle = os.open(self.folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        note = self._read()
        address = str(note.get("address") or "")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            where = f"at {address}" if address else "and is starting or stopping"
            raise RunsAlreadyError(
                f"An Airflow with the home {self.folder} runs already, {where}. Stop it with Ctrl-C where it was started, or start another with --home.",
                address=address,
            ) from None
        self._end_what_is_left(note)
        return handle

    def write(self, *, address: str, session: int) -> None:
        """Note what runs, for the next who asks."""
        aside = self._note.with_suffix(".tmp")
        aside.write_text(json.dumps({"address": address, "session": session}))
        aside.replace(self._note)

    def clear(self) -> None:
        """Note that nothing runs."""
        with suppress(FileNotFoundError):
            self._note.unlink()

    def _read(self) -> dict[str, object]:
        try:
            note = json.loads(self._note.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def _end_what_is_left(self, note: dict[str, object]) -> None:
        session = note.get("session")
        if isinstance(session, int) and _is_left(session):
            end_session(session)
        self.clear()


def _is_left(session: int) -> bool:
    """Whether a session is one of Airflow's whose keeper was killed.

    Its keeper led it, and would hold the lock. A session's number is not used again while it has processes, so another session of
    that number has its leader; and one that has lost its leader as well is not touched unless it runs Airflow.
    """
    left = processes_of(session)
    return session not in left and session != os.getsid(0) and any(_is_airflow(pid) for pid in left)


def _is_airflow(pid: int) -> bool:
    """Whether a process says that it is one of Airflow's."""
    try:
        return b"airflow" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return not Path("/proc/self").exists()
