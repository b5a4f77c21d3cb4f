"""How patient a client of a bucket is: time-outs and retries, the same for every kind.

The invariant: a request ends. What was not answered in the end is an error, and whoever asked finds out whether it was done.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

__all__ = ["client_options", "retries"]

_MOST = 8
_LONGEST = timedelta(seconds=120)  # from the first try; credentials must last so long
_REQUEST = timedelta(minutes=10)  # a part of an upload on a slow line
_SILENCE = timedelta(seconds=30)


def client_options(endpoint: str | None) -> ClientConfig:
    """Plain http only where the endpoint says so itself."""
    return {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "timeout": _REQUEST,
        "read_timeout": _SILENCE,
        "user_agent": "headrace",
    }


def retries() -> RetryConfig:
    return {
        "max_retries": _MOST,
        "retry_timeout": _LONGEST,
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=10), "base": 2},
    }
