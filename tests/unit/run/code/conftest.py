"""A small project in a temporary folder that is written, loaded, digested, edited, and loaded afresh in the same process."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from headrace.run.code import CodeDigest, CodeIndex

_serial = itertools.count()


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")

    def edit(self, name: str, before: str, after: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) >= 1, f"{before!r} is not in {name}"
        path.write_text(text.replace(before, after), encoding="utf-8")

    def load(self, file: str = "shop.py", *, name: str | None = None) -> ModuleType:
        """The file under a name of its own, with all other modules of the project imported anew."""
        self.forget()
        importlib.invalidate_caches()
        name = name or f"loaded_{next(_serial)}"
        spec = importlib.util.spec_from_file_location(name, self.root / file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def forget(self) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(self.root)):
                del sys.modules[name]

    def digest(self, step: str = "step", *, file: str = "shop.py") -> CodeDigest:
        return CodeIndex(self.root).digest(getattr(self.load(file), step))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Project(root)
    yield made
    made.forget()
