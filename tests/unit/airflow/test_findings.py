"""What is said of a file, by what came of reading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.airflow.findings import differences, findings, told

FILE = Path("/dags/shop.py")
TEXT = "dag = hr.airflow_dag(shop)\n"


def reading(**more: Any) -> dict[str, Any]:
    dag = {"id": "shop", "version": "1", "serialized": {"dag": {}}, "assets": []}
    empty: dict[str, Any] = {"errors": [], "warnings": [], "imports": [], "others": [], "dags": [dag], "unopened": []}
    return empty | {"has_words": True, "is_ignored": False, "wall_s": 0.1, "limit_s": 30.0} | more


def said(first: dict[str, Any], second: dict[str, Any] | None = None, text: str = TEXT) -> list[str]:
    return [f"{f.level} {f.where}: {f.message}" for f in findings(FILE, text, first, second or reading())]


def test_of_a_good_file_nothing_is_said() -> None:
    assert said(reading()) == []


def test_an_error_of_headrace_is_its_message_with_the_place_that_it_names() -> None:
    error = (
        'Traceback (most recent call last):\n  File "<frozen importlib._bootstrap>", line 241, in _call\n  File "/dags/shop.py", line 9, in <module>\n'
        '    dag = hr.airflow_dag(shop)\n          ^^^^\n  File "/x/src/headrace/pipeline.py", line 320, in graph\n    raise PipelineError(problems)\n'
        "headrace.core.errors.PipelineError: shop.py:4: `some` is a word of SQL.\nChoose another."
    )
    message, where, shown = told(error)
    assert message == "shop.py:4: `some` is a word of SQL.\nChoose another."
    assert where == "shop.py:9"
    assert shown.splitlines() == [
        "Traceback (most recent call last):",
        '  File "/dags/shop.py", line 9, in <module>',
        "    dag = hr.airflow_dag(shop)",
        "          ^^^^",
    ]
    assert said(reading(errors=[error], dags=[])) == ["error : shop.py:4: `some` is a word of SQL.\nChoose another."]


def test_an_error_without_a_traceback_is_told_as_it_is() -> None:
    assert said(reading(errors=["AirflowClusterPolicyViolation: no owner"], dags=[])) == [
        "error shop.py: AirflowClusterPolicyViolation: no owner"
    ]


def test_a_reading_that_took_too_long_names_the_limit_and_one_that_nearly_did_warns() -> None:
    late = "Traceback (most recent call last):\nairflow.sdk.exceptions.AirflowTaskTimeout: DagBag import timeout for /dags/shop.py after 30.0s."
    assert said(reading(errors=[late], dags=[], wall_s=30.1)) == [
        "error : reading it takes longer than Airflow's limit of 30 s ([core] dagbag_import_timeout)"
    ]
    assert said(reading(wall_s=20.0)) == ["warning : reading it took 20.0 s, near Airflow's limit of 30 s ([core] dagbag_import_timeout)"]
    assert said(reading(wall_s=20.0, limit_s=0.0)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import headrace", "error shop.py: it makes no DAG. Its last line has to be: dag = hr.airflow_dag(PIPELINE)"),
        (
            "def make():\n    return airflow_dag(shop)",
            "error shop.py:2: it makes no DAG: `airflow_dag` is called in `make`, which is not called as the file is read. Call it at the top level",
        ),
        (
            "if __name__ == '__main__':\n    hr.airflow_dag(shop)",
            "error shop.py:2: it makes no DAG: `airflow_dag` is not reached as the file is read. Call it at the top level",
        ),
    ],
)
def test_a_file_without_a_dag_is_told_why(text: str, expected: str) -> None:
    assert said(reading(dags=[]), reading(dags=[]), text) == [expected]


def test_only_costly_imports_are_told_and_errors_come_before_them() -> None:
    costs = [{"file": "/dags/lib/shapes.py", "line": 2, "what": "sklearn", "cpu_s": 3.71, "wall_s": 4.0}]
    costs += [{"file": "/dags/shop.py", "line": 1, "what": "json", "cpu_s": 0.01, "wall_s": 0.01}]
    assert said(reading(imports=costs, has_words=False)) == [
        "error shop.py:1: Airflow skips it: its text has not both `airflow` and `dag`. A comment is enough: # airflow dag",
        "warning lib/shapes.py:2: import sklearn: 3.7 s CPU, paid for every task. Move it into the function that uses it",
    ]


def test_warnings_of_libraries_about_themselves_are_left_out_but_for_airflows() -> None:
    warnings = [
        "/x/lib/python3.11/site-packages/some/where.py:3: DeprecationWarning: old",
        "/x/lib/python3.11/site-packages/some/where.py:4: airflow.exceptions.RemovedInAirflow4Warning: gone soon",
        "/dags/shop.py:7: UserWarning: mind",
    ]
    assert said(reading(warnings=warnings)) == [
        "warning where.py:4: RemovedInAirflow4Warning: gone soon",
        "warning shop.py:7: UserWarning: mind",
    ]


def test_clashes_between_other_files_are_not_this_files_business() -> None:
    one = {"file": "a.py", "failed": False, "dags": [{"id": "a", "assets": [["n", "u"]]}]}
    two = {"file": "b.py", "failed": True, "dags": [{"id": "a", "assets": [["n", "v"]]}]}
    assert said(reading(), reading(others=[one, two])) == ["warning : could not be read, so their names are not compared: b.py"]


def test_differences_are_told_by_place_and_the_order_of_a_list_is_none() -> None:
    one = {"dag": {"tags": ["a", "b"], "fileloc": "/x", "tasks": [{"n": 1}, {"n": 2}]}}
    other = {"dag": {"tags": ["b", "a"], "fileloc": "/y", "tasks": [{"n": 1}, {"n": 3}]}}
    assert list(differences(one, other)) == [("dag.tasks[1].n", "2", "3")]
