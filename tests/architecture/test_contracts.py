"""The import contracts of pyproject.toml hold, and each of them catches what it is there for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLANTED = {
    "core/planted_up.py": "from headrace.lake import layout",
    "core/planted_a.py": "from headrace.core import planted_b",
    "core/planted_b.py": "from headrace.core import planted_a",
    "lake/planted_heavy.py": "def late():\n    import duckdb",
    "run/planted_static.py": "from headrace.backends.engines import duckdb",
    "backends/engines/planted_lake.py": "from headrace.lake import layout",
    "backends/stores/planted_port.py": "from headrace.backends.engines import planted_lake",
    "steps/tables.py": "from headrace.steps import models",
}


def lint(project: Path, root: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    command = [str(tool), "--config", str(project / "pyproject.toml"), "--no-cache", "--no-logo"]
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"}, cwd=root, capture_output=True, text=True, check=False
    )


def copied(project: Path, root: Path) -> Path:
    return Path(shutil.copytree(project / "src" / "headrace", root / "headrace", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="module")
def verdict(project: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the package in which every contract is broken."""
    root = tmp_path_factory.mktemp("planted")
    package = copied(project, root)
    for name, text in PLANTED.items():
        with (package / name).open("a") as file:
            file.write(f"\n{text}\n")
    found = lint(project, root)
    assert found.returncode == 1, found.stdout + found.stderr
    return found.stdout


def test_the_import_contracts_hold(project: Path) -> None:
    found = lint(project, project / "src")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    "said",
    [
        "headrace.core.planted_up -> headrace.lake.layout",
        "headrace.lake.planted_heavy -> duckdb",
        "headrace.run.planted_static -> headrace.backends.engines.duckdb",
        "headrace.backends.engines.planted_lake -> headrace.lake.layout",
        "headrace.backends.stores.planted_port -> headrace.backends.engines.planted_lake",
        "headrace.steps.tables -> headrace.steps.models",
        "No cycles are allowed in headrace.core",
    ],
)
def test_a_planted_violation_is_caught(verdict: str, said: str) -> None:
    assert said in verdict


def test_no_contract_holds_by_chance(verdict: str) -> None:
    """Each contract is broken by one of the plants, so each of them can be."""
    assert " KEPT" not in verdict


def test_a_new_top_level_package_is_refused_until_it_has_a_floor(project: Path, tmp_path: Path) -> None:
    (copied(project, tmp_path) / "novelty.py").write_text("")
    found = lint(project, tmp_path)
    assert found.returncode == 1
    assert "novelty" in found.stdout


def test_a_new_flavour_needs_no_other_edit(project: Path, tmp_path: Path) -> None:
    flavour = copied(project, tmp_path) / "backends" / "sources" / "novelty.py"
    flavour.write_text("from headrace.core.ports import SourceFormat\nimport json\n")
    found = lint(project, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
