"""The origins that the suite runs on: every flavour that has a case file in `cases/`, which puts files where the flavour finds them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, cast

import pytest

from headrace.core.ports import Origin

sys.path.insert(0, str(Path(__file__).parent))

from web_server import Site, serving

CASES = Path(__file__).parent / "cases"


class Place(Protocol):
    """Somewhere with files. `is_listed` says whether a pattern finds them."""

    is_listed: bool

    def origin(self) -> Origin: ...

    def location(self, name: str) -> str: ...

    def put(self, name: str, data: bytes) -> None: ...

    def remove(self, name: str) -> None: ...


@pytest.fixture(params=sorted(path.stem for path in CASES.glob("*.py")))
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    spec = importlib.util.spec_from_file_location(f"origin_case_{request.param}", CASES / f"{request.param}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    with cast("AbstractContextManager[Place]", module.fresh(tmp_path, monkeypatch)) as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server of the test's own."""
    with serving() as found:
        yield found
