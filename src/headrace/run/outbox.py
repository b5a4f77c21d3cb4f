"""The queue of notes to a tracker: a file each, sent by a process that nobody waits for.

A run puts its notes into a folder and starts a sender; `headrace sync` sends in the foreground. The invariant: a note leaves the
folder only after the tracker took it, notes are sent in the order in which they came, and one sender works at a time. So
a sender may be killed at any instant, and the tracker, which takes a note twice as once, may be down for as long as it likes.

(A note is not synced to the disk, which would cost more than all else here: a power cut may lose the last ones. The lake has
the run's record in any case.)
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

from headrace.core.connection import Connection
from headrace.core.errors import HeadraceError
from headrace.core.ports import JSON, RunNote, Tracker
from headrace.core.redaction import secrets_in_text
from headrace.plugins import load
from headrace.run.redaction import redacted, remember

__all__ = ["Place", "SyncResult", "enqueue", "last_error", "pending", "start_sender", "sync"]

_ERROR = "last-error.txt"
_ASIDE = "malformed"


@dataclass(frozen=True)
class Place:
    """Where a tracker is: its flavour's name, its address if the settings have one, and the connection to get in with."""

    tracker: str
    uri: str | None
    connection: Connection | None = None

    def open(self) -> Tracker:
        """The tracker; what must not be told of it is remembered first."""
        remember(secrets_in_text(self.uri or ""))
        remember(self.connection.secrets if self.connection else ())
        flavour = load("trackers", self.tracker)
        return cast(Tracker, flavour.open(self.uri, connection=self.connection) if self.connection else flavour.open(self.uri))

    def told(self) -> dict[str, JSON]:
        return {"tracker": self.tracker, "uri": self.uri, "connection": self.connection.told() if self.connection else None}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Place:
        return cls(told["tracker"], told["uri"], Connection.of_told(told["connection"]) if told["connection"] else None)


@dataclass(frozen=True)
class SyncResult:
    """What a sender did. `error` says why it stopped before the queue was empty; `set_aside` are files that hold no note."""

    sent: int = 0
    waiting: int = 0
    set_aside: int = 0
    error: str | None = None
    is_busy: bool = False


def enqueue(folder: Path, note: RunNote) -> Path:
    """Put a note at the end of the queue; the file that holds it. About a tenth of a millisecond."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}"
    aside, place = folder / f".{name}.tmp", folder / f"{name}.json"
    aside.write_text(json.dumps({"format": 1, **asdict(note)}, ensure_ascii=False), encoding="utf-8")
    aside.replace(place)
    return place


def pending(folder: Path) -> int:
    """How many notes wait."""
    return len(_waiting(folder))


def last_error(folder: Path) -> str | None:
    """Why the last sender stopped; None after one that sent all."""
    try:
        return (folder / _ERROR).read_text(encoding="utf-8") or None
    except FileNotFoundError:
        return None


def start_sender(folder: Path, place: Place) -> None:
    """Start a process that sends what waits and outlives this one; nothing is started when nothing waits.

    A few milliseconds. The process has no terminal; what it has to say is in `last_error`.
    """
    if not pending(folder):
        return
    child = subprocess.Popen(
        [sys.executable, "-m", "headrace.run.outbox", str(folder.absolute())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,  # the user's folder may go while the sender works
        start_new_session=True,
    )
    # By a pipe: a command line and an environment can be read by others on the machine.
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin as pipe:
        pipe.write(json.dumps(place.told()).encode())
    threading.Thread(target=child.wait, name="headrace-outbox", daemon=True).start()  # else it stays a zombie in a notebook


def sync(folder: Path, tracker: Tracker, *, is_waiting: bool = True) -> SyncResult:
    """Send what waits, in order, until the queue is empty or the tracker fails; the first note that fails stays first.

    With `is_waiting` another sender at work is waited for; without, the answer says `is_busy`.
    """
    if not folder.is_dir():
        return SyncResult()
    with _lock(folder, is_waiting=is_waiting) as is_ours:
        if not is_ours:
            return SyncResult(waiting=pending(folder), is_busy=True)
        sent, set_aside, error = _send_all(folder, tracker)
        _remember(folder, error)
    return SyncResult(sent, pending(folder), set_aside, error)


def _send_all(folder: Path, tracker: Tracker) -> tuple[int, int, str | None]:
    sent = set_aside = 0
    while waiting := _waiting(folder):
        for path in waiting:
            note = _read(path)
            if note is None:
                _set_aside(path)
                set_aside += 1
                continue
            try:
                tracker.send([note])
            except Exception as error:  # noqa: BLE001  # whatever a tracker raises, the note stays and the reason is told
                return sent, set_aside, _told(error)
            path.unlink()
            sent += 1
    return sent, set_aside, None


def _waiting(folder: Path) -> list[Path]:
    """The queue's files, oldest first."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def _read(path: Path) -> RunNote | None:
    """The note in a file; None when it holds none."""
    try:
        told = json.loads(path.read_bytes())
        note = RunNote(**{field.name: told[field.name] for field in fields(RunNote)})
    except (ValueError, KeyError, TypeError):
        return None
    is_whole = (
        told.get("format") == 1 and isinstance(note.metrics, dict) and isinstance(note.parameters, dict) and isinstance(note.tags, dict)
    )
    return note if is_whole else None


def _set_aside(path: Path) -> None:
    aside = path.parent / _ASIDE
    aside.mkdir(exist_ok=True)
    path.replace(aside / path.name)


@contextmanager
def _lock(folder: Path, *, is_waiting: bool) -> Iterator[bool]:
    """Whether this process is the one sender; the kernel lets go of the lock however the process ends."""
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if is_waiting else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _told(error: BaseException) -> str:
    """An error in words, without secrets."""
    words = str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
    return redacted(words)[:2000]


def _remember(folder: Path, error: str | None) -> None:
    path = folder / _ERROR
    if error is None:
        path.unlink(missing_ok=True)
        return
    aside = path.with_suffix(".tmp")
    aside.write_text(error, encoding="utf-8")
    aside.replace(path)


def main(folder: Path, place: Place) -> None:
    """The sender's process. A note that comes while it ends is not left behind: it looks once more after it let go of the lock."""
    while pending(folder):
        with _lock(folder, is_waiting=False) as is_ours:
            if not is_ours:
                return
            if not pending(folder):
                return  # another sender was quicker
            try:
                _, _, error = _send_all(folder, place.open())
            except Exception as problem:  # noqa: BLE001  # nobody sees this process: the reason must be kept
                error = _told(problem)
            _remember(folder, error)
        if error is not None:
            return


if __name__ == "__main__":
    with suppress(FileNotFoundError):  # the lake was removed meanwhile
        main(Path(sys.argv[1]), Place.of(json.loads(sys.stdin.buffer.read())))
