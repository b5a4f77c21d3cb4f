"""Who is not Airflow gets None from `airflow_dag`, and pays nothing: no import, whatever is installed or loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow_home import HERE, make_home, needs_airflow
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


def reading(code: str, *, reader: str = "airflow.dag_processing.importers.somewhere", **names: object) -> dict[str, Any]:
    """Run code as a file that a module of Airflow's DAG processing imports."""
    file: dict[str, Any] = {"__name__": "unusual_prefix_file", **names}
    exec("exec(compile(code, 'file.py', 'exec'), file)", {"__name__": reader, "code": code, "file": file})
    return file


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pipelines for which a DAG was made, with Airflow loaded."""
    graphs: list[str] = []
    monkeypatch.setitem(sys.modules, "airflow", ModuleType("airflow"))
    dag = ModuleType("headrace.airflow.dag")
    dag.make_dag = lambda graph, **asked: graphs.append(graph.name) or asked["options"]  # type: ignore[attr-defined]
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
    notebook: dict[str, Any] = {"__name__": "__main__"}
    exec(FILE, notebook)
    assert notebook["dag"] is None
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(hr.airflow_dag, hr.Pipeline("in_a_thread")).result() is None
    assert load_pipeline(file).graph.name == "numbers"
    assert hr.airflow_dag(hr.Pipeline("other")) is None
    assert made == []


def test_what_airflow_reads_is_a_dag(made: list[str]) -> None:
    assert reading("dag = hr.airflow_dag(pipeline)", hr=hr, pipeline=hr.Pipeline("numbers"))["dag"] == {}
    assert (
        reading("dag = hr.airflow_dag(pipeline)", reader="airflow.dag_processing.dagbag", hr=hr, pipeline=hr.Pipeline("too"))["dag"] == {}
    )
    assert made == ["numbers", "too"]


def test_a_function_elsewhere_that_a_file_calls_makes_its_dag(made: list[str]) -> None:
    def factory(name: str) -> object:
        return hr.airflow_dag(hr.Pipeline(name))

    assert reading("dags = [factory(name) for name in ('one', 'two')]", factory=factory)["dags"] == [{}, {}]
    assert made == ["one", "two"]


def test_the_dag_of_a_module_that_a_file_imports_is_that_files_only_if_it_names_it(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_dag.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    assert reading("from imported_dag import dag")["dag"] == {"auto_register": False}
    assert made == ["numbers"]
    del sys.modules["imported_dag"]


def test_a_callback_in_the_dag_processor_reads_no_file(file: Path, made: list[str]) -> None:
    found = reading("import runpy; dag = runpy.run_path(file)['dag']", reader="airflow.dag_processing.processor", file=str(file))
    assert found["dag"] is None
    assert made == []


def test_a_pipeline_that_is_opened_to_be_run_makes_no_dag_whoever_opens_it(file: Path, made: list[str]) -> None:
    reading("load(file)", load=load_pipeline, file=file)
    assert made == []


def test_a_wrong_graph_is_told_to_airflow_and_to_nobody_else(made: list[str]) -> None:
    wrong = hr.Pipeline("1wrong")
    assert hr.airflow_dag(wrong) is None
    with pytest.raises(hr.HeadraceError, match="can't name a pipeline"):
        reading("hr.airflow_dag(wrong)", hr=hr, wrong=wrong)


# ---------------------------------------------------------------- with the real Airflow

READER = """
import headrace as hr
from numbers_dag import few

other = hr.Pipeline("other")


@other.table
def more():
    return few()


dag = hr.airflow_dag(other)
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the readers say of a DAGs folder: a pipeline, one that imports from it, and one whose file is elsewhere; and who imported the first."""
    root = tmp_path_factory.mktemp("readers")
    home = make_home(root / "home")
    note = f"\nopen({str(root / 'seen')!r}, 'a').write(f'{{__name__}} {{dag is not None}}\\n')\n"
    (home.dags / "numbers_dag.py").write_text(FILE + note)
    (home.dags / "reader_dag.py").write_text(READER)
    (home.dags / "packaged_dag.py").write_text("# airflow\nfrom packaged import dag\n")
    (root / "lib").mkdir()
    (root / "lib" / "packaged.py").write_text(FILE.replace('"numbers"', '"packaged"'))
    done = subprocess.run(
        [sys.executable, str(HERE / "airflow_readers.py"), str(home.dags)],
        env=home.environment(PYTHONPATH=str(root / "lib")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    seen = (root / "seen").read_text().splitlines()
    return json.loads(done.stdout.splitlines()[-1]) | {"seen": seen}  # type: ignore[no-any-return]


@pytest.mark.integration
@pytest.mark.xdist_group("readers")  # they run once
@needs_airflow
class TestWithTheRealAirflow:
    def test_whoever_is_not_airflow_gets_none_though_it_is_loaded(self, answer: dict[str, Any]) -> None:
        assert answer["others"] == {
            "notebook": False,
            "python file.py": False,
            "headrace run": False,
            "forked child": False,
            "spawned child": False,
        }

    def test_each_dag_is_that_of_its_own_file(self, answer: dict[str, Any]) -> None:
        assert answer["errors"] == {}
        assert answer["dags"] == {"numbers": "numbers_dag.py", "other": "reader_dag.py", "packaged": "packaged_dag.py"}

    def test_airflows_own_readers_find_the_dags(self, answer: dict[str, Any]) -> None:
        assert answer["listed"] == answer["processed"] == ["numbers", "other", "packaged"]
        assert "new_state=success" in answer["tests"][0]
        assert "state=success" in answer["tests"][1]

    def test_a_step_that_opens_the_file_again_makes_no_dag(self, answer: dict[str, Any]) -> None:
        opened = [line for line in answer["seen"] if line.startswith("numbers_dag ")]
        assert len(opened) >= 3  # this process's, and each tested task's
        assert set(opened) == {"numbers_dag False"}
        assert any(line.startswith("unusual_prefix") and line.endswith(" True") for line in answer["seen"])
