"""Many requests to one store at once, as many as it says pay; one after the other on a disk.

The invariant: results come in the order of what was asked, and the first error is raised when all that was begun has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from headrace.core.store import Store

__all__ = ["in_parallel"]

A = TypeVar("A")
R = TypeVar("R")


def in_parallel(store: Store, ask: Callable[[A], R], items: Sequence[A]) -> list[R]:
    """What `ask` gives for each item, which makes a request of the store."""
    if store.concurrency == 1 or len(items) < 2:
        return [ask(item) for item in items]
    with ThreadPoolExecutor(min(store.concurrency, len(items)), thread_name_prefix="headrace-store") as pool:
        return list(pool.map(ask, items))
