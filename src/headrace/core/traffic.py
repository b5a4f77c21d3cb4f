"""How much went to and from a store: requests and bytes, counted as they happen.

The invariant: counts only grow, whatever the number of threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

__all__ = ["Traffic"]


@dataclass
class Traffic:
    """Requests that were made, and bytes that went up and down with them (retries inside a library are not seen)."""

    requests: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, requests: int, *, up: int = 0, down: int = 0) -> None:
        with self._lock:
            self.requests += requests
            self.bytes_up += up
            self.bytes_down += down
