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
from typing import TYPE_CHECKING

PROJECT = Path(__file__).resolve().parents[1]
IMAGES = PROJECT / "docs" / "images"
TUTORIAL = PROJECT / "docs" / "tutorial" / "from-a-script-to-airflow.md"
sys.path[:0] = [str(PROJECT / "tests" / folder) for folder in ("integration", "docs")]

if TYPE_CHECKING:
    from airflow_server import Airflow
    from browser import Page
    from showcase import Story


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
    from test_pages import blocks_of

    blocks = list(blocks_of(TUTORIAL.read_text(encoding="utf-8")))
    (folder / "roofs.py").write_text(next(block.text for block in blocks if block.rest == "roofs.py"))
    here = Path.cwd()
    os.chdir(folder)
    try:
        exec(next(block.text for block in blocks if block.language == "python" and not block.word), {})  # noqa: S102  # the page's own code
    finally:
        os.chdir(here)


# ---------------------------------------------------------------- the pictures


def graph(stage: Stage) -> tuple[int, int]:
    page = stage.page
    page.remember(default_dag_view="graph")
    page.open("/dags/solar", until="run-record")
    page.click("[aria-label='Collapse Details Panel']")
    page.click("[aria-label='Expand all task groups']")
    page.wait_for("readings", "forest.promotion")
    page.settle()
    page.click("[aria-label='Fit View']")
    return 1280, 560


def run(stage: Stage) -> tuple[int, int]:
    stage.page.remember(default_dag_view="grid")
    stage.page.open(f"/dags/solar/runs/{stage.solar}", until="forest.promotion")
    return 1280, 840


def log(stage: Stage) -> tuple[int, int]:
    stage.page.remember(default_dag_view="grid", log_wrap=True)
    stage.page.open(stage.task(stage.story.broken, "counts"), until="Task failed")
    return 1280, 800


def trigger_form(stage: Stage) -> tuple[int, int]:
    page = stage.page
    page.remember(default_dag_view="grid")
    page.open("/dags/bikes", until="run-record")
    page.click("[aria-label='Trigger Dag']")
    page.wait_for("Interval", "Settings of forecast")
    page.click("[role=dialog] button", text="Settings of forecast")
    page.wait_for("deepest")
    return 1280, 1000


def asset(stage: Stage) -> tuple[int, int]:
    page = stage.page
    number = next(one["id"] for one in stage.airflow.all("assets", "assets") if one["name"] == "bikes.districts")
    page.open(f"/assets/{number}", until="Partition Key")
    return 1280, 800


def approval(stage: Stage) -> tuple[int, int]:
    stage.page.remember(default_dag_view="grid")
    path = f"/dags/bikes.forecast.approval/runs/{stage.story.asking}/tasks/question/required_actions"
    stage.page.open(path, until="Approve")
    return 1280, 940


def links(stage: Stage) -> tuple[int, int]:
    stage.page.remember(default_dag_view="grid")
    stage.page.open(stage.task(stage.story.good, "forecast.promotion", "details"), until="Report")
    return 1280, 800


PICTURES: tuple[Callable[[Stage], tuple[int, int]], ...] = (graph, run, log, trigger_form, asset, approval, links)


def draw(stage: Stage, folder: Path, names: list[str]) -> None:
    """Write the pictures named, or all."""
    for picture in PICTURES:
        name = f"airflow-{picture.__name__.replace('_', '-')}"
        if names and not any(asked in name for asked in names):
            continue
        stage.page.size(1280, 840)
        width, height = picture(stage)
        stage.page.picture(folder / f"{name}.png", width=width, height=height)
        print(folder / f"{name}.png", *stage.page.errors(), sep="\n  ")


def main(names: list[str]) -> None:
    """Start Airflow, run, and draw."""
    from airflow_server import airflow_server
    from browser import browser
    from showcase import GOOD, begin, lay_out, play

    with tempfile.TemporaryDirectory() as name:
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
