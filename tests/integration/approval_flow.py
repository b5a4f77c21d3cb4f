"""What a person who approves models sees of a running Airflow: questions found and answered through its REST API.

The pipeline is `LEAKS`; a model of a day is a day's run. The invariant: every wait here ends with an error that tells the run's story.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow_server import Airflow, until

from headrace.lake.chain import Decision
from headrace.run.session import open_lake_at

DAG = "leaks"
APPROVAL = "leaks.loss.approval"
LEAKS = '''
"""How much water pipes lose."""
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


leaks.predict(loss, pipes, name="losses")
dag = hr.airflow_dag(leaks, schedule=None, approval_timeout=TIMEOUT)
'''


def pipeline(timeout: timedelta = timedelta(days=1)) -> str:
    """The file."""
    return LEAKS.replace("TIMEOUT", f"timedelta(seconds={timeout.total_seconds():g})")


def train(airflow: Airflow, day: int, dag: str = DAG) -> str:
    """A run of a day, to its success; its id. No run waits behind a question."""
    return airflow.run(dag, conf={"at": f"2026-05-{day:02}"})


def question_of(airflow: Airflow, day: int, approval: str = APPROVAL, *, within_s: float = 120) -> str:
    """The run that asks about the model of a day, once its question is shown and waits."""
    run = asking(airflow, day, approval, within_s=within_s)
    wait_until_asked(airflow, run, approval, within_s=within_s)
    return run


def asking(airflow: Airflow, day: int, approval: str = APPROVAL, *, within_s: float = 120) -> str:
    """The run that asks about the model of a day, however far it is."""

    def asks() -> str | None:
        return next((run["dag_run_id"] for run in airflow.runs(approval) if run["dag_run_id"].startswith(f"2026-05-{day:02}-")), None)

    return until(asks, f"a question about day {day}", within_s, lambda: str(airflow.runs(approval)))


def wait_until_asked(airflow: Airflow, run: str, approval: str = APPROVAL, *, within_s: float = 120) -> None:
    """Until a question waits, and a little longer: Airflow loses an answer that comes before the process which asked is gone, and asks again."""
    airflow.wait_for(approval, run, "question", "deferred", within_s=within_s)
    time.sleep(2)


def shown(airflow: Airflow, run: str, approval: str = APPROVAL) -> dict[str, Any]:
    """What the form shows."""
    found: dict[str, Any] = airflow.ask("GET", f"dags/{approval}/dagRuns/{run}/taskInstances/question/-1/hitlDetails")
    return found


def respond(airflow: Airflow, run: str, chosen: str, why: str | None = None, approval: str = APPROVAL) -> dict[str, Any]:
    """Answer as the form does: `Approve` or `Reject`."""
    given = {} if why is None else {"why": why}
    body = {"chosen_options": [chosen], "params_input": given}
    found: dict[str, Any] = airflow.ask("PATCH", f"dags/{approval}/dagRuns/{run}/taskInstances/question/-1/hitlDetails", body)
    return found


def decisions(airflow: Airflow, pipeline: str = DAG, model: str = "loss") -> list[Decision]:
    """The model's chain, oldest first."""
    return open_lake_at(str(airflow.lake), read_only=True).chain(pipeline, model).entries()
