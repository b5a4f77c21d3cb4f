"""Kill -9 at every call that changes a file while a key is forgotten: a reader has each dataset with it or without it, whole, and the same
call ends it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disk import Shim
from forget_work import forget, is_done, make, state, telling

from headrace.backends.stores import local

HERE = Path(__file__).parent
CHANGING = {"write", "link", "unlink", "rename", "mkdir", "rmdir"}
OLD = {
    "sales 2026-05-01": [("anna@a.org", 2.5), ("ben", 3.0), ("eve", 1.0)],
    "sales.quarantine 2026-05-01": [(b"anna@a.org,cheap",), (b"cleo,x",)],
    "spending 2026-05-01": [("anna@a.org", 2.5), ("ben", 3.0), ("eve", 1.0)],
    "sales 2026-05-02": [("dora", 4.0)],
    "spending 2026-05-02": [("dora", 4.0)],
}
NEW = {
    **OLD,
    "sales 2026-05-01": [("ben", 3.0), ("eve", 1.0)],
    "sales.quarantine 2026-05-01": [(b"cleo,x",)],
    "spending 2026-05-01": [("ben", 3.0), ("eve", 1.0)],
}


def changes_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the calls that change a file, of one that is not disturbed."""
    found: list[int] = []
    shim = Shim(lambda number, name, _: found.append(number) if name in CHANGING else None)
    with monkeypatch.context() as patch:
        patch.setattr(local, "os", shim)
        forget(folder)
    return found


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.integration)])
def test_killed_at_any_change_a_key_is_forgotten_by_the_same_call_and_nothing_else_is_lost(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, undisturbed = tmp_path / "before", tmp_path / "undisturbed"
    make(before)
    assert (state(before), bool(telling(before))) == (OLD, True)
    shutil.copytree(before, undisturbed)
    changes = changes_of(undisturbed, monkeypatch)
    assert len(changes) > 50
    assert (state(undisturbed), telling(undisturbed), is_done(undisturbed)) == (NEW, [], True)
    seen = []
    with subprocess.Popen([sys.executable, str(HERE / "killer.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        assert killer.stdin
        assert killer.stdout
        for k in changes[::-every]:
            folder = tmp_path / "killed"
            shutil.copytree(before, folder)
            killer.stdin.write(json.dumps([k, "forget_work.forget", str(folder)]) + "\n")
            killer.stdin.flush()
            assert killer.stdout.readline().strip() == "killed"
            left = state(folder)
            assert all(left[name] in (OLD[name], NEW[name]) for name in OLD)
            seen.append(left)
            forget(folder)
            assert (state(folder), telling(folder), is_done(folder)) == (NEW, [], True)
            shutil.rmtree(folder)
        killer.stdin.close()
    assert OLD in seen
    assert NEW in seen
