"""Who is not Airflow gets None from `airflow_dag`, and pays nothing: no import, whatever is installed or loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from commands import headrace

import headrace as hr
from headrace.run.loading import load_pipeline

FILE = """
import headrace as hr

numbers = hr.Pipeline("numbers", schedule="@daily", start="2026-01-01")


@numbers.table
def few():
    return "select 1 as n"


dag = hr.airflow_dag(numbers)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "numbers_dag.py"
    path.write_text(FILE)
    return path


def reading(code: str, **names: object) -> dict[str, Any]:
    """Run code as if a module of Airflow's DAG processing did."""
    module: dict[str, Any] = {"__name__": "airflow.dag_processing.importers.somewhere", **names}
    exec(code, module)
    return module


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pipelines for which a DAG was made, with Airflow loaded."""
    graphs: list[str] = []
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    dag = ModuleType("headrace.airflow.dag")
    dag.make_dag = lambda graph, **_: graphs.append(graph.name) or "a DAG"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "headrace.airflow.dag", dag)
    return graphs


def test_a_file_with_a_dag_runs_beside_an_airflow_that_must_not_be_imported(file: Path, tmp_path: Path) -> None:
    (tmp_path / "installed" / "airflow").mkdir(parents=True)
    (tmp_path / "installed" / "airflow" / "__init__.py").write_text("raise AssertionError('Airflow was imported')")
    said = headrace(
        "run", file, "--at", "2026-01-02", "--json", "--no-report", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "installed")}
    )
    assert said.code == 0, said.err
    assert said.receipt("few")["state"] == "made"


def test_outside_of_airflow_the_dag_is_none_and_nothing_is_imported(file: Path) -> None:
    code = f"import runpy, sys; found = runpy.run_path({str(file)!r}); print(found['dag'], *(m for m in sys.modules if 'airflow' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "headrace.airflow"]


def test_that_airflow_is_loaded_makes_no_dag(file: Path, made: list[str]) -> None:
    assert load_pipeline(file).graph.name == "numbers"
    assert hr.airflow_dag(hr.Pipeline("other")) is None
    assert made == []


def test_what_airflow_reads_is_a_dag(made: list[str]) -> None:
    found = reading("dag = hr.airflow_dag(pipeline)", hr=hr, pipeline=hr.Pipeline("numbers"))
    assert found["dag"] == "a DAG"
    assert made == ["numbers"]


def test_a_helper_of_a_file_that_airflow_reads_makes_a_dag_too(made: list[str]) -> None:
    def helper() -> object:
        return hr.airflow_dag(hr.Pipeline("helped"))

    assert reading("dag = helper()", helper=helper)["dag"] == "a DAG"


def test_a_pipeline_that_is_opened_to_be_run_makes_no_dag_whoever_opens_it(file: Path, made: list[str]) -> None:
    reading("load(file)", load=load_pipeline, file=file)
    assert made == []


def test_a_wrong_graph_is_told_to_airflow_and_to_nobody_else(made: list[str]) -> None:
    wrong = hr.Pipeline("1wrong")
    assert hr.airflow_dag(wrong) is None
    with pytest.raises(hr.HeadraceError, match="can't name a pipeline"):
        reading("hr.airflow_dag(wrong)", hr=hr, wrong=wrong)
