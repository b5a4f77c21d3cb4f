"""An installed package with data files. It can't be listed: a package is one's own, and its files are known by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.backends.origins import package


@dataclass
class Package:
    folder: Path
    is_listed: bool = False

    def origin(self) -> package.PackageOrigin:
        return package.open()

    def location(self, name: str) -> str:
        return f"package://packed_by_a_test/data/{name}"

    def put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()


@contextmanager
def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    data = folder / "packed_by_a_test" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise RuntimeError('nobody imports this')")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    yield Package(data)
