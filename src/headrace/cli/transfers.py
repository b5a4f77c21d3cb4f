"""What went to a lake in a bucket and came from it, in words and numbers; nothing of a lake in a folder.

The invariant: it reads counters, and asks nobody anything.
"""

from __future__ import annotations

from headrace.cli.output import size_text
from headrace.core.ports import JSON
from headrace.core.store import Store

__all__ = ["transfers_json", "transfers_text"]


def transfers_text(store: Store) -> str:
    """`s3://shop/lake  214 requests, 12.1 MB up, 96.0 MB down`; empty for a store without a network."""
    traffic = store.traffic
    if traffic is None:
        return ""
    requests = "1 request" if traffic.requests == 1 else f"{traffic.requests:,} requests"
    return f"{store.uri}  {requests}, {size_text(traffic.bytes_up)} up, {size_text(traffic.bytes_down)} down"


def transfers_json(store: Store) -> dict[str, JSON]:
    """The same for programs, under `traffic`."""
    traffic = store.traffic
    if traffic is None:
        return {}
    return {"traffic": {"requests": traffic.requests, "bytes_up": traffic.bytes_up, "bytes_down": traffic.bytes_down}}
