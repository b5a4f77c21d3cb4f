"""Airflow's connections and its masking of logs, for a task that is running.

A DAG file is parsed without either. The invariant: a connection is asked of Airflow when something is opened with it, and Airflow is
told of every secret that headrace knows, so that what a user's function prints is masked too.
"""

from __future__ import annotations

from airflow.sdk import Connection as AirflowConnection
from airflow.sdk.log import mask_secret

from headrace.core.connection import Connection, parse_extra
from headrace.core.redaction import spellings
from headrace.run.connections import use_provider
from headrace.run.redaction import on_secret, remember

try:
    from airflow.sdk.exceptions import AirflowNotFoundException
except ImportError:  # Airflow 3.2
    from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined]

__all__ = ["airflow_connection", "lake_connection", "serve_connections"]

_NAME = "Airflow"


def serve_connections() -> None:
    """Look for connections in Airflow, and have it mask what headrace knows to be secret, from now on in this process."""
    use_provider(_NAME, airflow_connection)
    on_secret(_mask)


def airflow_connection(identity: str) -> Connection | None:
    """Airflow's connection of an id, from wherever Airflow keeps it (a secrets backend, a variable, its database); None if it has none."""
    try:
        found = AirflowConnection.get(identity)
    except AirflowNotFoundException:
        return None
    return _ours(identity, found)


async def lake_connection(identity: str) -> Connection:
    """Airflow's connection of an id where nothing may wait for it: in the triggerer. Airflow's error if it has none."""
    found = _ours(identity, await AirflowConnection.async_get(identity))
    remember(found.secrets)
    return found


def _ours(identity: str, found: AirflowConnection) -> Connection:
    """As headrace knows connections."""
    return Connection(
        id=identity,
        type=found.conn_type or "",
        host=found.host,
        port=found.port,
        schema=found.schema,
        login=found.login,
        password=found.password,
        extra=parse_extra(identity, found.extra, origin=_NAME),
        origin=_NAME,
    )


def _mask(secret: str) -> None:
    for spelt in spellings(secret):
        mask_secret(spelt)
