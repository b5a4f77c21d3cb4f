"""What a connection says of MLflow: its address and the way in. Pure.

The invariant: the address of a server has no user and no password in it, so that it may be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError

__all__ = ["address_of", "credentials_of"]

_DATABASES = {"postgres": "postgresql", "mysql": "mysql", "mssql": "mssql"}


def address_of(connection: Connection) -> str:
    """The address of the server or database that a connection is about.

    A server's type is `http`, `https` or `mlflow`, and its `schema` is the protocol, as Airflow's HTTP hook has it, or else a path.
    A database's is `postgres`, `mysql`, `mssql` or `sqlite`, whose file is the host.
    """
    host = connection.host or ""
    if connection.type == "sqlite" and host:
        return f"sqlite:///{host}"
    if not host:
        raise ConfigurationError(f"The connection `{connection.id}` from {connection.origin} names no host, and tracking_uri is not set.")
    if connection.type in _DATABASES:
        return _database(connection, host)
    port = f":{connection.port}" if connection.port else ""
    schema = connection.schema or ""
    is_protocol = schema in ("http", "https")
    protocol, _, name = host.rpartition("://")
    protocol = protocol or (schema if is_protocol else "https" if connection.type == "https" else "http")
    return f"{protocol}://{_bracketed(name)}{port}{'/' + schema if schema and not is_protocol else ''}"


def credentials_of(connection: Connection) -> Mapping[str, str]:
    """The way into a server, by the names of MLflow's own variables: a user and password, or a token where there is no user."""
    if connection.login:
        return {"MLFLOW_TRACKING_USERNAME": connection.login, "MLFLOW_TRACKING_PASSWORD": connection.password or ""}
    token = connection.password or connection.extra.get("token")
    return {"MLFLOW_TRACKING_TOKEN": str(token)} if token else {}


def _database(connection: Connection, host: str) -> str:
    user = quote(connection.login or "", safe="")
    password = f":{quote(connection.password, safe='')}" if connection.password else ""
    port = f":{connection.port}" if connection.port else ""
    way_in = f"{user}{password}@" if user or password else ""
    return f"{_DATABASES[connection.type]}://{way_in}{_bracketed(host)}{port}/{quote(connection.schema or '', safe='')}"


def _bracketed(host: str) -> str:
    """An IPv6 address stands in brackets."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
