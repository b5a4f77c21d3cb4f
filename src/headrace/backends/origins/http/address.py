"""Where a file on the web is, and what gets one in there. Pure.

The invariant: what is secret in a location or a connection is in the `url` and the `headers` of an address, which are sent to its own
host, and never in what it is `shown` as.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError, SourceError
from headrace.core.redaction import public

__all__ = ["Address", "address_of"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """A URL without a user. `headers` get one in at its own host; `way_in` says where they come from, for messages."""

    url: str = field(repr=False)
    shown: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    way_in: str = ""

    @property
    def name(self) -> str:
        """The path, by whose end a compressed file is known."""
        return urlsplit(self.url).path.lower()

    def redirected(self, target: str) -> Address:
        """Where an answer sends us: with what gets us in on the same host, or from http to https of it, and without it on any other.

        SourceError for a target that is not on the web, or to be read in the open where this address is not.
        """
        url = urljoin(self.url, target)
        before, after = _split(self.url, self.shown), _split(url, self.shown)
        if after.scheme not in _PORTS:
            raise SourceError(f"`{self.shown}` redirects to `{after.scheme}:`, which is not on the web. Give the file's own address.")
        if before.scheme == "https" and after.scheme == "http":
            raise SourceError(
                f"`{self.shown}` redirects from https to `{public(url)}`, where anybody on the way could read and change it. "
                "If that is fine, give that address itself."
            )
        return replace(self, url=_bare(after), headers=self.headers if _is_same(before, after) else {})


def address_of(location: str, connection: Connection | None = None) -> Address:
    """The address of a location, with what its own user or a connection says. Raises SourceError for a pattern, and for what is no address.

    A connection has a user and password, or a token as its password or as `token` in its extra; `headers` in its extra are sent as they
    are. ConfigurationError if it is for another host, or if the location names a user too.
    """
    shown = public(location)
    if "*" in location:
        raise SourceError(
            f"`{shown}` is a pattern, and a web server can't be listed: name one file, for each interval with {{start:…}}. A star that is part of the name is written %2A."
        )
    parts = _split(location, shown)
    if not parts.hostname:
        raise SourceError(f"`{shown}` names no host. Write it as https://example.org/prices.csv.")
    headers, way_in = _way_in(parts, shown, connection)
    return Address(_bare(parts), shown, headers, way_in)


def _split(url: str, shown: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        raise SourceError(
            f"`{shown}` is no web address. A sign with a meaning (`/`, `@`, `:`) in a user or password is percent-encoded."
        ) from None
    return parts


def _bare(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path or "/", fragment="").geturl()


def _is_same(before: SplitResult, after: SplitResult) -> bool:
    """Whether two addresses are of one server: its host and port, or its plain port and its secure one."""
    ports = tuple((parts.scheme, parts.port or _PORTS[parts.scheme]) for parts in (before, after))
    return before.hostname == after.hostname and (ports[0] == ports[1] or ports == (("http", 80), ("https", 443)))


def _way_in(parts: SplitResult, shown: str, connection: Connection | None) -> tuple[dict[str, str], str]:
    if parts.username is not None:
        if connection is not None:
            raise ConfigurationError(
                f"`{shown}` is written with a user, and the connection `{connection.id}` is set for it too. Take the user out of the address."
            )
        return {"Authorization": _basic(unquote(parts.username), unquote(parts.password or ""))}, "the user in the address"
    if connection is None:
        return {}, ""
    _check_host(parts, shown, connection)
    headers = _headers(connection)
    if any(not value.isascii() or not value.isprintable() for named in headers.items() for value in named):
        raise ConfigurationError(
            f"The connection `{connection.id}` from {connection.origin} has signs that can't be sent in a header of HTTP."
        )
    return headers, f"the connection `{connection.id}` from {connection.origin}"


def _headers(connection: Connection) -> dict[str, str]:
    given = connection.extra.get("headers")
    headers = {str(name): str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    token = connection.password or connection.extra.get("token")
    if connection.login:
        headers["Authorization"] = _basic(connection.login, connection.password or "")
    elif token:
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _check_host(parts: SplitResult, shown: str, connection: Connection) -> None:
    """A connection that names a host is for that one: a location that was changed by mistake gets none of its secrets."""
    host = (connection.host or "").rpartition("://")[2].partition("/")[0].partition(":")[0].lower()
    if host and host != parts.hostname:
        raise ConfigurationError(f"The connection `{connection.id}` from {connection.origin} is for `{host}`, and `{shown}` is elsewhere.")


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
