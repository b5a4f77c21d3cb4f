"""Finding a connection by its id: in the orchestrator that runs the task, else in a variable, as Airflow names it.

A connection is looked for when something is opened with it, never when a pipeline file is read. The invariant: whatever is found
is remembered as secret before anybody sees it, and what is not found is an error that names every place looked at.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping

from headrace.config import Config
from headrace.core.connection import Connection, parse_connection, variable_of
from headrace.core.errors import ConfigurationError
from headrace.core.ports import JSON
from headrace.run.redaction import remember

__all__ = ["Connections", "Provider", "find_connection", "use_provider"]

Provider = Callable[[str], Connection | None]
"""Gives the connection of an id, or None where it knows of none."""

_providers: list[tuple[str, Provider]] = []  # of this process: an orchestrator that runs a task in it names itself here


def use_provider(name: str, provider: Provider) -> None:
    """Ask this provider before the environment, from now on, in this process. `name` is told in messages."""
    if (name, provider) not in _providers:
        _providers.append((name, provider))


def find_connection(identity: str, *, asked: str, environment: Mapping[str, str] | None = None) -> Connection:
    """The connection of an id; `asked` says where it was named. ConfigurationError with the places looked at and how to add it."""
    variables = os.environ if environment is None else environment
    for _, provider in _providers:
        found = provider(identity)
        if found is not None:
            return _remembered(found)
    variable = variable_of(identity)
    text = variables.get(variable)
    if text:
        return _remembered(parse_connection(identity, text, origin=f"the variable {variable}"))
    raise ConfigurationError(_missing(identity, asked, variable))


class Connections:
    """The connections that a session's settings name, each looked for once, when it is first asked for.

    `given` are those that a parent process found already, for one that has no orchestrator to ask.
    """

    def __init__(self, config: Config, *, given: Mapping[str, Mapping[str, JSON]] | None = None) -> None:
        self._config = config
        self._found = {name: _remembered(Connection.of_told(told)) for name, told in (given or {}).items()}

    def of(self, setting: str) -> Connection | None:
        """The connection that a setting (`tracking_connection`) names; None where it is not set."""
        identity = self._config.text(setting)
        return self.called(identity, f"{setting}, {self._config.values[setting].origin}") if identity else None

    def called(self, identity: str, asked: str) -> Connection:
        """The connection of an id; `asked` says where it was named."""
        if identity not in self._found:
            self._found[identity] = find_connection(identity, asked=asked)
        return self._found[identity]

    def of_lake(self) -> Connection | None:
        """The connection that the lake is reached with; a folder needs none, and none is looked for then."""
        uri = self._config.lake_uri
        return None if "://" not in uri or uri.startswith(("file://", "memory://")) else self.of("connection")

    def told(self) -> dict[str, Mapping[str, JSON]]:
        """Those that were found so far, with their secrets: for a child process, by a pipe."""
        return {name: connection.told() for name, connection in self._found.items()}


def _remembered(connection: Connection) -> Connection:
    remember(connection.secrets)
    return connection


def _missing(identity: str, asked: str, variable: str) -> str:
    looked = [*(name for name, _ in _providers), f"the variable {variable}"]
    quoted = shlex.quote(identity)
    return (
        f"There is no connection `{identity}`, which {asked} asks for. Looked in: {', '.join(looked)}. "
        f"Add it: airflow connections add {quoted} --conn-type … --conn-login … --conn-password …  "
        f'or: export {variable}=\'{{"conn_type": "…", "host": "…", "login": "…", "password": "…"}}\''
    )
