"""Kill -9 at every file-system call of a commit and of a collection: readers see the old or the new, a rerun ends as if nothing had been."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk import Shim
from lake_work import HOUR, check_whole, collect_all, commit, files_in, log_of, make_input, make_upstream, open_lake, read, take, taken

from headrace.backends.stores import local


class Killer:
    """Runs acts in children of a process of their own, and kills them."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).parent / "killer.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def kill(self, k: int, act: str, folder: Path, *more: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([k, act, str(folder), *more]) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def killer() -> Iterator[Killer]:
    killer = Killer()
    yield killer
    killer.process.communicate()


def calls_of(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    shim = Shim(lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(local, "os", shim)
        act()
    return shim.calls


@pytest.mark.parametrize("old", [None, "old"], ids=["into an empty folder", "over an older version"])
def test_a_commit_killed_at_any_call_leaves_the_old_or_the_new_and_a_rerun_ends_the_same(
    old: str | None, killer: Killer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before"
    if old:
        make_input(before)
        commit(before, old)

    def lake(name: str) -> Path:
        return Path(shutil.copytree(before, tmp_path / name)) if old else tmp_path / name

    undisturbed = lake("undisturbed")
    calls = calls_of(lambda: commit(undisturbed, "new"), monkeypatch)
    wanted = log_of(open_lake(undisturbed)).current(HOUR)
    assert calls > 25
    seen = set()
    for k in range(1, calls + 1):
        folder = lake(f"killed at {k}")
        assert killer.kill(k, "commit", folder, "new") == "killed"
        found = read(folder)
        seen.add(found)
        again = commit(folder, "new")
        assert (again.content.digest, again.version) == (wanted.content.digest, wanted.version)
        assert read(folder) == "new"
        check_whole(folder)
        collect_all(folder)
        assert {Path(file).name for file in files_in(folder)} >= {"rows-0000.parquet", "quarantine-0000.parquet"}
        assert read(folder) == "new"
        assert len([file for file in files_in(folder) if "/sums/" in file]) == 2, "a collection leaves only what the current version names"
    assert seen == {old, "new"}


def test_a_collection_killed_at_any_call_deletes_nothing_kept_and_is_finished_by_the_next(
    killer: Killer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before"
    for code in ("first", "second", "third"):
        commit(before, code)
    attempt = log_of(open_lake(before)).attempt(HOUR)
    attempt.file("rows", layer="gold").write_bytes(b"of a writer that was killed")
    undisturbed = Path(shutil.copytree(before, tmp_path / "undisturbed"))
    calls = calls_of(lambda: collect_all(undisturbed), monkeypatch)
    for k in range(1, calls + 1):
        folder = Path(shutil.copytree(before, tmp_path / f"killed at {k}"))
        assert killer.kill(k, "collect_all", folder) == "killed"
        assert read(folder) == "third"
        collect_all(folder)
        assert files_in(folder) == files_in(undisturbed)
        assert read(folder) == "third"
        check_whole(folder)


@pytest.mark.parametrize("is_old", [False, True], ids=["for the first time", "over an older version"])
def test_taking_another_pipelines_rows_killed_at_any_call_leaves_the_old_or_the_new(
    is_old: bool,
    killer: Killer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = tmp_path / "before"
    if is_old:
        make_upstream(before, "yesterday")
        take(before)
    make_upstream(before, "today")
    old, new = taken(before), [b"train of today", b"test of today"]
    undisturbed = Path(shutil.copytree(before, tmp_path / "undisturbed"))
    calls = calls_of(lambda: take(undisturbed), monkeypatch)
    assert taken(undisturbed) == new
    seen = []
    for k in range(1, calls + 1):
        folder = Path(shutil.copytree(before, tmp_path / f"killed at {k}"))
        assert killer.kill(k, "take", folder) == "killed"
        seen.append(taken(folder))
        take(folder)
        collect_all(folder)
        assert taken(folder) == new, "the other pipeline's older versions are collected, and nothing of ours with them"
    assert [one for n, one in enumerate(seen) if n == 0 or one != seen[n - 1]] == [old, new]
