"""Requests to web servers: sent again where that can help, and followed where an answer sends us elsewhere.

The invariant: what gets one in is sent to the host that it is for; and however a server behaves, the tries, the redirects and the
seconds between them are bounded.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError

from headrace.backends.origins.http.address import Address
from headrace.backends.origins.http.trouble import trouble
from headrace.core.errors import SourceError, TransientError

__all__ = ["Exchange", "leave", "time_of"]

_CONNECT_S = 10.0
_STALLED_S = 60.0
_MOST_TRIES = 4
_MOST_REDIRECTS = 10
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": "headrace", "Accept": "*/*", "Accept-Encoding": "identity"}  # the bytes of the file, not a packing of them


class Exchange:
    """Sends requests, from any thread. `sleep` waits between tries; `stalled_s` is how long an answer may send nothing."""

    def __init__(self, sleep: Callable[[float], None], *, stalled_s: float = _STALLED_S) -> None:
        self._sleep = sleep
        timeout = Timeout(connect=min(_CONNECT_S, stalled_s), read=stalled_s)
        self._pool = PoolManager(maxsize=8, timeout=timeout, retries=False)

    def send(self, method: str, address: Address, headers: Mapping[str, str] | None = None) -> BaseHTTPResponse:
        """The answer, whatever its status but "busy", of which only the headers are read. Close it.

        SourceError or TransientError when there is none.
        """
        for tries in range(1, _MOST_TRIES + 1):
            is_last = tries == _MOST_TRIES
            try:
                response = self._follow(method, address, headers or {})
            except HTTPError as error:
                told = trouble(error, address)
                if is_last or not told.is_transient:
                    raise told from None
                self.pause(tries)
                continue
            if response.status not in _BUSY:
                return response
            leave(response, method)
            asked_s = _retry_after(response)
            if is_last or (asked_s or 0.0) > _LONGEST_PAUSE_S:
                raise TransientError(_busy(response, address, asked_s))
            self.pause(tries, at_least_s=asked_s)
        raise AssertionError("the last try returns or raises")

    def pause(self, tries: int, *, at_least_s: float | None = None) -> None:
        """Wait before another try: longer each time, and never as long as the others who wait."""
        pause_s = float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (tries - 1))) * (0.5 + random.random() / 2)  # noqa: S311  # no secret
        self._sleep(max(pause_s, at_least_s or 0.0))

    def _follow(self, method: str, address: Address, headers: Mapping[str, str]) -> BaseHTTPResponse:
        at = address
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._pool.urlopen(
                method, at.url, headers={**_HEADERS, **at.headers, **headers}, redirect=False, retries=False, preload_content=False
            )
            target = response.headers.get("Location")
            if response.status not in _ELSEWHERE or not target:
                return response
            leave(response, method)
            at = at.redirected(target)
        raise SourceError(f"`{address.shown}` redirects more than {_MOST_REDIRECTS} times. Give the file's own address.")


def leave(response: BaseHTTPResponse, method: str) -> None:
    """Be done with an answer: after HEAD the connection can be used again, after GET there may be much to come."""
    if method != "HEAD":
        response.close()
        return
    response.drain_conn()
    response.release_conn()


def time_of(text: str | None) -> datetime | None:
    """A time of HTTP; None for what is none."""
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo else None


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """How many seconds an answer asks to wait, by its own clock."""
    told = (response.headers.get("Retry-After") or "").strip()
    if told.isdecimal():
        return float(told)
    until, now = time_of(told), time_of(response.headers.get("Date"))
    return max(0.0, (until - now).total_seconds()) if until and now else None


def _busy(response: BaseHTTPResponse, address: Address, asked_s: float | None) -> str:
    later = f", and asks to come back in {asked_s:.0f} s" if asked_s else ""
    return f"`{address.shown}` can't be fetched now: its server answers {response.status} {response.reason or ''}{later}. Run again later."
