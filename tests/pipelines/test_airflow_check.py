"""`headrace airflow check` names what is wrong with a DAG file and what it costs; each file here has its own defect."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow_home import needs_airflow
from commands import headrace

pytestmark = [pytest.mark.integration, needs_airflow, pytest.mark.xdist_group("check")]  # the files are read once

FILE = """
import headrace as hr

{name} = hr.Pipeline("{name}", schedule="@daily", start="2026-01-01")


@{name}.table
def few(most: int = 3):
    return "select 1 as n"


"""
WELL = FILE.format(name="well") + "dag = hr.airflow_dag(well)\n"
BAD = """
import time
import warnings

import helping
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Asset

import headrace as hr

warnings.warn("old ways", FutureWarning)
bad = hr.Pipeline("bad")


@bad.table
def few():
    return "select 1 as n"


with hr.airflow_dag(bad, tags=list({"a", "b", "c"}), description=str(time.time())) as dag:
    EmptyOperator(task_id="one", outlets=[Asset("orders", uri="s3://shop/orders")])
"""
OTHER = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset

with DAG("bad"):
    EmptyOperator(task_id="one", outlets=[Asset("orders", uri="s3://shop/other"), Asset("others", uri="s3://shop/orders")])
"""
BURNING = "import time\n\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until:\n    pass\n"
BROKEN = FILE.format(name="broken") + "def count():\n    return 1 / 0\n\n\ncount()\ndag = hr.airflow_dag(broken)\n"
LOCAL = 'from pathlib import Path\n\nwords = Path("words.txt").read_text()\n' + FILE.format(name="local") + "dag = hr.airflow_dag(local)\n"
HIDDEN = """
import headrace as hr


def made():
    hidden = hr.Pipeline("hidden", schedule=None)

    @hidden.table
    def few():
        return "select 1 as n"

    return hr.airflow_dag(hidden)


dag = made()
"""
FILES = {"well.py": WELL, "bad.py": BAD, "local.py": LOCAL, "hidden.py": HIDDEN, "wordless.py": "nothing = 0\n"}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What is said of each file. Each is alone in its folder, but for `bad.py`, which has helpers and a rival."""
    root = tmp_path_factory.mktemp("checked")
    for name, text in FILES.items():
        (root / name[:-3]).mkdir()
        (root / name[:-3] / name).write_text(text)
    (root / "local" / "words.txt").write_text("words")
    (root / "bad" / "helping.py").write_text("import burning\n")
    (root / "bad" / "burning.py").write_text(BURNING)
    (root / "bad" / "below").mkdir()
    (root / "bad" / "below" / "other.py").write_text(OTHER)
    (root / "wordless" / ".airflowignore").write_text("wordless.py\n")

    def check(name: str) -> tuple[str, dict[str, Any]]:
        folder = root / name[:-3]
        said = headrace("airflow", "check", name, "--json", cwd=folder, env={"AIRFLOW_HOME": str(root / "home"), "HOME": str(root)})
        assert said.code in (0, 2), said.err
        return name[:-3], json.loads(said.out) | {"code": said.code}

    with ThreadPoolExecutor(2) as pool:
        found = dict(pool.map(check, FILES))
    assert not (root / "home").exists()
    assert not (root / "airflow").exists()
    return found


def messages(told: dict[str, Any], level: str) -> list[str]:
    return [f"{f['where']}: {f['message']}" for f in told["findings"] if f["level"] == level]


def test_of_a_good_file_it_says_what_it_makes_and_nothing_else(checked: dict[str, dict[str, Any]]) -> None:
    well = checked["well"]
    assert (well["code"], well["findings"]) == (0, [])
    (dag,) = well["dags"]
    assert (dag["id"], dag["tasks"], dag["schedule"]) == ("well", 2, "0 0 * * *")
    assert "few.most" in dag["params"]
    assert 0 < well["cpu_s"] < 5
    assert well["limit_s"] == 30


def test_a_costly_import_is_named_where_it_stands_and_a_warning_where_it_came_from(checked: dict[str, dict[str, Any]]) -> None:
    said = messages(checked["bad"], "warning")
    assert any(re.fullmatch(r"helping.py:1: import burning: 0\.\d s CPU, paid for every task. .*", line) for line in said)
    assert "bad.py:11: FutureWarning: old ways" in said
    assert len(said) == 2


def test_names_that_clash_with_those_of_another_file_are_told(checked: dict[str, dict[str, Any]]) -> None:
    said = "\n".join(messages(checked["bad"], "error"))
    assert "DAG `bad` is made by below/other.py, too" in said
    assert "the asset of name `orders` has the URI `s3://shop/orders` in bad.py and `s3://shop/other` in below/other.py" in said
    assert "the asset of URI `s3://shop/orders` has the name `orders` in bad.py and `others` in below/other.py" in said
    assert checked["bad"]["code"] == 2


def test_a_dag_that_differs_at_each_parse_is_told_with_the_place(checked: dict[str, dict[str, Any]]) -> None:
    (finding,) = [f for f in checked["bad"]["findings"] if "differs from one parse to the next" in f["message"]]
    assert "dag.description" in finding["detail"]
    assert "tags" not in finding["detail"]  # their order does not count


def test_a_file_that_is_read_from_one_folder_only_is_told(checked: dict[str, dict[str, Any]]) -> None:
    (said,) = messages(checked["local"], "error")
    assert "local.py:3: it can be read from this working folder only. From another: FileNotFoundError" in said


def test_a_file_that_airflow_skips_is_told(checked: dict[str, dict[str, Any]]) -> None:
    said = "\n".join(messages(checked["wordless"], "error"))
    assert "it makes no DAG. Its last line has to be" in said
    assert "Airflow skips it: its text has not both" in said
    assert "Airflow skips it: a file .airflowignore" in said


def test_a_pipeline_that_tasks_could_not_open_is_told(checked: dict[str, dict[str, Any]]) -> None:
    (said,) = messages(checked["hidden"], "error")
    assert "the tasks of pipeline `hidden` can't open it" in said


def test_people_get_lines_with_their_own_traceback_alone(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    said = headrace("airflow", "check", "broken.py", cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert said.code == 2
    assert "error  broken.py:13: ZeroDivisionError: division by zero" in said.out
    assert "in count" in said.out
    assert "importlib" not in said.out
    assert said.out.rstrip().endswith("1 errors, 0 warnings")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    said = headrace("airflow", "check", "none.py", cwd=tmp_path)
    assert (said.code, "There is no file" in said.err) == (2, True)
