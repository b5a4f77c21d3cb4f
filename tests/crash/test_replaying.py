"""Kill -9 at every file-system call of a replay: a reader has the old version or the new one, whole, and the next replay ends it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk import Shim
from replay_work import make, replay, state

from headrace.backends.stores import local

HERE = Path(__file__).parent
OLD, NEW = (1, ["tea"], 1), (2, ["tea", "cake"], 0)


def calls_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    shim = Shim(lambda *_: None)
    with monkeypatch.context() as patch:
        patch.setattr(local, "os", shim)
        replay(folder)
    return shim.calls


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.integration)])
def test_a_replay_killed_at_any_call_leaves_the_old_version_or_the_new_one(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before"
    make(before)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(before, undisturbed)
    calls = calls_of(undisturbed, monkeypatch)
    assert state(undisturbed) == NEW
    assert calls > 15
    seen = []
    command = [sys.executable, str(HERE / "killer.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        assert killer.stdin
        assert killer.stdout
        for k in range(calls, 0, -every):
            folder = tmp_path / f"killed at {k}"
            shutil.copytree(before, folder)
            killer.stdin.write(json.dumps([k, "replay_work.replay", str(folder)]) + "\n")
            killer.stdin.flush()
            assert killer.stdout.readline().strip() == "killed"
            seen.append(state(folder))
            replay(folder)
            assert state(folder) == NEW
        killer.stdin.close()
    assert seen == sorted(seen, reverse=True)
    assert {version for version, _, _ in seen} == {1, 2}
    assert all(one in (OLD, NEW) for one in seen)
