"""What Airflow makes of a pipeline file: structure, parameters, documentation, and the same at every parse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow_home import Home, needs_airflow

pytestmark = [pytest.mark.integration, needs_airflow]

EVENTS = '''
"""What people do.

Two lines of it.
"""
import headrace as hr

events = hr.Pipeline("events", schedule="@hourly", start="2026-01-01T05:00")
events.source("clicks", "clicks/{start:%Y-%m-%dT%H}.csv")


@events.table(layer="gold", retries=5, timeout="10m")
def visits(clicks, gap: int = 30, zone: str = "UTC", ratio: float = 0.5, kinds: list = [], limit=None, strict: bool = True):
    """One row a visit."""
    return "select * from clicks"


hr.airflow_dag(events, steps={"visits": {"pool": "big"}}, tags=["web"], default_args={"owner": "ana"}, timetable="TIMETABLE")
'''
WRONG = """
import headrace as hr

wrong = hr.Pipeline("wrong", schedule="SCHEDULE")
wrong.source("clicks", "clicks.csv")
dag = hr.airflow_dag(wrong, steps=STEPS)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Home:
    made = Home(tmp_path_factory.mktemp("parse"))
    made.dags.mkdir()
    for example in (project / "examples").glob("*.py"):
        (made.dags / example.name).write_text(example.read_text())
    (made.dags / "events.py").write_text(EVENTS.replace("TIMETABLE", "partitioned"))
    (made.dags / "classic.py").write_text(EVENTS.replace("TIMETABLE", "data_interval").replace('"events"', '"classic"'))
    (made.dags / "misspelt.py").write_text(WRONG.replace("SCHEDULE", "@daily").replace("STEPS", "{'click': {}}"))
    (made.dags / "odd.py").write_text(WRONG.replace("SCHEDULE", "2d").replace("STEPS", "{}"))
    (made.dags / "graph.py").write_text(WRONG.replace("SCHEDULE", "@daily").replace("STEPS", "{}").replace('"clicks"', '"select"'))
    return made


@pytest.fixture(scope="module")
def parsed(home: Home) -> dict[str, Any]:
    return home.parse(PYTHONHASHSEED="1")


def test_each_example_is_a_dag_without_a_warning(parsed: dict[str, Any]) -> None:
    assert {"petrol", "shop", "tumours", "events", "classic"} == set(parsed["dags"])
    assert parsed["warnings"] == {}


def test_a_dag_has_the_same_version_at_every_parse(home: Home, parsed: dict[str, Any]) -> None:
    """Airflow's own digest of the serialized DAG, for which the order of names in a list does not count."""
    again = home.parse(PYTHONHASHSEED="2")
    assert {name: dag["version"] for name, dag in again["dags"].items()} == {name: dag["version"] for name, dag in parsed["dags"].items()}


def test_what_is_wrong_with_a_file_is_its_import_error(parsed: dict[str, Any]) -> None:
    said = {Path(file).name: error for file, error in parsed["errors"].items()}
    assert "steps= names `click`, which `wrong` does not have. Did you mean `clicks`?" in said["misspelt.py"]
    assert "`wrong` runs every 2d, which cron can't say" in said["odd.py"]
    assert "`select` is a word of SQL" in said["graph.py"]
    assert len(said) == 3


def test_a_task_follows_the_tasks_of_what_it_reads_and_the_record_follows_all(parsed: dict[str, Any]) -> None:
    shop = parsed["dags"]["shop"]["reads"]
    steps = ["customer_groups", "groups", "groups.promotion", "purchases", "spending"]
    assert shop.pop("run-record") == steps
    assert shop == {
        "purchases": [],
        "spending": ["purchases"],
        "groups": ["spending"],
        "groups.promotion": ["groups"],
        "customer_groups": ["groups.promotion", "spending"],
    }


def test_steps_are_grouped_by_layer(parsed: dict[str, Any]) -> None:
    groups = parsed["dags"]["shop"]["groups"]
    assert groups == {
        "purchases": "bronze",
        "spending": "silver",
        "groups": "models",
        "groups.promotion": "models",
        "customer_groups": "gold",
        "run-record": "",
    }


def test_a_task_is_documented_by_its_functions_docstring(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["events"]["docs"]["visits"] == "One row a visit."
    assert '"description": "What people do."' in text_of(parsed["dags"]["events"])


def text_of(dag: dict[str, Any]) -> str:
    return json.dumps(dag["serialized"])


def test_options_reach_the_dag_and_the_step_that_they_are_for(parsed: dict[str, Any]) -> None:
    events = parsed["dags"]["events"]
    assert events["pools"] == {"clicks": "default_pool", "visits": "big", "run-record": "default_pool"}
    assert '"owner": "ana"' in text_of(events)
    assert '"tags": ["web"]' in text_of(events)
    assert '"retries": 5' in text_of(events)
    assert '"execution_timeout": 660.0' in text_of(events)


def test_settings_are_parameters_of_their_type_that_may_be_left_empty(parsed: dict[str, Any]) -> None:
    params = parsed["dags"]["events"]["params"]
    types = {name: schema["type"] for name, schema in params.items()}
    assert types == {
        "at": ["null", "string"],
        "force": "array",
        "keep": "boolean",
        "visits.gap": ["null", "integer"],
        "visits.zone": ["null", "string"],
        "visits.ratio": ["null", "number"],
        "visits.kinds": ["null", "array"],
        "visits.limit": ["null", "string", "number", "boolean", "array", "object"],
        "visits.strict": ["null", "boolean"],
    }
    assert params["force"]["examples"] == ["clicks", "visits", "all"]


def test_the_first_run_is_about_the_first_interval(parsed: dict[str, Any]) -> None:
    """A partitioned run comes when its interval is over; a classic one is named by its interval's start."""
    events, classic = parsed["dags"]["events"], parsed["dags"]["classic"]
    assert (events["schedule"], events["start"]) == ("0 * * * *", "2026-01-01T06:00:00+00:00")
    assert (classic["schedule"], classic["start"]) == ("0 * * * *", "2026-01-01T05:00:00+00:00")
    assert (parsed["dags"]["tumours"]["schedule"], parsed["dags"]["tumours"]["start"]) == (None, None)


def test_runs_of_a_pipeline_with_models_come_one_after_the_other(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["shop"]["max_active_runs"] == 1
    assert parsed["dags"]["events"]["max_active_runs"] > 1
