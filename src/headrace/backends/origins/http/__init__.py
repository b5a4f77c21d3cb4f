"""Files on the web: `https://example.org/prices/{start:%Y-%m-%d}.csv`, looked for by HEAD and read by GET.

`address` knows where and how one gets in, `exchange` sends requests, `body` reads what may break off, `trouble` says what went wrong.
The invariant: a file is known by what its server says of it (ETag, Last-Modified, size); where that is nothing, by reading it alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from urllib3 import BaseHTTPResponse

from headrace.backends.origins.http.address import Address, address_of
from headrace.backends.origins.http.body import Version, open_body
from headrace.backends.origins.http.exchange import Exchange, leave, time_of
from headrace.backends.origins.http.trouble import refusal
from headrace.core.access import Access
from headrace.core.connection import Connection
from headrace.core.ports import RawFile

__all__ = ["MOST_BYTES", "HttpOrigin", "open"]

MOST_BYTES = 5 * 1024**3
"""More is not taken unless the settings allow it (`max_size`): a server may send without an end."""

_GONE = frozenset({404, 410})
_NO_HEAD = frozenset({400, 403, 405, 501})  # 403: an address may be signed for GET alone


class HttpOrigin:
    """Web addresses. All of them are asked with the same `connection`, so a source that has one has an origin of its own."""

    concurrency = 1

    def __init__(
        self,
        *,
        connection: Connection | None = None,
        max_bytes: int = MOST_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        stalled_s: float | None = None,
    ) -> None:
        self._connection, self._max_bytes = connection, max_bytes
        self._exchange = Exchange(sleep) if stalled_s is None else Exchange(sleep, stalled_s=stalled_s)

    def find(self, location: str) -> Sequence[RawFile]:
        address = address_of(location, self._connection)
        response = self._looked_at(address)
        if response.status in _GONE:
            return ()
        if response.status != 200:
            raise refusal(response, address)
        version = Version.of(response, address)
        size = None if version.is_packed else version.size_bytes
        modified_at = time_of(version.modified)
        way = "" if location == address.shown else location
        return (RawFile(address.shown, size, version.mark(size), modified_at, way),)

    def open(self, file: RawFile) -> BinaryIO:
        address = address_of(file.way or file.uri, self._connection)
        return open_body(file, self._exchange, address, max_bytes=self._max_bytes)

    def _looked_at(self, address: Address) -> BaseHTTPResponse:
        """An answer without its body: to HEAD, or to GET where a server does not take HEAD, or says of it what can't be."""
        response = self._exchange.send("HEAD", address)
        leave(response, "HEAD")
        if response.status in _NO_HEAD or (response.status == 200 and response.headers.get("Content-Length") == "0"):
            response = self._exchange.send("GET", address)
            leave(response, "GET")
        return response


def open(  # noqa: A001  # the name that every flavour has
    base: Path | None = None,  # noqa: ARG001  # the argument that every origin has
    *,
    access: Access | None = None,
    max_size: int = MOST_BYTES,
) -> HttpOrigin:
    return HttpOrigin(connection=access.connection if access else None, max_bytes=max_size)
