"""What headrace adds to Airflow's server: the pages that show reports. Airflow finds it by the entry point `airflow.plugins`.

Every process of Airflow imports this module, so it imports next to nothing. The invariant: what it costs others is this file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin

__all__ = ["HeadracePlugin"]

Scope = MutableMapping[str, Any]
_App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


async def show(scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """The pages, made when the first one is asked for."""
    await _app()(scope, receive, send)


@cache
def _app() -> _App:
    from headrace.airflow.reports import make_app

    return make_app()


class HeadracePlugin(AirflowPlugin):
    """Reports at `/headrace/reports/…`, for those who may read the DAG's logs."""

    name = "headrace"
    fastapi_apps = [{"name": "headrace", "app": show, "url_prefix": "/headrace"}]  # noqa: RUF012  # Airflow's own form
