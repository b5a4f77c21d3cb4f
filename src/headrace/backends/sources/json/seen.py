"""Names in the order in which they first stand in a file whose pieces are read in any order.

The invariant: the order is that of the file, however the threads that read its pieces take turns.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

__all__ = ["Seen"]


class Seen:
    """Names, each with where it first stood: in which piece, and as which of the piece's names. Of more than `most` the first are kept."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._first: dict[str, tuple[int, int]] = {}
        self._lock = Lock()

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def __bool__(self) -> bool:
        return bool(self._first)

    def add(self, names: Iterable[str], piece: int) -> None:
        """Names of a piece, in their order there."""
        with self._lock:
            for place, name in enumerate(names):
                before = self._first.get(name)
                if before is None or (piece, place) < before:
                    self._first[name] = (piece, place)
            if len(self._first) > 2 * self._most:
                self._first = {name: self._first[name] for name in self.in_order()[: self._most]}

    def in_order(self) -> tuple[str, ...]:
        return tuple(sorted(self._first, key=self._first.__getitem__))
