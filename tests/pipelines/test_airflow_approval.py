"""A model that a person promotes, as Airflow parses and runs it: `dag.test()` on a copied database. Answers are tried on a real Airflow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow_home import Home, make_home, needs_airflow

from headrace.run.session import open_lake_at

pytestmark = [pytest.mark.integration, needs_airflow]

LEAKS = '''
from datetime import timedelta

import headrace as hr

leaks = hr.Pipeline("leaks", schedule="@daily", start="2026-05-01")


@leaks.table(key="pipe", split=hr.by_key(test=0.3))
def pipes(day: hr.Interval):
    return [{"pipe": n, "age": n % 37, "loss": 0.4 * (n % 37) + n % 3 + day.start.day % 3} for n in range(150)]


@leaks.model(pipes, features=["age"], target="loss", gate=hr.at_least("r2", 0.5), approval=True)
def loss():
    """How much a pipe loses in a year."""
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


losses = leaks.predict(loss, pipes, name="losses")
dag = hr.airflow_dag(leaks, approval_timeout=timedelta(seconds=60))
'''
APPROVAL = "leaks.loss.approval"
HEADRACE = [sys.executable, "-m", "headrace"]


DECIDE = """
import json, sys
from airflow.sdk.exceptions import AirflowSkipException
from headrace.airflow.question import DecisionOperator

class Told:
    def __init__(self, given): self.given = given
    def xcom_pull(self, task_ids): return self.given

operator = DecisionOperator(task_id="decision", file=sys.argv[1], pipeline="leaks", model="loss", question="question")
for given in json.loads(sys.argv[2]):
    try:
        print("ANSWER", json.dumps(operator.execute({"ti": Told(given)})))
    except AirflowSkipException as skipped:
        print("ANSWER", json.dumps(str(skipped)))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = make_home(tmp_path_factory.mktemp("approval") / "home")
    (made.dags / "leaks.py").write_text(LEAKS)
    return made


@pytest.fixture(scope="module")
def parsed(home: Home) -> list[dict[str, Any]]:
    return [home.parse(), home.parse()]


def states(run: Mapping[str, Any]) -> dict[str, str]:
    return {name: task["state"] for name, task in run["tasks"].items()}


def test_a_model_that_asks_has_a_dag_of_its_own_that_is_the_same_at_every_parse(parsed: list[dict[str, Any]]) -> None:
    assert [one["errors"] for one in parsed] == [{}, {}]
    assert sorted(parsed[0]["dags"]) == ["leaks", APPROVAL]
    for name, dag in parsed[0]["dags"].items():
        assert dag["version"] == parsed[1]["dags"][name]["version"]
    dag = parsed[0]["dags"][APPROVAL]
    assert dag["reads"] == {"question": [], "decision": ["question"]}
    assert dag["max_active_runs"] > 1
    assert dag["serialized"]["dag"]["is_paused_upon_creation"] is False
    assert "How much a pipe loses in a year." in dag["serialized"]["dag"]["doc_md"]


def test_the_pipelines_own_dag_asks_after_the_promotion_and_nothing_waits_for_it_but_the_record(parsed: list[dict[str, Any]]) -> None:
    reads = parsed[0]["dags"]["leaks"]["reads"]
    assert reads["ask-about-loss"] == ["loss.promotion"]
    assert [task for task, read in reads.items() if "ask-about-loss" in read] == ["run-record"]


def test_nothing_is_added_where_no_model_asks(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.dags.mkdir()
    (home.dags / "leaks.py").write_text(LEAKS.replace(", approval=True", ""))
    found = home.parse()
    assert list(found["dags"]) == ["leaks"]
    assert not [task for task in found["dags"]["leaks"]["reads"] if task.startswith("ask-")]


def test_without_the_standard_provider_the_file_says_what_to_install(home: Home, tmp_path: Path) -> None:
    script = tmp_path / "parse.py"
    script.write_text(
        "import sys\nsys.modules['airflow.providers.standard.operators.hitl'] = None\n"
        "from airflow.dag_processing.dagbag import DagBag\nprint(list(DagBag(dag_folder=sys.argv[1]).import_errors.values()))"
    )
    done = subprocess.run([sys.executable, str(script), str(home.dags)], env=home.environment(), capture_output=True, text=True, check=True)
    said = done.stdout
    assert "model `loss` has approval=True" in said
    assert "pip install apache-airflow-providers-standard" in said


def test_a_challenger_is_asked_about_once_and_its_question_closes_without_a_person(home: Home) -> None:
    """One start of Airflow, which is what costs: trained, asked, tried again, superseded, answered elsewhere, out of time, nothing to ask."""
    file, lake = str(home.dags / "leaks.py"), str(home.folder / "lake")
    day = {n: {"dag": "leaks", "key": f"2026-05-{n:02}T00:00:00", "runs_of": [APPROVAL]} for n in (1, 2, 3)}
    newer = [*HEADRACE, "run", file, "--at", "2026-05-02", "--no-report"]
    approve = [*HEADRACE, "approve", file, "loss", "--who", "ann", "--why", "looks right"]
    question = {"dag": APPROVAL, "conf": {"question": None}}  # said, since runs of one process share a DAG and its parameters
    runs, logs = home.run(
        "leaks.py",
        day[1],
        day[1],
        question | {"conf": {"question": 1}, "meanwhile": [newer]},
        question | {"meanwhile": [approve]},
        question,
        day[3],
        question,
    )
    trained, again, superseded, answered, moot, third, late = runs

    assert [run["state"] for run in runs] == ["success"] * len(runs)
    assert (states(trained)["ask-about-loss"], states(again)["ask-about-loss"]) == ("success", "skipped")
    assert len(again["runs_of"][APPROVAL]) == 1
    assert again["runs_of"][APPROVAL][0]["conf"] == {"question": 1}
    assert states(trained)["losses"] == "skipped"

    assert states(superseded) == {"question": "skipped", "decision": "skipped"}
    assert "nobody is asked any more: the newer challenger of 2026-05-02 v1 superseded it (decision 2)" in logs[2]
    assert states(answered) == {"question": "skipped", "decision": "skipped"}
    assert "it was answered: ann decided to promote it (decision 3): looks right" in logs[3]
    assert "no challenger of `loss` waits for a person" in logs[4]
    assert states(moot)["question"] == "skipped"

    assert states(third)["losses"] == "success"
    asked = late["questions"][0]
    assert asked["subject"] == "Shall leaks.loss of 2026-05-03 v1 serve?"
    assert (asked["options"], list(asked["params"])) == (["Approve", "Reject"], ["why"])
    for said in ("How much a pipe loses in a year.", "| r2 |", "✓ r2 0.", "champion now: [2026-05-02, 2026-05-03) v1 (decision 3)"):
        assert said in asked["body"]
    assert "nobody answered within 0:01:00; the challenger waits on" in logs[6]
    assert [entry.kind for entry in open_lake_at(lake, read_only=True).chain("leaks", "loss").entries()] == [
        "reject",
        "reject",
        "promote",
        "reject",
    ]

    yes = {"question": 4, "decision": "promote", "who": "ann", "why": "fine"}
    first, retried, other, marked = decide(home, yes, yes, yes | {"who": "bob", "decision": "reject"}, None)
    assert first == retried
    assert (first["decision"], first["number"], first["who"], first["interval"]) == ("promote", 5, "ann", "2026-05-03")
    assert (
        "nothing was decided. The question about `leaks.loss` of decision 4 is closed: it was answered: ann decided to promote it" in other
    )
    assert marked.startswith("nobody answered: task `question` was marked as done by hand")


def decide(home: Home, *given: dict[str, Any] | None) -> list[Any]:
    """What the task that decides makes of answers, one after the other: its XCom, or why it is skipped."""
    script = home.folder / "decide.py"
    script.write_text(DECIDE)
    command = [sys.executable, str(script), str(home.dags / "leaks.py"), json.dumps(given)]
    done = subprocess.run(command, env=home.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line.removeprefix("ANSWER ")) for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
