"""What a person sees of a pipeline in Airflow's pages: looked at in headless Chromium.

One Airflow and one browser for the whole module; the runs are those of `showcase`. Each test ends with an empty console.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow_server import Airflow, airflow_server
from browser import Page, browser, why_no_browser
from showcase import APPROVAL, GOOD, Story, begin, lay_out, play

import headrace as hr

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser()),
]

KINDS = {
    "stations": "source",
    "counts": "source",
    "prepare": "group",
    "districts": "table",
    "forecast": "model",
    "forecast.promotion": "promotion",
    "ask-about-forecast": "asks a person",
    "expected": "predictions",
    "run-record": "record, report",
}
STATES = dict.fromkeys(KINDS, "Success")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    lay_out(folder / "pipelines")
    begin(folder / "pipelines", folder / "lake")
    with airflow_server(folder) as started:
        yield started


@pytest.fixture(scope="module")
def story(airflow: Airflow) -> Story:
    return play(airflow)


@pytest.fixture(scope="module")
def opened(airflow: Airflow) -> Iterator[Page]:
    with browser(airflow.address) as page:
        yield page


@pytest.fixture
def page(opened: Page, story: Story) -> Iterator[Page]:
    opened.errors()
    opened.remember(default_dag_view="grid")
    yield opened
    assert opened.errors() == []


def test_the_graph_shows_each_task_with_its_kind_in_its_layer(page: Page) -> None:
    page.remember(default_dag_view="graph")
    page.open("/dags/bikes", until="run-record")
    assert nodes(page) == {"bronze", "silver", "models", "gold", "run-record"}
    page.click("[aria-label='Collapse Details Panel']")
    page.click("[aria-label='Expand all task groups']")
    page.until(lambda: nodes(page) >= set(KINDS), f"{sorted(KINDS)} in the graph")
    for task, kind in KINDS.items():
        assert lines(page, task)[1] == kind
    page.click("[aria-label='Expand Details Panel']")


def test_the_page_of_the_dag_has_its_documentation(page: Page) -> None:
    page.open("/dags/bikes", until="run-record")
    page.click("[aria-label='Dag Docs']")
    assert "A person promotes it, so that the vans' drivers" in page.wait_for("The model learns from the last four days.")


def test_a_run_shows_its_interval_and_the_state_of_each_task(page: Page, story: Story) -> None:
    text = page.open(f"/dags/bikes/runs/{story.good}", until="stations")
    assert f"{GOOD}T00:00:00" in text
    rows = {row.text.split("\n")[0]: row.text for row in page.all("tbody tr")}
    assert {task: state for task, state in STATES.items() if state not in rows[task]} == {}
    assert "Failed" in page.open(f"/dags/bikes/runs/{story.broken}", until="run-record")


def test_the_log_of_a_failed_task_opens_with_what_is_wrong_and_what_to_do(page: Page, story: Story) -> None:
    page.remember(log_wrap=True)
    text = page.open(f"/dags/bikes/runs/{story.broken}/tasks/counts", until="Task failed with exception")
    told = text[: text.index("Task failed with exception")]
    assert "120 of 120 records (100.0%) were rejected, and max_rejected allows 5%" in told
    assert "hires: is not an integer of 64 bits or fewer" in told
    assert "headrace: what to do: " in told
    assert "Traceback" not in told


def test_what_a_task_did_is_among_its_results(page: Page, story: Story) -> None:
    page.open(f"/dags/bikes/runs/{story.good}/tasks/counts/xcom", until="return_value")
    page.click("[aria-label='Expand all extra JSON']")
    page.wait_for("rows_quarantined")


def test_the_button_of_a_run_opens_its_report(page: Page, story: Story) -> None:
    page.open(f"/dags/bikes/runs/{story.good}/tasks/run-record/details", until="Report")
    link = page.find("a", text="Report").get_attribute("href")
    assert link is not None
    page.driver.get(link)
    report = page.wait_for("bikes", "forecast.promotion")
    assert str(GOOD) in report
    assert "1 of 120 rows" in report or "quarantine" in report


def test_the_form_that_triggers_a_run_asks_for_its_interval_and_the_settings(airflow: Airflow, page: Page) -> None:
    page.open("/dags/bikes", until="run-record")
    page.click("[aria-label='Trigger Dag']")
    form = page.wait_for("Interval", "Make again", "Keep as current", "Settings of demand", "Settings of forecast")
    assert "Make again *" not in form
    page.click("[role=dialog] button", text="Settings of forecast")
    page.wait_for("trees", "deepest", "40 in the file. Empty: as the file and headrace.toml say.")
    page.find("[role=dialog] input[name='element_at']").send_keys(str(GOOD))
    page.find("[role=dialog] input[name='element_forecast.trees']").send_keys("7")
    page.click("[role=dialog] button", text="Trigger")

    run = page.until(lambda: next((run for run in airflow.runs("bikes") if run["conf"].get("at")), None), "the run that was triggered")
    assert run["conf"]["at"] == str(GOOD)
    assert run["conf"]["forecast.trees"] == 7
    airflow.ask("PATCH", f"dags/bikes/dagRuns/{run['dag_run_id']}", {"state": "failed"})


def test_a_person_sees_both_models_and_answers(airflow: Airflow, page: Page, story: Story) -> None:
    shown = page.open(f"/dags/{APPROVAL}/runs/{story.asking}/tasks/question/required_actions", until="Approve")
    table = [row.text.split() for row in page.all("tbody tr")]
    metrics = {row[0]: row[1:] for row in table if row and row[0] in ("mae", "r2", "rmse")}
    assert set(metrics) == {"mae", "r2", "rmse"}, shown
    for challenger, champion in metrics.values():
        assert float(challenger) > 0
        assert float(champion) > 0
    page.find("input[name='element_why']").send_keys("the drivers agree")
    page.click("button", text="Approve")
    assert airflow.wait(APPROVAL, story.asking, within_s=120) == "success"
    last = hr.open_lake(str(airflow.lake))
    assert last is not None


def nodes(page: Page) -> set[str]:
    """What the boxes of the graph are called."""
    return {node.text.split("\n")[0] for node in page.all(".react-flow__node") if node.text}


def lines(page: Page, name: str) -> list[str]:
    """What is written in a box of the graph."""
    return next(text for node in page.all(".react-flow__node") if (text := node.text.split("\n"))[0] == name)
