"""The store under test: every flavour that has a case file in `cases/`, on every server that the case names.

A server is started when the first test asks for it, once a process, and ends with the session.
"""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headrace.core.access import Access
from headrace.core.store import Store
from headrace.plugins import load

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    """A flavour, and where its stores are made."""

    flavour: str
    is_shared_by_processes: bool
    uri_of: Callable[[Path], str]
    environment: dict[str, str]

    def told(self, folder: Path) -> str:
        """What another process needs for `opened`."""
        cache = str(folder.parent / f"cache-{os.urandom(4).hex()}")
        return json.dumps([self.flavour, self.uri_of(folder), self.environment, cache])

    def fresh(self, folder: Path) -> Store:
        """A store for a folder: the same one for the same folder."""
        return opened(self.told(folder))


def opened(told: str) -> Store:
    """The store that was told of, in any process."""
    flavour, uri, environment, cache = json.loads(told)
    module = load("stores", flavour)
    return module.open(uri) if not environment else module.open(uri, Access(environment=environment, cache=Path(cache)))


def cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.py")):
        module = case_module(file.stem)
        for server, is_quick in getattr(module, "SERVERS", {"": True}).items():
            marks = [] if is_quick else [pytest.mark.integration]
            yield pytest.param((file.stem, server), id="-".join(filter(None, (file.stem, server))), marks=marks)


def case_module(flavour: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"store_case_{flavour}", CASES / f"{flavour}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str, Callable[[Path], Any]], Any]]:
    """Starts a server by its name, or gives the one that runs."""
    running: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-servers-")))

        def start(name: str, how: Callable[[Path], Any]) -> Any:
            if name not in running:
                (folder / name).mkdir()
                running[name] = stack.enter_context(how(folder / name))
            return running[name]

        yield start


@pytest.fixture(params=cases())
def case(request: pytest.FixtureRequest, servers: Callable[..., Any]) -> Case:
    flavour, server = request.param
    module = case_module(flavour)
    if not server:
        return Case(flavour, module.IS_SHARED_BY_PROCESSES, module.uri, {})
    found = servers(server, module.start(server))
    return Case(flavour, True, lambda folder: module.uri(folder, found), found.environment)


@pytest.fixture
def store(case: Case, tmp_path: Path) -> Store:
    return case.fresh(tmp_path)
