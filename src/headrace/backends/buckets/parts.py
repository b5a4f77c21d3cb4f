"""A file on its way into a bucket, part by part, counted as its parts arrive.

obstore says nothing while it uploads; but it asks for the next part only when fewer than `at_once` are on their way. So whoever is asked
knows which have arrived. The invariant: no part is counted before it is there, and in the end all are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import BinaryIO

from headrace.core.traffic import Traffic

__all__ = ["Parts"]


class Parts(Iterator[bytes]):
    """What `obstore.put` takes an upload in parts from. `finish` when it has returned. The request that begins it is the caller's to count."""

    def __init__(self, file: BinaryIO, size: int, traffic: Traffic, *, at_once: int) -> None:
        self._file, self._size, self._traffic, self._at_once = file, size, traffic, at_once
        self._underway: deque[int] = deque()

    def __next__(self) -> bytes:
        while len(self._underway) > self._at_once:
            self._traffic.count(1, up=self._underway.popleft())
        part = self._file.read(self._size)
        if not part:
            raise StopIteration
        self._underway.append(len(part))
        return part

    def finish(self) -> None:
        """All parts are there, and the upload is made an object."""
        while self._underway:
            self._traffic.count(1, up=self._underway.popleft())
        self._traffic.count(1)
