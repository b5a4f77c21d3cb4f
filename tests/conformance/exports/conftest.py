"""The export under test: every flavour that has a case file in `cases/`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

CASES = Path(__file__).parent / "cases"


def load(flavour: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"export_case_{flavour}", CASES / f"{flavour}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=sorted(path.stem for path in CASES.glob("*.py")))
def case(request: pytest.FixtureRequest) -> ModuleType:
    return load(request.param)


@pytest.fixture
def export(case: ModuleType, tmp_path: Path):
    return case.fresh(tmp_path)
