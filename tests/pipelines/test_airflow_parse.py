"""What Airflow makes of a pipeline file: structure, parameters, documentation, and the same at every parse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow_home import Home, is_airflow, needs_airflow

pytestmark = [pytest.mark.integration, needs_airflow, pytest.mark.xdist_group("parse")]  # the files are read once
waits_for_hours = is_airflow("3.3")

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
READERS = """
'How many, where the days of others are counted.'
from airflow.sdk import Asset

import headrace as hr

daily = hr.Pipeline("daily", start="2026-01-01")
daily.source("clicks", hr.dataset("events.clicks", every="@hourly"))
daily.source("prices", hr.dataset("days.prices"))
daily.source("rates", hr.dataset("days.rates", every="@monthly"))
own = hr.Pipeline("own", schedule="@daily")
own.source("prices", hr.dataset("days.prices"))


@own.table(publish=True, group="g", retries=1, timeout="5m")
def one(prices):
    '''One.

    More.
    '''
    return "select * from prices"


@own.table(group="g", layer="gold", retries=4, timeout="10m")
def two(one):
    return "select * from one"


hr.airflow_dag(daily)
hr.airflow_dag(own, steps={"g": {"pool": "small", "queue": "q", "priority_weight": 7, "wait": "5m", "owner": "eva", "outlets": [Asset("mine")]}}, default_args={"retry_delay": 7})
"""
UNEVEN = """
import headrace as hr

uneven = hr.Pipeline("uneven", start="2026-01-01")
uneven.source("clicks", hr.dataset("events.clicks", every="6h"))
dag = hr.airflow_dag(uneven)
"""
WRONG = """
import headrace as hr

wrong = hr.Pipeline("wrong", schedule="@daily")
wrong.source("clicks", "clicks.csv")
dag = hr.airflow_dag(wrong, OPTIONS)
"""
MISTAKES = {  # of the last line of a file: what Airflow shows for it
    "misspelt": ("steps={'click': {}}", "steps= names `click`, which `wrong` does not have. Did you mean `clicks`?"),
    "option": (
        "steps={'clicks': {'quue': 'q'}}",
        "steps= gives `clicks` the option `quue`; Airflow's operators don't take it. Did you mean `queue`?",
    ),
    "ours": ("steps={'clicks': {'task_id': 'x'}}", "steps= gives `clicks` the option `task_id`; headrace gives it itself."),
    "value": ("steps={'clicks': {'trigger_rule': 'now'}}", "Airflow can't make the task of `clicks` with its options"),
    "dag": ("tagz=['a']", "`tagz` is not an option of it, nor of an Airflow DAG. Did you mean `tags`?"),
    "assets": ("timetable='assets'", "`wrong` can't be triggered by datasets of other pipelines: it reads none."),
    "table": ("timetable='partitoned'", "timetable='partitoned' is not known. Did you mean `partitioned`?"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Home:
    made = Home(tmp_path_factory.mktemp("parse"))
    made.dags.mkdir()
    for example in (project / "examples").glob("*.py"):
        (made.dags / example.name).write_text(example.read_text())
    (made.dags / "events.py").write_text(EVENTS.replace("TIMETABLE", "partitioned"))
    (made.dags / "classic.py").write_text(EVENTS.replace("TIMETABLE", "data_interval").replace('"events"', '"classic"'))
    (made.dags / "readers.py").write_text(READERS if waits_for_hours else READERS.replace(', every="@hourly"', ""))
    for name, (said, _) in MISTAKES.items():
        (made.dags / f"{name}.py").write_text(WRONG.replace("OPTIONS", said))
    (made.dags / "odd.py").write_text(WRONG.replace("@daily", "2d").replace(", OPTIONS", ""))
    (made.dags / "graph.py").write_text(WRONG.replace('"clicks"', '"select"').replace(", OPTIONS", ""))
    (made.dags / "member.py").write_text(
        WRONG.replace('"clicks.csv"', '"clicks.csv", group="g"').replace("OPTIONS", "steps={'clicks': {}}")
    )
    (made.dags / "uneven.py").write_text(UNEVEN)
    return made


@pytest.fixture(scope="module")
def parsed(home: Home) -> dict[str, Any]:
    return home.parse(PYTHONHASHSEED="1")


def test_each_example_is_a_dag_without_a_warning(parsed: dict[str, Any]) -> None:
    assert {"petrol", "shop", "tumours", "events", "classic", "daily", "own"} == set(parsed["dags"])
    assert parsed["warnings"] == {}


def test_a_dag_is_serialized_the_same_at_every_parse(home: Home, parsed: dict[str, Any]) -> None:
    """Value by value, and so of the same version for Airflow. Only the order of a mapping's names is Airflow's own chance: its digest sorts them."""
    for seed in ("2", "3"):
        again = home.parse(PYTHONHASHSEED=seed)
        assert {name: dag["version"] for name, dag in again["dags"].items()} == {
            name: dag["version"] for name, dag in parsed["dags"].items()
        }
        for name, dag in again["dags"].items():
            assert text_of(dag) == text_of(parsed["dags"][name])


def test_what_is_wrong_with_a_file_is_its_import_error(parsed: dict[str, Any]) -> None:
    said = {Path(file).name: error for file, error in parsed["errors"].items()}
    for name, (_, text) in MISTAKES.items():
        assert text in said.pop(f"{name}.py")
    assert "`wrong` runs every 2d, which cron can't say" in said.pop("odd.py")
    assert "`select` is a word of SQL" in said.pop("graph.py")
    assert "`clicks`, which shares the task of its group. Give the options to the group: steps={'g': {…}}." in said.pop("member.py")
    assert "`events.clicks` is made every 6h and pipeline `uneven` runs every 1d, which Airflow can't wait for" in said.pop("uneven.py")
    assert said == {}


def test_a_published_dataset_is_an_outlet_and_one_of_another_pipeline_an_inlet(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["own"]["outlets"]["g"] == [["own.one", "headrace://own/one"], ["mine", "mine"]]
    assert parsed["dags"]["own"]["inlets"]["prices"] == [["days.prices", "headrace://days/prices"]]
    assert not any(parsed["dags"]["events"]["outlets"].values())


@pytest.mark.skipif(not waits_for_hours, reason="Airflow before 3.3 can't wait for the hours of a day")
def test_a_pipeline_without_a_schedule_runs_when_what_it_reads_of_others_is_made(parsed: dict[str, Any]) -> None:
    """For the hours of the day it waits; of the month the newest is read; with a schedule of its own a pipeline keeps that."""
    timetable = parsed["dags"]["daily"]["serialized"]["dag"]["timetable"]
    assert timetable["__type"].endswith("PartitionedAssetTimetable")
    assert [one["name"] for one in timetable["__var"]["asset_condition"]["objects"]] == ["events.clicks", "days.prices"]
    mappers = {one["name"]: mapper["__type"].rpartition(".")[2] for one, mapper in timetable["__var"]["partition_mapper_config"]}
    assert mappers == {"events.clicks": "RollupMapper", "days.prices": "IdentityMapper"}
    assert parsed["dags"]["own"]["schedule"] == "0 0 * * *"


def test_the_steps_of_a_group_are_one_task_with_the_most_of_their_retries_and_the_time_of_all(parsed: dict[str, Any]) -> None:
    own = parsed["dags"]["own"]
    assert own["reads"] == {"prices": [], "g": ["prices"], "run-record": ["g", "prices"]}
    (task,) = [one["__var"] for one in own["serialized"]["dag"]["tasks"] if one["__var"]["task_id"] == "g"]
    assert (task["retries"], task["execution_timeout"], task["retry_delay"]) == (4, 960.0, 7.0)
    assert (task["pool"], task["queue"], task["priority_weight"], task["owner"]) == ("small", "q", 7, "eva")
    assert own["groups"]["g"] == "gold"
    assert own["docs"]["g"] == "**one**: One.\n\nMore.\n\n**two**: The table `two`."


def test_tags_name_headrace_and_the_pipeline(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["shop"]["serialized"]["dag"]["tags"] == ["headrace", "shop"]


def test_a_task_follows_the_tasks_of_what_it_reads_and_the_record_follows_all(parsed: dict[str, Any]) -> None:
    shop = parsed["dags"]["shop"]["reads"]
    steps = ["customer_groups", "groups", "groups.promotion", "purchases", "spending"]
    assert shop.pop("run-record") == sorted([*steps, "in-order"])
    assert shop == {
        "in-order": [],
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
        "in-order": "",
        "run-record": "",
    }


def test_a_task_is_documented_by_its_functions_docstring(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["events"]["docs"]["visits"] == "One row a visit."
    assert '"description": "What people do."' in text_of(parsed["dags"]["events"])


def text_of(dag: dict[str, Any]) -> str:
    return json.dumps(dag["serialized"], sort_keys=True)


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
        "force": ["null", "array"],
        "keep": ["null", "boolean"],
        "visits.gap": ["null", "integer"],
        "visits.zone": ["null", "string"],
        "visits.ratio": ["null", "number"],
        "visits.kinds": ["null", "array"],
        "visits.limit": ["null", "string", "number", "boolean", "array", "object"],
        "visits.strict": ["null", "boolean"],
    }
    assert params["force"]["examples"] == ["clicks", "visits", "all"]
    assert (params["visits.gap"]["title"], params["visits.gap"]["section"]) == ("gap", "Settings of visits")
    assert parsed["dags"]["events"]["said"]["visits.gap"] == "30 in the file. Empty: as the file and headrace.toml say."


def test_the_first_run_is_about_the_first_interval(parsed: dict[str, Any]) -> None:
    """A partitioned run comes when its interval is over; a classic one is named by its interval's start."""
    events, classic = parsed["dags"]["events"], parsed["dags"]["classic"]
    assert (events["schedule"], events["start"]) == ("0 * * * *", "2026-01-01T06:00:00+00:00")
    assert (classic["schedule"], classic["start"]) == ("0 * * * *", "2026-01-01T05:00:00+00:00")
    assert (parsed["dags"]["tumours"]["schedule"], parsed["dags"]["tumours"]["start"]) == (None, None)


def test_runs_of_a_pipeline_with_models_come_one_after_the_other(parsed: dict[str, Any]) -> None:
    assert parsed["dags"]["shop"]["max_active_runs"] == 1
    assert parsed["dags"]["events"]["max_active_runs"] > 1
