"""Runs of the DAG do what `headrace run` does: by key, by hand and by parameters, when steps fail, and when the past is not made."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow_home import Home, make_home, needs_airflow
from commands import headrace
from lake_contents import contents

from headrace.run.session import open_lake_at

pytestmark = [pytest.mark.integration, needs_airflow]

PRICES = '''
"""What things cost."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

import headrace as hr

prices = hr.Pipeline("prices", schedule="@daily", start="2026-01-01")
COUNT = Path(__file__).with_name("count")


class Price(BaseModel):
    item: str
    price: float


prices.source("quotes", "quotes/{start:%Y-%m-%d}.csv", contract=Price)


@prices.table(key="item", history={"quotes": "2d"})
def recent(quotes: hr.Frame, least: float = 0.0) -> str:
    return f"select item, avg(price) as price from {quotes} where price >= $least group by item"


@prices.table(every="3d")
def counted(quotes: hr.Frame) -> str:
    return f"select count(*) as n from {quotes}"


@prices.table
def both(recent: hr.Frame, counted: hr.Frame) -> str:
    return f"select r.*, c.n from {recent} r, {counted} c"


@prices.table
def fragile(quotes: hr.Frame) -> str:
    """Fails as the file beside it says, and counts its calls."""
    tries = len(COUNT.read_text()) if COUNT.exists() else 0
    COUNT.write_text("x" * (tries + 1))
    how = Path(__file__).with_name("how").read_text()
    if how == "once" and tries < 2:  # SQL is bound before it runs, so the first call is the check's
        raise ConnectionResetError("the server is gone")
    if how == "always":
        raise ZeroDivisionError("by zero, with password=hunter2")
    return f"select * from {quotes}"


@prices.table
def after(fragile: hr.Frame) -> str:
    return f"select * from {fragile}"


quick = {"retry_delay": timedelta(0), "retry_exponential_backoff": 0}
dag = hr.airflow_dag(prices, wait=WAIT, steps={"fragile": quick})
'''

# Two DAGs of one kind of pipeline, each with operators of its user's own behind its step.
MIXED = '''
from airflow.providers.standard.operators.bash import BashOperator

import headrace as hr

for name, timetable in (("by_key", "partitioned"), ("classic", "data_interval")):
    mixed = hr.Pipeline(name, schedule="@daily", start="2026-01-01")

    @mixed.table
    def total(when: hr.Interval):
        return [{"day": when.start.day}]

    globals()[name] = mixed
    dag = hr.airflow_dag(mixed, timetable=timetable)
    if dag is not None:
        globals()[f"dag_{name}"] = dag
        with dag:
            for asked, template in (("key", "dag_run.partition_key"), ("ds", "ds")):
                command = """echo '{"said": "{{ %s }}"}'""" % template
                dag.get_task("total") >> BashOperator(task_id=asked, bash_command=command, retries=0)
'''

Make = Callable[..., Home]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("airflow")).folder


@pytest.fixture
def make(template: Path, tmp_path: Path) -> Make:
    """An Airflow with the pipeline of prices and its files."""

    def made(*, wait: str = "None", how: str = "well", days: int = 9) -> Home:
        home = make_home(tmp_path / "home", template)
        (home.dags / "prices.py").write_text(PRICES.replace("WAIT", wait))
        (home.dags / "how").write_text(how)
        (home.dags / "quotes").mkdir()
        for day in range(1, days + 1):
            (home.dags / "quotes" / f"2026-01-{day:02}.csv").write_text(f"item,price\npear,{day}\nplum,2\n")
        return home

    return made


def key(day: int, **more: Any) -> dict[str, Any]:
    return {"dag": "prices", "key": f"2026-01-{day:02}T00:00:00", **more}


def states(run: Mapping[str, Any]) -> dict[str, str]:
    return {name: task["state"] for name, task in run["tasks"].items()}


def test_runs_by_key_leave_the_same_lake_as_headrace_run(make: Make, tmp_path: Path) -> None:
    home = make()
    runs, _ = home.run("prices.py", *(key(day) for day in range(1, 5)))
    assert [run["state"] for run in runs] == ["success"] * 4
    for day in range(1, 5):
        said = headrace("run", "prices.py", "--at", f"2026-01-0{day}", cwd=home.dags, env={"HEADRACE_LAKE": str(tmp_path / "other")})
        assert said.code == 0, said.err
    ours, others = (open_lake_at(str(lake), read_only=True) for lake in (home.folder / "lake", tmp_path / "other"))
    assert contents(ours) == contents(others)


def test_a_step_on_a_coarser_grid_skips_in_the_runs_between_and_its_readers_go_on(make: Make) -> None:
    runs, logs = make().run("prices.py", *(key(day) for day in range(1, 5)))
    assert [states(run)["counted"] for run in runs] == ["skipped", "skipped", "success", "skipped"]
    assert [states(run)["both"] for run in runs] == ["skipped", "skipped", "success", "success"]
    assert "`counted` is made every 3d: its newest interval, [2026-01-01, 2026-01-04), is the business of an earlier run" in logs[3]
    assert "`counted` has no interval that ended by then" in logs[1]


def test_a_run_that_is_done_again_makes_nothing(make: Make) -> None:
    home = make()
    (first, second), logs = home.run("prices.py", key(1), key(1))
    assert first["tasks"]["recent"]["told"]["state"] == "made"
    assert second["tasks"]["recent"]["told"]["state"] == "cached"
    assert second["tasks"]["recent"]["told"]["version"] == 1
    assert 'to make it again in any case, trigger the DAG with force=["recent"], at="2026-01-01" and keep=true' in logs[1]


def test_a_task_tells_what_it_did_in_a_small_document(make: Make) -> None:
    (run,), _ = make().run("prices.py", key(1))
    told = run["tasks"]["quotes"]["told"]
    assert told["intervals"] == ["2026-01-01"]
    assert (told["rows_read"], told["rows_kept"], told["rows_quarantined"], told["cached"]) == (2, 2, 0, False)
    assert len(told["fingerprint"]) >= 32
    assert set(run["tasks"]["run-record"]["told"]) == {"interval", "report", "states"}
    assert Path(run["tasks"]["run-record"]["told"]["report"]).is_file()


def test_what_may_go_away_by_itself_is_tried_again(make: Make) -> None:
    (run,), logs = make(how="once").run("prices.py", key(1))
    assert run["state"] == "success"
    assert run["tasks"]["fragile"]["tries"] == 2
    assert run["tasks"]["fragile"]["told"]["state"] == "made"
    assert "ConnectionResetError: the server is gone" in logs[0]


def test_a_users_error_fails_at_once_and_the_run_fails_and_is_recorded(make: Make) -> None:
    home = make(how="always")
    (run,), _ = home.run("prices.py", key(1))
    assert run["state"] == "failed"
    assert run["tasks"]["fragile"]["tries"] == 1
    assert states(run)["after"] == "upstream_failed"
    assert states(run)["recent"] == states(run)["run-record"] == "success"
    assert run["tasks"]["run-record"]["told"]["states"] == {"blocked": 1, "failed": 1, "made": 2, "skipped": 1}
    record = open_lake_at(str(home.folder / "lake"), read_only=True).log("prices", "_runs")
    (versions,) = record.versions(None).values()
    assert versions == (1,)


def test_the_log_of_a_failure_opens_with_headraces_message_then_the_users_traceback(make: Make) -> None:
    _, (log,) = make(how="always").run("prices.py", key(1))
    said = log.index("Step `fragile` [2026-01-01, 2026-01-02): `fragile` raised ZeroDivisionError")
    advice = log.index("what to do: headrace run prices.py --at 2026-01-01 --only fragile shows it on your machine")
    assert said < log.index("Traceback (most recent call last)") < advice < log.index("Task failed with exception")
    shown = log[log.index("Traceback") : log.index("Task failed with exception")]
    assert "boundary.py" not in shown
    assert re.search(r"prices\.py\", line \d+, in fragile", shown)


def test_broken_data_fail_at_once(make: Make) -> None:
    home = make()
    (home.dags / "quotes" / "2026-01-01.csv").write_text("item,price\npear,cheap\nplum,2\n")
    (run,), (log,) = home.run("prices.py", key(1))
    assert (run["state"], run["tasks"]["quotes"]["tries"], states(run)["recent"]) == ("failed", 1, "upstream_failed")
    assert "1 of 2" in log
    assert run["tasks"]["quotes"]["told"]["error"].count("\n") < 30


def test_a_past_that_is_not_made_is_an_error_that_names_the_backfill(make: Make) -> None:
    (run,), (log,) = make().run("prices.py", key(5))
    assert states(run)["recent"] == "failed"
    assert run["tasks"]["recent"]["tries"] == 1
    assert (
        "1 interval of an earlier run that is not made: `quotes` 2026-01-04. Make what is missing: headrace backfill prices.py --from 2026-01-04"
        in log
    )


def test_a_step_waits_for_its_past_and_goes_on_when_it_is_made(make: Make) -> None:
    home = make(wait="timedelta(seconds=60)")
    started = home.start("prices.py", key(2))
    backfill = threading.Thread(target=_once_waiting, args=(home, "--at", "2026-01-01", "--only", "quotes"))
    backfill.start()
    (run,), (log,) = home.answer(started)
    backfill.join()
    assert "waiting up to 60 s for 1 commits of earlier runs: `quotes` 2026-01-01" in log
    assert "waited; 0 commits are still missing" in log
    assert run["tasks"]["recent"]["told"]["state"] == "made"


def _once_waiting(home: Home, *arguments: str) -> None:
    until = time.monotonic() + 100
    while "waiting up to" not in (home.folder / "log").read_text() and time.monotonic() < until:
        time.sleep(0.2)
    headrace("run", "prices.py", *arguments, cwd=home.dags, env={"HEADRACE_LAKE": str(home.folder / "lake")})


def test_a_step_that_waited_in_vain_says_what_is_missing(make: Make) -> None:
    (run,), (log,) = make(wait="timedelta(seconds=1)").run("prices.py", key(5))
    assert states(run)["recent"] == "failed"
    assert "waited; 1 commits are still missing" in log
    assert "Make what is missing: headrace backfill prices.py --from 2026-01-04" in log


def test_a_run_by_hand_is_the_last_complete_interval_or_the_one_asked_for(make: Make) -> None:
    home = make()
    runs, _ = home.run(
        "prices.py",
        {"dag": "prices", "logical_date": "2026-01-02T09:00:00"},
        {"dag": "prices", "logical_date": "2026-01-09T09:00:00", "conf": {"at": "2026-01-03"}},
    )
    # The last, and in a process of its own: without a date `dag.test()` clears all runs before, and what it was given stays in the DAG's parameters.
    runs += home.run("prices.py", {"dag": "prices", "logical_date": None, "after": "2026-01-03T00:30:00"})[0]
    assert [run["tasks"]["quotes"]["told"]["intervals"] for run in runs] == [["2026-01-01"], ["2026-01-03"], ["2026-01-02"]]


def test_an_operator_of_ones_own_finds_the_key_in_a_partitioned_run_and_the_date_in_a_classic_one(make: Make) -> None:
    home = make()
    (home.dags / "mixed.py").write_text(MIXED)
    runs, logs = home.run(
        "mixed.py", {"dag": "by_key", "key": "2026-01-02T00:00:00"}, {"dag": "classic", "logical_date": "2026-01-03T00:00:00"}
    )
    by_key, classic = (run["tasks"] for run in runs)
    assert (by_key["key"]["told"], by_key["ds"]["state"]) == ({"said": "2026-01-02T00:00:00"}, "failed")
    assert "'ds' is undefined" in logs[0]
    assert (classic["ds"]["told"], classic["total"]["told"]["intervals"]) == ({"said": "2026-01-03"}, ["2026-01-02"])


def test_a_run_by_hand_that_failed_does_not_block_the_next_one(make: Make) -> None:
    """Both have a logical date, by which Airflow knows the run before; `recent` reads its past."""
    runs, _ = make().run(
        "prices.py",
        {"dag": "prices", "logical_date": "2026-02-09T09:00:00", "conf": {"at": "2026-02-03"}},  # there are no files of February
        {"dag": "prices", "logical_date": "2026-02-10T09:00:00", "conf": {"at": "2026-01-01"}},
    )
    assert [states(run)["recent"] for run in runs] == ["upstream_failed", "success"]
    assert [run["state"] for run in runs] == ["failed", "success"]


def test_an_interval_that_is_not_over_is_refused_in_words(make: Make) -> None:
    (run,), (log,) = make().run("prices.py", {"dag": "prices", "conf": {"at": "2150-01-01"}})
    assert run["state"] == "failed"
    assert "The interval [2150-01-01, 2150-01-02) is not over yet." in log


def test_other_settings_are_an_experiment_unless_they_are_kept(make: Make) -> None:
    home = make()
    runs, _ = home.run("prices.py", key(1), key(1, conf={"recent.least": 1.5}), key(1, conf={"recent.least": 1.5, "keep": True}))
    told = [run["tasks"]["recent"]["told"] for run in runs]
    assert [(t["state"], t["version"], t["rows_kept"]) for t in told] == [("made", 1, 2), ("made", 1, 1), ("made", 2, 1)]
    assert "parameter `least`" in told[2]["why"] or "least" in told[2]["why"]


def test_a_step_is_made_again_by_force(make: Make) -> None:
    runs, _ = make().run("prices.py", key(1), key(1, conf={"force": ["fragile"], "keep": True}))
    assert runs[1]["tasks"]["fragile"]["told"]["why"].startswith("forced")
    assert runs[1]["tasks"]["recent"]["told"]["state"] == "cached"
