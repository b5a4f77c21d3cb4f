"""The queue of notes: nothing is lost, nothing is sent out of order, nobody waits."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from headrace.core.errors import TransientError
from headrace.core.ports import RunNote
from headrace.run import outbox


def note(identity: str) -> RunNote:
    return RunNote(
        identity, "shop", "groups", "2011-01-10", 1, {"clusters": 5, "é": [1, None]}, {"silhouette": 0.5}, {"fingerprint": "ab"}, "/lake/m", True,
        "2026-11-20T08:00:00+00:00", "2026-11-20T08:00:02+00:00",
    )  # fmt: skip


class Recorder:
    """A tracker that fails on the notes it is told to fail on."""

    def __init__(self, *failing: str) -> None:
        self.failing = set(failing)
        self.told: list[RunNote] = []

    def send(self, notes):
        for one in notes:
            if one.identity in self.failing:
                raise TransientError("MLflow at https://ana:hunter2@host does not answer")
            self.told.append(one)

    @property
    def identities(self) -> list[str]:
        return [one.identity for one in self.told]


def test_a_note_arrives_as_it_was_and_leaves_the_queue(tmp_path):
    outbox.enqueue(tmp_path, note("a"))
    tracker = Recorder()

    result = outbox.sync(tmp_path, tracker)

    assert (result.sent, result.waiting, result.error) == (1, 0, None)
    assert tracker.told == [note("a")]


def test_notes_are_sent_in_the_order_in_which_they_came(tmp_path):
    names = [str(index) for index in range(30)]
    for name in names:
        outbox.enqueue(tmp_path, note(name))
    tracker = Recorder()
    outbox.sync(tmp_path, tracker)
    assert tracker.identities == names


def test_a_note_that_fails_stays_first_and_is_sent_again(tmp_path):
    for name in "abc":
        outbox.enqueue(tmp_path, note(name))
    tracker = Recorder("b")

    first = outbox.sync(tmp_path, tracker)
    assert (first.sent, first.waiting, tracker.identities) == (1, 2, ["a"])

    tracker.failing.clear()
    second = outbox.sync(tmp_path, tracker)
    assert (second.sent, second.waiting, tracker.identities) == (2, 0, ["a", "b", "c"])


def test_the_last_error_is_kept_without_secrets_and_goes_when_all_was_sent(tmp_path):
    outbox.enqueue(tmp_path, note("a"))
    result = outbox.sync(tmp_path, Recorder("a"))
    assert "does not answer" in str(result.error)
    assert outbox.last_error(tmp_path) == result.error
    assert "hunter2" not in str(result.error)

    outbox.sync(tmp_path, Recorder())
    assert outbox.last_error(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"identity": "x"}', b"\xff\xfe", b'{"format": 1, "metrics": 3}'])
def test_a_file_that_holds_no_note_is_set_aside_and_blocks_nothing(tmp_path, content):
    (tmp_path / "0000-first.json").write_bytes(content)
    outbox.enqueue(tmp_path, note("a"))
    tracker = Recorder()

    result = outbox.sync(tmp_path, tracker)

    assert (result.sent, result.set_aside, tracker.identities) == (1, 1, ["a"])
    assert (tmp_path / "malformed" / "0000-first.json").read_bytes() == content


def test_a_note_of_a_newer_format_is_not_taken_for_one_of_ours(tmp_path):
    place = outbox.enqueue(tmp_path, note("a"))
    place.write_text(json.dumps({**json.loads(place.read_text()), "format": 2}))
    assert outbox.sync(tmp_path, Recorder()).set_aside == 1


def test_a_second_sender_steps_back_while_the_first_works(tmp_path):
    outbox.enqueue(tmp_path, note("a"))
    tracker = Recorder()
    with (tmp_path / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = outbox.sync(tmp_path, tracker, is_waiting=False)
    assert (result.is_busy, result.waiting, tracker.identities) == (True, 1, [])


def test_two_senders_at_once_send_each_note_once(tmp_path):
    for index in range(40):
        outbox.enqueue(tmp_path, note(str(index)))
    tracker = Recorder()
    threads = [threading.Thread(target=outbox.sync, args=(tmp_path, tracker)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker.identities == [str(index) for index in range(40)]


def test_a_queue_that_was_never_made_has_nothing_to_send(tmp_path):
    assert outbox.sync(tmp_path / "none", Recorder()) == outbox.SyncResult()
    assert outbox.pending(tmp_path / "none") == 0


def test_an_interrupted_send_keeps_its_note(tmp_path):
    class Interrupted:
        def send(self, notes):
            raise KeyboardInterrupt

    outbox.enqueue(tmp_path, note("a"))
    with pytest.raises(KeyboardInterrupt):
        outbox.sync(tmp_path, Interrupted())
    assert outbox.pending(tmp_path) == 1


# ---------------------------------------------------------------- the sender's process

_FLAVOUR = """
import os, time
from pathlib import Path
from headrace.core.errors import TransientError

class Filed:
    def __init__(self, uri):
        self.folder = Path(uri)
    def send(self, notes):
        if (self.folder / "down").exists():
            raise TransientError("down")
        while (self.folder / "slow").exists():
            (self.folder / "began").touch()
            time.sleep(0.005)
        for note in notes:
            with (self.folder / "told").open("a") as out:
                out.write(note.identity + "\\n")

def open(uri):
    return Filed(uri)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a tracker flavour `filed`, found by its entry point as a third party's is, and a folder that it tells."""
    package = tmp_path / "site"
    (package / "filed-1.dist-info").mkdir(parents=True)
    (package / "filed_flavour.py").write_text(_FLAVOUR)
    (package / "filed-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: filed\nVersion: 1\n")
    (package / "filed-1.dist-info" / "entry_points.txt").write_text("[headrace.trackers]\nfiled = filed_flavour\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "server").mkdir()
    return tmp_path


def until(condition, *, within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)


def told(place: Path) -> list[str]:
    file = place / "server" / "told"
    return file.read_text().split() if file.exists() else []


def start(place: Path) -> None:
    outbox.start_sender(place / "queue", outbox.Place("filed", str(place / "server")))


def test_a_started_sender_empties_the_queue(place):
    for name in "ab":
        outbox.enqueue(place / "queue", note(name))
    start(place)
    until(lambda: outbox.pending(place / "queue") == 0)
    assert told(place) == ["a", "b"]


def test_a_sender_outlives_the_process_that_started_it(place):
    outbox.enqueue(place / "queue", note("a"))
    code = f"from pathlib import Path; from headrace.run.outbox import Place, start_sender; start_sender(Path({str(place / 'queue')!r}), Place('filed', {str(place / 'server')!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    until(lambda: told(place) == ["a"])


def test_a_note_that_comes_while_a_sender_works_is_sent_too(place):
    (place / "server" / "slow").touch()
    outbox.enqueue(place / "queue", note("a"))
    start(place)
    until((place / "server" / "began").exists)
    outbox.enqueue(place / "queue", note("b"))
    start(place)
    (place / "server" / "slow").unlink()
    until(lambda: outbox.pending(place / "queue") == 0)
    assert told(place) == ["a", "b"]


def test_what_could_not_be_sent_is_sent_by_the_next_sender(place):
    (place / "server" / "down").touch()
    outbox.enqueue(place / "queue", note("a"))
    start(place)
    until(lambda: outbox.last_error(place / "queue") == "down")
    assert outbox.pending(place / "queue") == 1

    (place / "server" / "down").unlink()
    outbox.enqueue(place / "queue", note("b"))
    until(lambda: not outbox.sync(place / "queue", Recorder("a"), is_waiting=False).is_busy)  # the first sender has let go
    start(place)
    until(lambda: told(place) == ["a", "b"])


def test_a_killed_sender_leaves_its_note_to_the_next(place):
    (place / "server" / "slow").touch()
    outbox.enqueue(place / "queue", note("a"))
    sender = subprocess.Popen([sys.executable, "-m", "headrace.run.outbox", str(place / "queue")], stdin=subprocess.PIPE, text=True)
    with sender.stdin as pipe:
        json.dump(outbox.Place("filed", str(place / "server")).told(), pipe)
    until((place / "server" / "began").exists)
    sender.kill()
    sender.wait()
    assert outbox.pending(place / "queue") == 1

    (place / "server" / "slow").unlink()
    start(place)
    until(lambda: told(place) == ["a"])


def test_a_wrong_tracker_is_told_of_in_the_queue_and_keeps_the_note(place):
    outbox.enqueue(place / "queue", note("a"))
    outbox.start_sender(place / "queue", outbox.Place("mlflo", "http://ana:hunter2@127.0.0.1:1"))
    until(lambda: outbox.last_error(place / "queue") is not None)
    assert "no flavour `mlflo`" in str(outbox.last_error(place / "queue"))
    assert outbox.pending(place / "queue") == 1


def test_no_sender_is_started_for_an_empty_queue(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    outbox.start_sender(tmp_path, outbox.Place("mlflow", "x"))
