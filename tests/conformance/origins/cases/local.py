"""A folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.backends.origins import local


@dataclass
class Folder:
    folder: Path
    is_listed: bool = True

    def origin(self) -> local.LocalOrigin:
        return local.open(self.folder)

    def location(self, name: str) -> str:
        return name

    def put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()


@contextmanager
def fresh(folder: Path, _: pytest.MonkeyPatch) -> Iterator[Folder]:
    yield Folder(folder)
