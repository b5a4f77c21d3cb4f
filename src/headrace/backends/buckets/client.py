"""How patient a client of a bucket is: time-outs and retries, the same for every kind.

The invariant: a request ends. What was not answered in the end is an error, and whoever asked finds out whether it was done.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from headrace.core.access import Access

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

__all__ = ["TRIES", "client_options", "retries"]

TRIES = 9  # of one request, the first included
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
