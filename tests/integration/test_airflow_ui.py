"""What a person sees of a pipeline in Airflow's pages: looked at in headless Chromium.

One Airflow and one browser for the whole module; the runs are those of `showcase`. Each test ends with an empty console.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from airflow_server import Airflow, airflow_server
from browser import Page, browser, why_no_browser
from showcase import APPROVAL, GOOD, Story, begin, headrace, lay_out, play

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser()),
]

LAYERS = {"bronze", "silver", "models", "gold"}
EXPAND = "[aria-label='Expand all task groups']"
KINDS = {
    "stations": ["source"],
    "counts": ["source"],
    "prepare": ["group"],
    "districts": ["table"],
    "forecast": ["model"],
    "forecast.promotion": ["promotion"],
    "ask-about-forecast": ["asks a person"],
    "expected": ["predictions"],
    "in-order": ["no backfill backwards"],
    "run-record": ["record, report"],
}


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
    for _ in range(4):  # now and then Airflow draws the page without this button
        page.open("/dags/bikes", until="run-record")
        page.until(lambda: boxes(page).keys() == {*LAYERS, "in-order", "run-record"}, "the layers, and what belongs to none")
        if page.shows(EXPAND, within_s=10):
            break
    page.click(EXPAND)
    page.until(lambda: {name: more[:1] for name, more in boxes(page).items() if name not in LAYERS} == KINDS, f"{KINDS}")


def test_the_page_of_the_dag_has_its_documentation(page: Page) -> None:
    page.open("/dags/bikes", until="run-record")
    page.click("[aria-label='Dag Docs']")
    assert "A person promotes it, so that the vans' drivers" in page.wait_for("The model learns from the last four days.")


def test_a_run_shows_its_interval_and_the_state_of_each_task(page: Page, story: Story) -> None:
    text = page.open(f"/dags/bikes/runs/{story.good}", until="stations")
    assert f"{GOOD}T00:00:00" in text
    rows = {name: more for name, *more in page.lines("tbody tr")}
    assert {name: "Success" in more for name, more in rows.items()} == dict.fromkeys(KINDS, True)
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
    report = page.wait_for("headrace · report of a run", "Interval")
    assert f"Interval {GOOD}" in report
    assert re.search(r"\b1\s*kept aside", report)
    assert "forecast was not promoted" in report  # a person has not answered yet when the run ends


def test_the_form_that_triggers_a_run_asks_for_its_interval_and_the_settings(airflow: Airflow, page: Page) -> None:
    page.open("/dags/bikes", until="run-record")
    page.click("[aria-label='Trigger Dag']")
    page.wait_for("Interval", "Make again", "Keep as current", "Settings of demand", "Settings of forecast")
    assert not any("*" in line for form in page.lines("[role=dialog]") for line in form)  # which marks what must be filled in
    page.find("[role=dialog] input[name='element_at']").send_keys(str(GOOD))
    page.click("[role=dialog] button", text="Settings of forecast")
    page.wait_for("trees", "deepest", "40 in the file. Empty: as the file and headrace.toml say.")
    page.find("[role=dialog] input[name='element_forecast.trees']").send_keys("7")
    page.click("[role=dialog] button", text="Trigger")

    run = page.until(lambda: next((run for run in airflow.runs("bikes") if run["conf"].get("at")), None), "the run that was triggered")
    assert run["conf"]["at"] == str(GOOD)
    assert run["conf"]["forecast.trees"] == 7


def test_a_person_sees_both_models_and_answers(airflow: Airflow, page: Page, story: Story) -> None:
    shown = page.open(f"/dags/{APPROVAL}/runs/{story.asking}/tasks/question/required_actions", until="Approve")
    metrics = {name: [float(value) for value in values] for name, *values in map(str.split, map(" ".join, page.lines("tbody tr")))}
    assert set(metrics) == {"mae", "r2", "rmse"}
    assert all(len(of_both) == 2 and min(of_both) > 0 for of_both in metrics.values())
    assert "is no worse than the champion's" in shown
    page.find("input[name='element_why']").send_keys("the drivers agree")
    page.click("button", text="Approve")
    assert airflow.wait(APPROVAL, story.asking, within_s=120) == "success"
    assert headrace(airflow.pipelines, "log", "bikes.py", "forecast", "--lake", str(airflow.lake)).count("the drivers agree") == 1


def boxes(page: Page) -> dict[str, list[str]]:
    """The boxes of the graph, by their names: what else is written in them. Airflow draws those alone that fit into the page."""
    page.click("[aria-label='Fit View']")
    return {name: more for name, *more in page.lines(".react-flow__node")}
