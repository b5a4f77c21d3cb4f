"""The page of a report on Airflow's server: one read-only route, with Airflow's own rights.

It shows reports out of the lakes that the server was told of, and nothing else: whoever can write a DAG must not make the server read
other files. The invariant: what is served has a report's name, lies in a told lake itself (no link out of it), and can run nothing.

A lake in a bucket is reached by a connection of Airflow, which the server knows as the workers do: it is told the id, and no secret.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi import Path as InPath

from headrace.airflow.connections import serve_connections
from headrace.core.access import Access
from headrace.core.errors import HeadraceError, UnknownNameError
from headrace.core.ports import JSON
from headrace.run.access import access_from_afar, is_folder
from headrace.run.connections import find_connection
from headrace.run.redaction import redacted
from headrace.run.session import open_lake_at

__all__ = ["REACHED_BY", "find_report", "lakes_told", "make_app"]

REACHED_BY = ("connection", "endpoint", "region", "requester_pays")
"""What the server is told of lakes in buckets, under the names that headrace.toml has for it."""

_log = logging.getLogger(__name__)

_NAME = re.compile(r"\d{4}/\d\d/\d\d/\d\d/\d\d-\d{1,7}m(-to-\d{8}T\d{4})?(\.experiment)?\.html")
_PIPELINE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_MOST_BYTES = 20_000_000
_PATIENCE_S = 20  # somebody waits for the page
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
        try:
            found = find_report(lakes, f"reports/{dag_id}/{name}")
        except HeadraceError as error:
            _log.warning("headrace: can't show a report: %s", redacted(str(error)))
            raise HTTPException(503, "A lake could not be read. The log of Airflow's API server says why.") from None
        if found is None:
            raise HTTPException(
                404, "There is no such report in the lakes of this server. It is written at the end of a run, by `run-record`."
            )
        return Response(found, media_type="text/html; charset=utf-8", headers=_HEADERS)

    return app


def lakes_told() -> list[str]:
    """The lakes of which this server may show reports: `lakes` in the section `headrace` of Airflow's settings, else HEADRACE_LAKE."""
    return [uri.strip() for uri in _told("lakes", "HEADRACE_LAKE").split(",") if uri.strip()]


def find_report(lakes: list[str], key: str) -> bytes | None:
    """A report from the first lake that has it; None if none has, or what lies there is a link to elsewhere, or too big to be one.

    HeadraceError where it was not found, and one of them could not be looked into.
    """
    trouble: HeadraceError | None = None
    for uri in lakes:
        try:
            found = _in_folder(uri, key) if is_folder(uri) else _in_bucket(uri, key)
        except UnknownNameError:
            continue
        except HeadraceError as error:
            trouble = trouble or error
            continue
        except (KeyError, OSError):
            continue
        if found is not None:
            return found
    if trouble is not None:
        raise trouble
    return None


def _in_folder(uri: str, key: str) -> bytes | None:
    path = Path(open_lake_at(uri, read_only=True).store.path(key))
    if "://" not in uri and not path.resolve().is_relative_to(Path(uri).resolve()):
        return None
    return path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None


def _in_bucket(uri: str, key: str) -> bytes | None:
    """Its size is looked at first. Nothing is kept on this machine."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as cache:
        store = open_lake_at(uri, read_only=True, access=_access(cache)).store
        size = next((found.size_bytes for found in store.list(key) if found.key == key), None)
        return store.get(key) if size is not None and size <= _MOST_BYTES else None


def _access(cache: str) -> Access:
    """With the credentials of the connection, read anew each time; without one, with those that the server's surroundings have."""
    told: Mapping[str, JSON] = {name: _told(name, f"HEADRACE_{name.upper()}") for name in REACHED_BY}
    identity = str(told["connection"])
    connection = None
    if identity:
        serve_connections()
        connection = find_connection(identity, asked="`connection` in the section `headrace` of Airflow's settings")
    return access_from_afar({**told, "cache": cache, "patience_s": _PATIENCE_S}, connection)


def _told(name: str, variable: str) -> str:
    return conf.get("headrace", name, fallback="") or os.environ.get(variable, "")
