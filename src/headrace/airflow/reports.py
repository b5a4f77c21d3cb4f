"""The page of a report on Airflow's server: one read-only route, with Airflow's own rights.

It shows reports out of the lakes that the server was told of, and nothing else: whoever can write a DAG must not make the server read
other files. The invariant: what is served has a report's name, lies in a told lake itself (no link out of it), and can run nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi import Path as InPath

from headrace.core.errors import HeadraceError
from headrace.run.session import open_lake_at

__all__ = ["find_report", "lakes_told", "make_app"]

_NAME = re.compile(r"\d{4}/\d\d/\d\d/\d\d/\d\d-\d{1,7}m(-to-\d{8}T\d{4})?(\.experiment)?\.html")
_PIPELINE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_MOST_BYTES = 20_000_000
_HEADERS = {
    # A report is a page of texts and drawings: no script, no request, no form, and none of Airflow's cookies.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}


def make_app() -> FastAPI:
    """The application under `/headrace`."""
    app = FastAPI(title="headrace", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/reports/{dag_id}/{name:path}", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))])
    def report(dag_id: Annotated[str, InPath(max_length=63)], name: Annotated[str, InPath(max_length=120)]) -> Response:
        """The report of a run, as the step `run-record` wrote it."""
        if not _PIPELINE.fullmatch(dag_id) or not _NAME.fullmatch(name):
            raise HTTPException(404, "This is no report's name.")
        lakes = lakes_told()
        if not lakes:
            raise HTTPException(404, "This server was told of no lake. Name those whose reports it may show: AIRFLOW__HEADRACE__LAKES=…")
        found = find_report(lakes, f"reports/{dag_id}/{name}")
        if found is None:
            raise HTTPException(
                404, "There is no such report in the lakes of this server. It is written at the end of a run, by `run-record`."
            )
        return Response(found, media_type="text/html; charset=utf-8", headers=_HEADERS)

    return app


def lakes_told() -> list[str]:
    """The lakes of which this server may show reports: `lakes` in the section `headrace` of Airflow's settings, else HEADRACE_LAKE."""
    told = conf.get("headrace", "lakes", fallback="") or os.environ.get("HEADRACE_LAKE", "")
    return [uri.strip() for uri in told.split(",") if uri.strip()]


def find_report(lakes: list[str], key: str) -> bytes | None:
    """A report from the first lake that has it; None if none has, or what lies there is a link to elsewhere, or too big to be one."""
    for uri in lakes:
        try:
            store = open_lake_at(uri, read_only=True).store
            path = Path(store.path(key))
            if "://" not in uri and not path.resolve().is_relative_to(Path(uri).resolve()):
                continue
            if path.stat().st_size <= _MOST_BYTES:
                return path.read_bytes()
        except (KeyError, HeadraceError, OSError):
            continue
    return None
