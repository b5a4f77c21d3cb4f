"""A connection: where a service is and how one gets in, as Airflow knows it; and reading one from the text of a variable. Pure.

A text is a URI or JSON, as in `AIRFLOW_CONN_<ID>`, and means here what it means to Airflow 3. Where connections are looked for
is `headrace.run.connections`. The invariant: neither a connection, printed in any way, nor an error about one shows a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from headrace.core.errors import ConfigurationError
from headrace.core.ports import JSON
from headrace.core.redaction import basic, secrets_in_text, secrets_in_values

__all__ = ["Connection", "parse_connection", "parse_extra", "variable_of"]

_EXTRA = "__extra__"
_TEXTS = ("description", "host", "schema", "login", "password")
_KNOWN = ("conn_type", *_TEXTS, "port", "extra")


@dataclass(frozen=True)
class Connection:
    """How one gets into a service. `type` is Airflow's (`aws`, `postgres`, `http`); `origin` says where it was found.

    What is secret is left out of `repr` and `str`: the login too, since it is half of a pair of keys.
    """

    id: str
    type: str = ""
    host: str | None = None
    port: int | None = None
    schema: str | None = None
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, JSON] = field(default_factory=dict[str, JSON], repr=False)
    origin: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", dict(self.extra))

    def __repr__(self) -> str:
        return f"Connection({self.id!r}, type={self.type!r}, from {self.origin or 'nowhere'})"

    @property
    def secrets(self) -> frozenset[str]:
        """All that must not be seen: the password, what `extra` holds under names that say so, and what addresses give away."""
        return frozenset(found for found in self._secrets() if found)

    def _secrets(self) -> Iterator[str]:
        if self.password:
            yield self.password
            yield basic(self.login or "", self.password)
        yield from secrets_in_values([self.extra])
        yield from secrets_in_text(self.host or "") if "://" in (self.host or "") else ()

    def told(self) -> dict[str, JSON]:
        """Everything as JSON, secrets too: for another process of the same run, by a pipe, never for a file."""
        parts: dict[str, JSON] = {
            name: getattr(self, name) for name in ("id", "type", "host", "port", "schema", "login", "password", "origin")
        }
        return {**parts, "extra": self.extra}

    @classmethod
    def of_told(cls, told: Mapping[str, Any]) -> Connection:
        """What `told` gave."""
        return cls(**told)


def variable_of(identity: str) -> str:
    """The variable that holds a connection.

    >>> variable_of("my_aws")
    'AIRFLOW_CONN_MY_AWS'
    """
    return f"AIRFLOW_CONN_{identity.upper()}"


def parse_connection(identity: str, text: str, *, origin: str) -> Connection:
    """A connection from a URI or JSON, as Airflow reads it. ConfigurationError, which shows nothing of the text."""
    text = text.strip()
    return _from_json(identity, text, origin) if text.startswith("{") else _from_uri(identity, text, origin)


def parse_extra(identity: str, extra: JSON, *, origin: str) -> dict[str, JSON]:
    """The `extra` of a connection: an object, or the text of one; nothing is an empty one."""
    if not extra:
        return {}
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError:
            raise _refused(
                identity, origin, "its `extra` is no JSON", 'Write it as an object, such as {"region_name": "eu-central-1"}.'
            ) from None
    if not isinstance(extra, Mapping):
        raise _refused(identity, origin, "its `extra` is no JSON object", 'Write it as one, such as {"region_name": "eu-central-1"}.')
    return dict(extra)


def _refused(identity: str, origin: str, found: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"The connection `{identity}` from {origin} can't be read: {found}. {hint}")


# ---------------------------------------------------------------- JSON


def _from_json(identity: str, text: str, origin: str) -> Connection:
    try:
        told: dict[str, Any] = json.loads(text)
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise _refused(identity, origin, f"it begins with a brace and is no JSON{where}", f"Known keys: {', '.join(_KNOWN)}.") from None
    strange = sorted(set(told) - set(_KNOWN))
    if strange:
        raise _refused(identity, origin, f"it has the key `{strange[0]}`", f"Known: {', '.join(_KNOWN)}; others belong into `extra`.")
    wrong = next((name for name in ("conn_type", *_TEXTS) if not isinstance(told.get(name), str | None)), None)
    if wrong is not None:
        raise _refused(identity, origin, f"`{wrong}` is no text", "Put it between quotes.")
    try:
        port = int(told["port"]) if told.get("port") else None
    except (ValueError, TypeError):
        raise _refused(identity, origin, "its `port` is no whole number", "Write it as one, such as 5432.") from None
    return Connection(
        id=identity,
        type=_type(told.get("conn_type") or ""),
        host=told.get("host"),
        port=port,
        schema=told.get("schema"),
        login=told.get("login"),
        password=told.get("password"),
        extra=parse_extra(identity, told.get("extra"), origin=origin),
        origin=origin,
    )


# ---------------------------------------------------------------- URI


def _from_uri(identity: str, text: str, origin: str) -> Connection:
    """As Airflow does it: `type://login:password@host:port/schema?extra`, or `type://protocol://host…` for a host with a protocol."""
    try:
        return _split(identity, text, origin)
    except ValueError as error:
        if isinstance(error, ConfigurationError):
            raise
        # Its own words may show a part of the password.
        hint = "Write each part of it percent-encoded (`/` is %2F, `@` is %40), or use JSON."
        raise _refused(identity, origin, "it is no URI", hint) from None


def _split(identity: str, text: str, origin: str) -> Connection:
    times = text.count("://")
    scheme = urlsplit(text).scheme
    rest = text.replace(f"{scheme}://", "" if times == 2 else "//")
    if times > 2 or (times == 2 and any(c in rest.split("://", 1)[0] for c in "@:")):
        raise ValueError
    parts = urlsplit(rest)
    host = _host(parts)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    extra = parse_extra(identity, query[_EXTRA], origin=origin) if _EXTRA in query else query
    return Connection(
        id=identity,
        type=_type(scheme),
        host=f"{parts.scheme}://{host}" if host and times == 2 and parts.scheme else host,
        port=parts.port,
        schema=unquote(parts.path[1:]),
        login=unquote(parts.username) if parts.username else parts.username,
        password=unquote(parts.password) if parts.password else parts.password,
        extra=extra,
        origin=origin,
    )


def _host(parts: SplitResult) -> str:
    """The host, unquoted. One that holds a path (`%2Fvar%2Frun`) keeps the case of its letters."""
    host = unquote(parts.hostname or "")
    if "/" not in host:
        return host
    return unquote(parts.netloc.rpartition("@")[2].partition(":")[0])


def _type(scheme: str) -> str:
    return "postgres" if scheme == "postgresql" else scheme.replace("-", "_")
