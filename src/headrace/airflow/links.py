"""The buttons of a task in Airflow's page: to the run's report, and to the model at its tracker.

A browser opens http only, so a report in a folder or a bucket is shown by Airflow's own server (`headrace.airflow.plugin`). The
invariant: where there is nothing to show there is no button, and that is no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.types import TaskInstanceKey

from headrace.core.graph import Graph
from headrace.core.grouping import Unit
from headrace.core.step import Promotion, TrainedModel

__all__ = ["ModelLink", "ReportLink", "add_links", "model_url", "report_url"]

PREFIX = "/headrace"
"""Where Airflow's server has headrace's own pages."""


class _Link(BaseOperatorLink):
    """A button whose address the task leaves in its operator's `links`. It is kept beside the task's other results."""

    about: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  # Airflow's own signature
        """The address, empty for none."""
        links = getattr(operator, "links", {})
        return str(links.get(self.about, ""))


class ReportLink(_Link):
    """To the report of the run."""

    name = "Report"
    about = "report"


class ModelLink(_Link):
    """To the model at its tracker."""

    name = "MLflow"
    about = "model"


def add_links(graph: Graph, units: Mapping[str, Unit], tasks: Mapping[str, BaseOperator], record: BaseOperator) -> None:
    """Give buttons to the tasks that have something to show: each costs a request at the end of its task."""
    record.operator_extra_links = (ReportLink(),)
    for unit in units.values():
        if any(isinstance(graph.steps[name], TrainedModel | Promotion) for name in unit.steps):
            tasks[unit.name].operator_extra_links = (ModelLink(), ReportLink())


def report_url(key: str) -> str:
    """The address of a report, by its key in the lake, on whatever host Airflow's server is reached: `reports/shop/…` at `/headrace`."""
    base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return f"{base}{PREFIX}/{quote(key)}"


def model_url(tracker: str | None, model: str) -> str:
    """The page of a registered model at an MLflow server; empty for a tracker that no browser reaches. Without user and password."""
    if tracker is None or not tracker.startswith(("https://", "http://")):
        return ""
    parts = urlsplit(tracker)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}/#/models/{quote(model, safe='')}"
