"""Kill -9 at every file-system call of a publication, and two at once: the mark is never before its files, and the next run mends it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import publish_work
from disk import Shim
from publish_work import commit, found, publish, trusted, unpublished

from headrace.backends.stores import local

HERE = Path(__file__).parent


@pytest.fixture
def killed() -> Iterator[object]:
    """Publish in a process that is killed before its k-th call: what its parent says of it."""
    command = [sys.executable, str(HERE / "killer.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        assert killer.stdin
        assert killer.stdout
        into, out = killer.stdin, killer.stdout

        def kill(k: int, folder: Path) -> str:
            into.write(json.dumps([k, "publish_work.publish", str(folder)]) + "\n")
            into.flush()
            return out.readline().strip()

        yield kill
        into.close()


def calls_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    shim = Shim(lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(local, "os", shim)
        publish(folder)
    return shim.calls


@pytest.mark.parametrize(
    ("old", "every"),
    [((), 1), (("rows",), 1), (("test", "train"), 5)],  # the last with DuckDB in each, which takes a third of a second
    ids=["for the first time", "over a version", "over one with another split"],
)
def test_a_publication_killed_at_any_call_is_never_trusted_wrongly_and_the_next_run_ends_it(
    old: tuple[str, ...], every: int, killed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before"
    if old:
        commit(before, *old)
        publish(before)
    newest = commit(before, "rows").version
    undisturbed = Path(shutil.copytree(before, tmp_path / "undisturbed"))
    calls = calls_of(undisturbed, monkeypatch)
    assert calls > 20
    seen = set()
    for k in range(1, calls + 1, every):
        folder = Path(shutil.copytree(before, tmp_path / f"killed at {k}"))
        assert killed(k, folder) == "killed"
        seen.add(trusted(folder))
        assert bool(unpublished(folder)) is (trusted(folder) != newest)
        publish(folder)
        assert (trusted(folder), unpublished(folder), found(folder)) == (newest, "", found(undisturbed))
    assert {None} < seen <= {None, newest, newest - 1}


def test_one_who_publishes_an_older_version_meanwhile_mends_it_when_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow one has looked at version 1; before each of its writes the quick one commits and publishes another."""
    commit(tmp_path, "rows")
    real = local.LocalStore.replace
    quick = iter(range(2))

    def late(self: local.LocalStore, key: str, data: bytes | Path) -> None:
        if next(quick, None) is not None:
            monkeypatch.setattr(local.LocalStore, "replace", real)
            commit(tmp_path, "rows")
            publish(tmp_path)
            assert trusted(tmp_path) == newest()
            monkeypatch.setattr(local.LocalStore, "replace", late)
        real(self, key, data)

    def newest() -> int:
        current = publish_work.session_of(tmp_path).log("sums").current(publish_work.DAY)
        assert current is not None
        return current.version

    monkeypatch.setattr(local.LocalStore, "replace", late)
    publish(tmp_path)
    assert (trusted(tmp_path), newest()) == (3, 3)


_PUBLISHER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from publish_work import commit, publish
print("ready", flush=True)
sys.stdin.readline()
for _ in range(15):
    commit(Path(sys.argv[2]), "rows")
    publish(Path(sys.argv[2]))
"""


def test_processes_that_commit_and_publish_at_once_leave_the_newest_version(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PUBLISHER, str(HERE), str(tmp_path)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        _, said = one.communicate()
        assert one.returncode == 0 or "was replaced while it was published" in said or "LostRaceError" in said, said
    current = publish_work.session_of(tmp_path).log("sums").current(publish_work.DAY)
    assert current is not None
    publish(tmp_path)
    assert trusted(tmp_path) == current.version
