"""The origins that the suite runs on: every flavour that has a case file in `cases/`, which puts files where the flavour finds them."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

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


def case_module(flavour: str) -> ModuleType:
    name = f"origin_case_{flavour}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, CASES / f"{flavour}.py")
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def cases() -> Iterator[Any]:
    """A flavour that has servers is tested on each; which of them are quick is said by the case."""
    for file in sorted(CASES.glob("*.py")):
        for server, is_quick in getattr(case_module(file.stem), "SERVERS", {"": True}).items():
            marks = [] if is_quick else [pytest.mark.integration]
            yield pytest.param((file.stem, server), id="-".join(filter(None, (file.stem, server))), marks=marks)


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
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: Callable[..., Any]) -> Iterator[Place]:
    flavour, server = request.param
    module = case_module(flavour)
    given = (servers(server, module.start(server)),) if server else ()
    with cast("AbstractContextManager[Place]", module.fresh(tmp_path, monkeypatch, *given)) as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server of the test's own."""
    with serving() as found:
        yield found
