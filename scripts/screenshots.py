"""Draws docs/images/airflow-*.png: real runs on a real Airflow, seen in headless Chromium.

    .venv/bin/python scripts/screenshots.py [NAME...]

Needs Chromium and its driver: scripts/browser installs them. Takes some minutes. The runs are those of tests/integration/showcase.py, and
those of the tutorial's pipeline, whose file is taken from the page itself.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
IMAGES = PROJECT / "docs" / "images"
TUTORIAL = PROJECT / "docs" / "tutorial" / "from-a-script-to-airflow.md"
sys.path[:0] = [str(PROJECT / "tests" / folder) for folder in ("integration", "docs")]

from airflow_server import Airflow, airflow_server  # noqa: E402  # they lie beside the tests
from browser import Page, browser  # noqa: E402
from showcase import GOOD, Story, begin, lay_out, play  # noqa: E402
from test_pages import blocks_of  # noqa: E402


@dataclass(frozen=True)
class Stage:
    """What was run, and the page to look at it."""

    airflow: Airflow
    page: Page
    story: Story
    solar: str  # a run of the tutorial's pipeline

    def task(self, run: str, task: str, *tab: str) -> str:
        return "/".join([f"/dags/bikes/runs/{run}/tasks/{task}", *tab])


def tutorial(folder: Path) -> None:
    """Write the tutorial's pipeline and its files, as its reader has them."""
    blocks = list(blocks_of(TUTORIAL.read_text(encoding="utf-8")))
    (folder / "roofs.py").write_text(next(block.text for block in blocks if block.rest == "roofs.py"))
    here = Path.cwd()
    os.chdir(folder)
    try:
        exec(next(block.text for block in blocks if block.language == "python" and not block.word), {})  # noqa: S102  # the page's own code
    finally:
        os.chdir(here)


# ---------------------------------------------------------------- the pictures


def graph(stage: Stage) -> None:
    page = stage.page
    page.size(1280, 680)
    page.remember(default_dag_view="graph")
    page.open("/dags/solar", until="run-record")
    page.click("[aria-label='Collapse Details Panel']")
    page.click("[aria-label='Expand all task groups']")
    page.wait_for("readings", "forest.promotion")
    page.settle()
    page.click("[aria-label='Fit View']")


def run(stage: Stage) -> None:
    stage.page.size(1280, 860)
    stage.page.open(f"/dags/solar/runs/{stage.solar}", until="forest.promotion")


def log(stage: Stage) -> None:
    stage.page.remember(log_wrap=True)
    stage.page.open(stage.task(stage.story.broken, "counts"), until="Task failed")
    stage.page.click("[data-testid='summary-AirflowFailException']")  # folds Airflow's own traceback


def trigger_form(stage: Stage) -> None:
    page = stage.page
    page.size(1280, 960)
    page.open("/dags/bikes", until="run-record")
    page.click("[aria-label='Trigger Dag']")
    page.wait_for("Interval", "Settings of forecast")
    page.find("[role=dialog] input[name='element_at']").send_keys(str(GOOD))


def asset(stage: Stage) -> None:
    page = stage.page
    number = next(one["id"] for one in stage.airflow.all("assets", "assets") if one["name"] == "bikes.districts")
    page.open(f"/assets/{number}", until="Partition Key")
    page.click(".codicon-folding-collapsed")
    page.wait_for("rows_kept")


def approval(stage: Stage) -> None:
    stage.page.size(1280, 940)
    path = f"/dags/bikes.forecast.approval/runs/{stage.story.asking}/tasks/question/required_actions"
    stage.page.open(path, until="Approve")
    stage.page.find("input[name='element_why']").send_keys("agreed with the drivers")


def links(stage: Stage) -> None:
    stage.page.open(stage.task(stage.story.good, "forecast.promotion", "details"), until="Report")


PICTURES: tuple[Callable[[Stage], None], ...] = (graph, run, log, trigger_form, asset, approval, links)


def draw(stage: Stage, folder: Path, names: list[str]) -> None:
    """Write the pictures named, or all."""
    for picture in PICTURES:
        name = f"airflow-{picture.__name__.replace('_', '-')}"
        if names and not any(asked in name for asked in names):
            continue
        stage.page.size(1280, 800)
        stage.page.remember(default_dag_view="grid", log_wrap=False)
        picture(stage)
        stage.page.picture(folder / f"{name}.png")
        print(folder / f"{name}.png", *stage.page.errors(), sep="\n  ")


def main(names: list[str]) -> None:
    """Start Airflow, run, and draw."""
    with tempfile.TemporaryDirectory(prefix="bikes-") as name:
        folder = Path(name)
        lay_out(folder / "pipelines")
        tutorial(folder / "pipelines")
        begin(folder / "pipelines", folder / "lake")
        with airflow_server(folder) as airflow:
            airflow.dag("solar")
            solar = airflow.trigger("solar", key=f"{GOOD}T00:00:00")
            story = play(airflow)
            assert airflow.wait("solar", solar) == "success", airflow.story("solar", solar)
            with browser(airflow.address) as page:
                draw(Stage(airflow, page, story, solar), IMAGES, names)


if __name__ == "__main__":
    main(sys.argv[1:])
