"""How the settings say that a lake or a source that is no folder is reached.

The one place below the command line where the environment's credentials are taken up, to be handed to the flavours. The invariant: a
lake in a folder needs nothing of it, so no connection is looked for and no folder made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from headrace.config import Config, Value, read_config
from headrace.core.access import Access, size_of
from headrace.core.aws import aws_credentials
from headrace.core.connection import Connection
from headrace.core.ports import JSON
from headrace.run.connections import Connections

__all__ = [
    "access_by_settings",
    "access_from_afar",
    "flavour_of",
    "is_folder",
    "is_reached_as_lake",
    "lake_access",
    "plain_access",
    "plain_source_access",
    "plain_way_in",
    "source_access",
]

_PLAIN = ("endpoint", "region", "encryption", "kms_key", "requester_pays", "cache", "cache_size", "patience_s")
_OF_A_SOURCE = ("endpoint", "region", "requester_pays")
_SCHEMES = {"file": "local", "https": "http", "gs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}


def flavour_of(uri: str) -> str:
    """The flavour of stores and of origins that a place is for.

    >>> flavour_of("s3://shop/lake"), flavour_of("gs://shop"), flavour_of("data/*.csv")
    ('s3', 'gcs', 'local')
    """
    scheme = uri.partition("://")[0].lower() if "://" in uri else "local"
    return _SCHEMES.get(scheme, scheme)


def is_folder(uri: str) -> bool:
    """Whether a lake needs no way in: a folder, or the memory of this process."""
    return "://" not in uri or uri.startswith(("file://", "memory://"))


def lake_access(config: Config, connections: Connections) -> Access | None:
    """How the lake of some settings is reached; None for a folder."""
    return None if is_folder(config.lake_uri) else access_by_settings(config, connections.of_lake())


def access_by_settings(config: Config, connection: Connection | None) -> Access:
    """What settings say of stores and origins in buckets, with a connection that was found."""
    return _access({name: config.values[name].value for name in _PLAIN}, connection, config.folder)


def plain_access(config: Config) -> dict[str, JSON]:
    """The same without secrets, for a process that has not opened the pipeline; empty for a folder.

    It may run elsewhere: unless the settings name a folder for local copies, it has its own.
    """
    if is_folder(config.lake_uri):
        return {}
    told: dict[str, JSON] = {name: value for name in _PLAIN if (value := config.values[name].value) is not None}
    if told.get("cache"):
        told["cache"] = str(_cache(told["cache"], config.folder))
    return told


def plain_way_in(config: Config) -> dict[str, str]:
    """Whom to ask for buckets, and with which connection, of what is set: the names and values of settings, without secrets."""
    found = {name: config.values[name].value for name in ("connection", *_OF_A_SOURCE)}
    return {name: str(value) for name, value in found.items() if value}


def is_reached_as_lake(config: Config, location: str) -> bool:
    """Whether a source lies in a bucket of the lake's kind: without a connection of its own it is reached by the lake's."""
    return not is_folder(config.lake_uri) and flavour_of(config.lake_uri) == flavour_of(location)


def plain_source_access(config: Config, location: str, ways_in: Mapping[str, Value]) -> dict[str, JSON]:
    """How a source is reached, without secrets: what its own section of the settings says, else the profile.

    Where the lake is a bucket of another kind, the profile speaks of that one, and not of the source.
    """
    is_told = is_folder(config.lake_uri) or is_reached_as_lake(config, location)
    profile = {name: config.values[name].value for name in _OF_A_SOURCE if is_told}
    own = {name: value.value for name, value in ways_in.items() if name in (*_OF_A_SOURCE, "connection")}
    said = {name: value for name, value in {**profile, **own}.items() if name in _OF_A_SOURCE and value}
    return {**said, "own": sorted(own)}


def source_access(told: Mapping[str, JSON], connection: Connection | None) -> Access:
    """What `plain_source_access` told, with a connection that was found: one of the source's own knows better than the profile where it leads."""
    own = told.get("own")
    named = own if isinstance(own, Sequence) else ()
    values = dict(told)
    if connection is not None and "connection" in named and connection.type in ("aws", ""):
        leads = aws_credentials(connection)
        led: Mapping[str, JSON] = {"endpoint": leads.endpoint_url, "region": leads.region}
        values |= {name: value for name, value in led.items() if value and name not in named}
    return _access(values, connection, Path.cwd())


def access_from_afar(told: Mapping[str, JSON], connection: Connection | None) -> Access:
    """What `plain_access` told, with a connection that was found; for nothing told, what the variables of this process say."""
    if told:
        return _access(told, connection, Path.cwd())
    return access_by_settings(read_config(None, environment=os.environ), connection)


def _access(values: Mapping[str, JSON], connection: Connection | None, folder: Path) -> Access:
    return Access(
        connection=connection,
        environment=dict(os.environ),
        endpoint=_text(values, "endpoint"),
        region=_text(values, "region"),
        encryption=_text(values, "encryption"),
        kms_key=_text(values, "kms_key"),
        requester_pays=str(values.get("requester_pays") or "").lower() in ("true", "1", "yes", "requester"),
        cache=_cache(values.get("cache"), folder),
        cache_bytes=size_of(_text(values, "cache_size") or "20GB"),
        patience_s=float(_text(values, "patience_s") or Access.patience_s),
    )


def _cache(value: JSON, folder: Path) -> Path:
    if value:
        return folder / Path(str(value)).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"


def _text(values: Mapping[str, JSON], name: str) -> str | None:
    value = values.get(name)
    return None if value in (None, "") else str(value)
