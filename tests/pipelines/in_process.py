"""A folder of its own for each test, with nothing of the machine's configuration, and commands that run in this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Said

from headrace.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    for name in [n for n in os.environ if n.startswith("HEADRACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HEADRACE_TRACKING", "none")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture
def headrace(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """`headrace(…)` in the test's folder: what it printed and its exit code."""

    def command(*arguments: str) -> Said:
        before = dict(sys.modules)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        for name, module in list(sys.modules.items()):
            if name not in before and str(getattr(module, "__file__", "")).startswith(str(folder)):
                del sys.modules[name]
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return command
