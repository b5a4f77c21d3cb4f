"""How patient a client of a bucket is: time-outs and retries, the same for every kind.

The library tries again what was refused or not answered, but for puts that must not be made twice. The invariant: a request ends. What
was not answered in the end is an error, and whoever asked finds out whether it was done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from headrace.backends.buckets.address import Address
from headrace.backends.buckets.failures import told
from headrace.core.access import Access
from headrace.core.errors import TransientError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

__all__ = ["TRIES", "client_options", "patiently", "retries"]

T = TypeVar("T")

TRIES = 9  # of one request, the first included
_WHOLE_TRIES = 3  # of what the library does not try again by itself
_REQUEST = timedelta(minutes=10)  # a part of an upload on a slow line
_SILENCE = timedelta(seconds=30)
_FIRST_PAUSE = timedelta(milliseconds=100)
_LONGEST_PAUSE = timedelta(seconds=10)


def client_options(access: Access, endpoint: str | None) -> ClientConfig:
    """Plain http only where the endpoint says so itself. A server that is silent for a quarter of the patience is not waited for."""
    patience = timedelta(seconds=access.patience_s)
    return {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "timeout": _REQUEST,
        "read_timeout": min(_SILENCE, patience / 4),
        "user_agent": "headrace",
    }


def retries(access: Access) -> RetryConfig:
    """A request is tried again until it was tried so often, or patience is at an end; credentials must last so long."""
    patience = timedelta(seconds=access.patience_s)
    return {
        "max_retries": TRIES - 1,
        "retry_timeout": patience,
        "backoff": {
            "init_backoff": min(_FIRST_PAUSE, patience / 100),
            "max_backoff": min(_LONGEST_PAUSE, patience / 12),
            "base": 2,
        },
    }


def patiently(action: str, key: str, place: Address, ask: Callable[[], T]) -> T:
    """What `ask` gives, which may be done twice, with its errors told.

    It is asked again at once where the library would not: when a body ended in the middle, for deletions, and for an upload in parts that is
    not known any more, which is how a server answers a second request to end one that was ended by the first.
    """
    for left in reversed(range(_WHOLE_TRIES)):
        try:
            with told(action, key, place):
                return ask()
        except TransientError as error:
            if not left or not _is_first_try(str(error.__cause__)):
                raise
    raise AssertionError("the last try ends with an answer or an error")


def _is_first_try(told_by_library: str) -> bool:
    return "NoSuchUpload" in told_by_library or not re.search(r"after \d+ retries", told_by_library)
