"""What import statements cost is told by the line that would have to move."""

from __future__ import annotations

import builtins
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.airflow.imports import ImportCosts

BURNING = "import time\nuntil = time.process_time() + 0.02\nwhile time.process_time() < until:\n    pass\n"


def read(file: Path) -> list[Any]:
    spec = importlib.util.spec_from_file_location("read_for_costs", file)
    assert spec is not None
    assert spec.loader is not None
    with ImportCosts() as costs:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return costs.document()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "costs_burning.py").write_text(BURNING)
    (tmp_path / "costs_between.py").write_text("\nimport costs_burning\n")
    (tmp_path / "shop.py").write_text("import json\nimport costs_between\nimport costs_burning\n")
    yield tmp_path
    for name in ("costs_burning", "costs_between"):
        sys.modules.pop(name, None)


def test_a_cost_stands_at_the_statement_that_caused_it_and_only_there(folder: Path) -> None:
    found = {(Path(cost["file"]).name, cost["line"], cost["what"]): cost["cpu_s"] for cost in read(folder / "shop.py")}
    assert found["costs_between.py", 2, "costs_burning"] >= 0.02
    assert found["shop.py", 2, "costs_between"] < 0.02
    assert found["shop.py", 3, "costs_burning"] < 0.02  # it is loaded already


def test_an_import_that_fails_is_the_users_error_and_pythons_own_import_is_back(folder: Path) -> None:
    real = builtins.__import__
    (folder / "broken.py").write_text("import not_there_at_all\n")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        read(folder / "broken.py")
    assert builtins.__import__ is real
